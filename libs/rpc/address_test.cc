#include "libs/rpc/address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::rpc {
namespace {

using ::testing::HasSubstr;

TEST(AddressTest, ReadsHostAndPort) {
  ASSERT_OK_AND_ASSIGN(const Address address, ParseAddress("gateway.example.org:50051"));

  EXPECT_EQ(address.host, "gateway.example.org");
  EXPECT_EQ(address.port, 50051);
}

TEST(AddressTest, AnIpv6HostStandsInBrackets) {
  ASSERT_OK_AND_ASSIGN(const Address address, ParseAddress("[::1]:0"));

  EXPECT_EQ(address.host, "::1");
  EXPECT_EQ(address.port, 0);
}

TEST(AddressTest, AnythingElseIsRefusedWithAnExample) {
  for (const char* text : {"", "host", "host:", ":1", "host:65536", "host:-1", "host:1x",
                           "::1:50051", "http://host:1", "host:123456"}) {
    EXPECT_THAT(ParseAddress(text),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("127.0.0.1:50051")))
        << text;
  }
}

TEST(AddressTest, AServerThatListensEverywhereIsReachedByLoopback) {
  EXPECT_EQ(LocalTarget({"0.0.0.0", 50051}), "127.0.0.1:50051");
  EXPECT_EQ(LocalTarget({"::", 50051}), "[::1]:50051");
  EXPECT_EQ(LocalTarget({"::1", 1}), "[::1]:1");
  EXPECT_EQ(LocalTarget({"gateway.example", 1}), "gateway.example:1");
}

}  // namespace
}  // namespace gannet::rpc
