#include "services/worker/gateway_connection.h"

#include <fstream>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/rpc/testing/certificates.h"

namespace gannet::worker {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class GatewayConnectionTest : public testing::Test {
 protected:
  absl::StatusOr<client::GrpcExchangeOptions> Connection() {
    return GatewayConnectionFrom(config_, absl::Now());
  }

  static bool IsPlaintext(const client::GrpcExchangeOptions& options) {
    return options.channel.credentials == nullptr;
  }

  config::Config config_;
  const rpc::TestAuthority authority_;
};

TEST_F(GatewayConnectionTest, LoopbackIsPlaintextUnlessAnAuthorityIsNamed) {
  config_.worker.exchange = "127.0.0.1:50051";
  ASSERT_OK_AND_ASSIGN(const client::GrpcExchangeOptions plain, Connection());
  EXPECT_TRUE(IsPlaintext(plain));

  config_.worker.ca = authority_.certificate();
  ASSERT_OK_AND_ASSIGN(const client::GrpcExchangeOptions secure, Connection());
  EXPECT_FALSE(IsPlaintext(secure));
}

TEST_F(GatewayConnectionTest, OtherMachinesAreReachedByTlsUnlessPlaintextIsAskedFor) {
  config_.worker.exchange = "gateway.example:50051";
  ASSERT_OK_AND_ASSIGN(const client::GrpcExchangeOptions secure, Connection());
  EXPECT_FALSE(IsPlaintext(secure));

  config_.worker.allow_plaintext = true;
  ASSERT_OK_AND_ASSIGN(const client::GrpcExchangeOptions plain, Connection());
  EXPECT_TRUE(IsPlaintext(plain));
}

TEST_F(GatewayConnectionTest, TheClassCodeComesFromSettingOrFile) {
  config_.worker.class_code = "otter-42";
  ASSERT_OK_AND_ASSIGN(const client::GrpcExchangeOptions direct, Connection());
  EXPECT_EQ(direct.class_code, "otter-42");

  const std::string path = testing::TempDir() + "/class-code";
  std::ofstream(path) << "walrus-7\n";
  config_.worker.class_code.clear();
  config_.worker.class_code_file = path;
  ASSERT_OK_AND_ASSIGN(const client::GrpcExchangeOptions by_file, Connection());
  EXPECT_EQ(by_file.class_code, "walrus-7");
}

TEST_F(GatewayConnectionTest, WhatCannotBeUsedIsNamed) {
  config_.worker.ca = "bm90IGEgY2VydGlmaWNhdGU=";
  EXPECT_THAT(Connection(), base::StatusIs(absl::StatusCode::kInvalidArgument,
                                           AllOf(HasSubstr("worker.ca is not a certificate"),
                                                 HasSubstr("copied"))));
  config_.worker.ca.clear();
  config_.worker.ca_file = "/nowhere/ca.crt";
  EXPECT_THAT(Connection(),
              base::StatusIs(absl::StatusCode::kNotFound,
                             AllOf(HasSubstr("worker.ca_file"), HasSubstr("/nowhere/ca.crt"))));
}

}  // namespace
}  // namespace gannet::worker
