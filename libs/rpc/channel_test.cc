#include "libs/rpc/channel.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::rpc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTarget[] = "gateway.example.org:50051";

TEST(ChannelTest, NoProxyIsFine) { EXPECT_OK(CheckProxy(kTarget, {})); }

TEST(ChannelTest, AnHttpProxyIsFine) {
  EXPECT_OK(CheckProxy(kTarget, {.grpc_proxy = "http://proxy:3128"}));
  EXPECT_OK(CheckProxy(kTarget, {.https_proxy = "http://user:password@proxy:3128/"}));
}

TEST(ChannelTest, OtherProxiesAreRefusedRatherThanPassedOver) {
  for (const char* value : {"https://proxy:3128", "socks5://proxy:1080", "proxy:3128", "http://",
                            "http:///proxy", "HTTP//proxy"}) {
    EXPECT_THAT(
        CheckProxy(kTarget, {.https_proxy = value}),
        base::StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("https_proxy="), HasSubstr(value), HasSubstr("no_proxy"))))
        << value;
  }
}

TEST(ChannelTest, TheFirstVariableThatIsSetDecides) {
  EXPECT_OK(
      CheckProxy(kTarget, {.grpc_proxy = "http://proxy:3128", .https_proxy = "https://other:1"}));
  EXPECT_THAT(
      CheckProxy(kTarget, {.grpc_proxy = "socks5://proxy:1", .http_proxy = "http://other:1"}),
      base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("grpc_proxy=")));
}

TEST(ChannelTest, AnExemptHostNeedsNoProxy) {
  EXPECT_OK(CheckProxy(kTarget,
                       {.http_proxy = "https://proxy:1", .no_proxy = "localhost, .EXAMPLE.org"}));
  EXPECT_OK(CheckProxy(kTarget, {.http_proxy = "https://proxy:1",
                                 .no_grpc_proxy = "gateway.example.org",
                                 .no_proxy = "localhost"}));
}

TEST(ChannelTest, NoGrpcProxyTakesThePlaceOfNoProxy) {
  EXPECT_THAT(CheckProxy(kTarget, {.http_proxy = "https://proxy:1",
                                   .no_grpc_proxy = "localhost",
                                   .no_proxy = "example.org"}),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(ChannelTest, TheRefusalDoesNotShowThePassword) {
  EXPECT_THAT(
      CheckProxy(kTarget, {.grpc_proxy = "https://me:hunter2@proxy:3128"}),
      base::StatusIs(absl::StatusCode::kInvalidArgument,
                     AllOf(HasSubstr("https://***@proxy:3128"), Not(HasSubstr("hunter2")))));
}

TEST(ChannelTest, TheProxyThatIsTakenIsNamedWithoutItsPassword) {
  EXPECT_EQ(ProxyFor(kTarget, {}), "");
  EXPECT_EQ(ProxyFor(kTarget, {.https_proxy = "http://me:hunter2@proxy:3128"}),
            "http://***@proxy:3128 (https_proxy)");
  EXPECT_EQ(ProxyFor(kTarget, {.grpc_proxy = "http://a:1", .http_proxy = "http://b:2"}),
            "http://a:1 (grpc_proxy)");
  EXPECT_EQ(ProxyFor(kTarget, {.http_proxy = "http://b:2", .no_proxy = "example.org"}), "");
}

TEST(ChannelTest, AMalformedTargetIsRefused) {
  EXPECT_THAT(MakeChannel({.target = "gateway"}, ChannelUse::kControl),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gannet::rpc
