// Real servers and clients: what gRPC says when a handshake fails is only known by trying.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/health_probe.h"
#include "libs/rpc/server.h"
#include "libs/rpc/testing/certificates.h"
#include "libs/rpc/tls.h"

namespace gannet::rpc {
namespace {

using ::testing::HasSubstr;

class TlsHandshakeTest : public testing::Test {
 protected:
  void Serve(std::shared_ptr<grpc::ServerCredentials> credentials) {
    RpcServerOptions options;
    options.credentials = std::move(credentials);
    auto server = RpcServer::Start(options, {}, metrics_, clock_);
    ASSERT_OK(server);
    server_ = *std::move(server);
    server_->SetServing(true);
  }

  void ServeTls(const std::string& names) {
    const TestCertificate certificate = authority_.Issue(names);
    const auto credentials = MakeServerTls({certificate.certificate, "certificate"},
                                           {certificate.key, "key"}, absl::Now());
    ASSERT_OK(credentials);
    Serve(*credentials);
  }

  absl::StatusOr<bool> Ask(std::shared_ptr<grpc::ChannelCredentials> credentials) {
    ChannelOptions options;
    options.target = absl::StrCat("127.0.0.1:", server_->bound_port());
    options.credentials = std::move(credentials);
    const auto channel = MakeChannel(options, ChannelUse::kControl);
    if (!channel.ok()) return channel.status();
    return ProbeHealth(*channel, "", absl::Seconds(30));
  }

  absl::StatusOr<bool> AskTrusting(const std::string& authority) {
    const auto credentials = MakeChannelTls({authority, "authority"}, absl::Now());
    if (!credentials.ok()) return credentials.status();
    return Ask(*credentials);
  }

  // Of a failed call.
  static HandshakeAdvice AdviceOn(const absl::StatusOr<bool>& answer) {
    EXPECT_FALSE(answer.ok());
    return AdviseOnHandshake(answer.status().message());
  }

  base::RealClock clock_;
  telemetry::Metrics metrics_;
  const TestAuthority authority_;
  std::unique_ptr<RpcServer> server_;
};

TEST_F(TlsHandshakeTest, TheRightAuthorityIsServed) {
  ServeTls("IP:127.0.0.1");

  EXPECT_THAT(AskTrusting(authority_.certificate()), base::IsOkAndHolds(true));
}

TEST_F(TlsHandshakeTest, AnotherAuthorityIsToldFromAServerThatIsAway) {
  ServeTls("IP:127.0.0.1");

  // OpenSSL says something else when the other authority has the same name.
  for (const char* name : {"Gannet test authority", "another authority"}) {
    const absl::StatusOr<bool> answer = AskTrusting(TestAuthority({}, name).certificate());
    const HandshakeAdvice advice = AdviceOn(answer);
    EXPECT_THAT(advice.text, HasSubstr("certificate authority")) << answer.status();
    EXPECT_TRUE(advice.certain);
  }
}

TEST_F(TlsHandshakeTest, ACertificateForAnotherHostIsToldFromAServerThatIsAway) {
  ServeTls("DNS:elsewhere.example");

  const absl::StatusOr<bool> answer = AskTrusting(authority_.certificate());
  const HandshakeAdvice advice = AdviceOn(answer);
  EXPECT_THAT(advice.text, HasSubstr("another host name")) << answer.status();
  EXPECT_TRUE(advice.certain);
}

TEST_F(TlsHandshakeTest, TlsToAServerWithoutIsToldFromAServerThatIsAway) {
  Serve(grpc::InsecureServerCredentials());

  const absl::StatusOr<bool> answer = AskTrusting(authority_.certificate());
  const HandshakeAdvice advice = AdviceOn(answer);
  EXPECT_THAT(advice.text, HasSubstr("does not speak TLS")) << answer.status();
  EXPECT_TRUE(advice.certain);
}

TEST_F(TlsHandshakeTest, PlaintextToAServerWithTlsIsGuessed) {
  ServeTls("IP:127.0.0.1");

  const absl::StatusOr<bool> answer = Ask(grpc::InsecureChannelCredentials());
  const HandshakeAdvice advice = AdviceOn(answer);
  EXPECT_THAT(advice.text, HasSubstr("may want TLS")) << answer.status();
  EXPECT_FALSE(advice.certain);
}

TEST_F(TlsHandshakeTest, AServerThatIsAwayNeedsNoAdvice) {
  ServeTls("IP:127.0.0.1");
  const int port = server_->bound_port();
  server_.reset();
  ChannelOptions options;
  options.target = absl::StrCat("127.0.0.1:", port);
  ASSERT_OK_AND_ASSIGN(options.credentials,
                       MakeChannelTls({authority_.certificate(), "authority"}, absl::Now()));
  ASSERT_OK_AND_ASSIGN(const auto channel, MakeChannel(options, ChannelUse::kControl));

  EXPECT_EQ(AdviceOn(ProbeHealth(channel, "", absl::Seconds(30))).text, "");
}

}  // namespace
}  // namespace gannet::rpc
