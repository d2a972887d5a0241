// A gateway with certificate and class code, as other machines reach it.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/rpc/testing/certificates.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kCode[] = "otter-and-walrus";

// The class, its secrets in files.
class TlsTest : public testing::Test {
 protected:
  explicit TlsTest(const std::string& rounds = "6")
      : cluster_(ProgramSettings{{"run.rounds", rounds}}) {
    const rpc::TestCertificate gateway = authority_.Issue("IP:127.0.0.1,DNS:localhost");
    cluster_.Write("ca.crt", authority_.certificate());
    cluster_.Write("gateway.crt", gateway.certificate);
    cluster_.Write("gateway.key", gateway.key);
    cluster_.Write("code", absl::StrCat(kCode, "\n"));
    gateway_settings_ = {{"gateway.listen", "0.0.0.0:0"},
                         {"gateway.tls_cert_file", cluster_.PathOf("gateway.crt")},
                         {"gateway.tls_key_file", cluster_.PathOf("gateway.key")},
                         {"gateway.class_code_file", cluster_.PathOf("code")}};
    worker_settings_ = {{"worker.ca_file", cluster_.PathOf("ca.crt")},
                        {"worker.class_code_file", cluster_.PathOf("code")}};
  }

  ProgramSettings GatewayWith(const std::string& key, const std::string& value) const {
    ProgramSettings settings = gateway_settings_;
    settings[key] = value;
    return settings;
  }

  ProgramSettings WorkerWith(const std::string& key, const std::string& value) const {
    ProgramSettings settings = worker_settings_;
    settings[key] = value;
    return settings;
  }

  // Of the gateway, once it has started.
  std::string Port() const {
    const std::string& address = cluster_.gateway_address();
    return address.substr(address.rfind(':') + 1);
  }

  const rpc::TestAuthority authority_;
  E2eCluster cluster_;
  ProgramSettings gateway_settings_;
  ProgramSettings worker_settings_;
};

TEST_F(TlsTest, AClassTrainsByTlsAndNobodySeesItsCode) {
  base::ChildProcess& coordinator = cluster_.StartCoordinator();
  base::ChildProcess& gateway = cluster_.StartGateway(gateway_settings_);
  // The certificate as a student is given it: in one piece, on a command line.
  const std::string ca = absl::StrReplaceAll(
      authority_.certificate(),
      {{"-----BEGIN CERTIFICATE-----", ""}, {"-----END CERTIFICATE-----", ""}, {"\n", ""}});
  base::ChildProcess& ada = cluster_.StartWorker("ada", worker_settings_);
  base::ChildProcess& bob = cluster_.StartWorker(
      "bob", {{"worker.ca", ca}, {"worker.class_code_file", cluster_.PathOf("code")}});

  cluster_.ExpectEnd({&coordinator, &ada, &bob});
  cluster_.ExpectEveryGradientCountedOnce();
  for (const base::ChildProcess* program : {&coordinator, &gateway, &ada, &bob}) {
    EXPECT_THAT(program->err(), Not(HasSubstr(kCode)));
  }
}

class LongTlsTest : public TlsTest {
 protected:
  LongTlsTest() : TlsTest("60") {}
};

// By now the worker asks so seldom that a handshake has to go on between its calls.
TEST_F(LongTlsTest, AGatewayThatWasAwayForLongIsFoundAgain) {
  base::ChildProcess& coordinator = cluster_.StartCoordinator();
  base::ChildProcess& gateway = cluster_.StartGateway(gateway_settings_);
  base::ChildProcess& ada = cluster_.StartWorker("ada", worker_settings_);
  ASSERT_TRUE(cluster_.AwaitRounds(3));
  const std::string peer = absl::StrCat("peer=\"the gateway at ", cluster_.gateway_address(), "\"");
  const std::string waiting = absl::StrCat("waiting, will try again ", peer);
  gateway.Kill();
  ASSERT_EQ(cluster_.Text("SELECT state FROM gannet.run"), "running");
  ASSERT_TRUE(ada.AwaitError(waiting));
  const size_t first = ada.err().find(waiting);

  // As a network does that wants everybody to sign in first.
  const rpc::TestCertificate stranger = rpc::TestAuthority().Issue("IP:127.0.0.1");
  cluster_.Write("stranger.crt", stranger.certificate);
  cluster_.Write("stranger.key", stranger.key);
  ProgramSettings strange = GatewayWith("gateway.listen", absl::StrCat("0.0.0.0:", Port()));
  strange["gateway.tls_cert_file"] = cluster_.PathOf("stranger.crt");
  strange["gateway.tls_key_file"] = cluster_.PathOf("stranger.key");
  base::ChildProcess& impostor = cluster_.StartGateway(strange);
  ASSERT_TRUE(ada.AwaitError("not signed by the certificate authority", first))
      << "the line after 10 s";
  impostor.Kill();

  cluster_.StartGateway(GatewayWith("gateway.listen", absl::StrCat("0.0.0.0:", Port())));
  ASSERT_TRUE(ada.AwaitError(absl::StrCat("answers again ", peer), first));
  cluster_.ExpectEnd({&coordinator, &ada});
  cluster_.ExpectEveryGradientCountedOnce();
}

TEST_F(TlsTest, WhoeverDoesNotBelongIsToldWhy) {
  cluster_.StartCoordinator();
  cluster_.StartGateway(gateway_settings_);
  cluster_.Write("wrong", "walrus-and-otter");
  cluster_.Write("other.crt", rpc::TestAuthority().certificate());
  const std::vector<std::pair<base::ChildProcess*, std::string>> refused = {
      {&cluster_.StartWorker("no-code", {{"worker.ca_file", cluster_.PathOf("ca.crt")}}),
       "this class asks for a class code"},
      {&cluster_.StartWorker("wrong-code",
                             WorkerWith("worker.class_code_file", cluster_.PathOf("wrong"))),
       "the class code is wrong"},
      {&cluster_.StartWorker("other-ca",
                             WorkerWith("worker.ca_file", cluster_.PathOf("other.crt"))),
       "not signed by the certificate authority given here"},
      {&cluster_.StartWorker("other-name",
                             WorkerWith("worker.exchange", absl::StrCat("127.0.0.2:", Port()))),
       "for another host name"}};
  for (const auto& [worker, reason] : refused) {
    EXPECT_EQ(worker->AwaitExit(), 1);
    EXPECT_THAT(worker->err(), HasSubstr(reason));
  }
  cluster_.Write("blanks", "otter and walrus");
  const std::vector<std::pair<base::ChildProcess*, std::string>> mistaken = {
      {&cluster_.StartWorker("no-file", WorkerWith("worker.ca_file", cluster_.PathOf("nothing"))),
       "cannot read the file of worker.ca_file"},
      {&cluster_.StartWorker("no-ca", WorkerWith("worker.ca_file", cluster_.PathOf("code"))),
       "no certificate in it"},
      {&cluster_.StartWorker("blanks",
                             WorkerWith("worker.class_code_file", cluster_.PathOf("blanks"))),
       "must be one line of printable ASCII"}};
  for (const auto& [worker, reason] : mistaken) {
    EXPECT_EQ(worker->AwaitExit(), 2);
    EXPECT_THAT(worker->err(), HasSubstr(reason));
  }
  base::ChildProcess& plain =
      cluster_.StartWorker("plain", {{"worker.class_code_file", cluster_.PathOf("code")}});
  EXPECT_TRUE(plain.AwaitError("the server may want TLS"));
  EXPECT_EQ(cluster_.Number("SELECT count(*) FROM gannet.worker"), 0);
}

TEST_F(TlsTest, AGatewayThatCannotBeTrustedDoesNotStart) {
  const rpc::TestCertificate old = authority_.Issue(
      "IP:127.0.0.1",
      {.from = absl::Now() - absl::Hours(2), .until = absl::Now() - absl::Hours(1)});
  cluster_.Write("old.crt", old.certificate);
  cluster_.Write("old.key", old.key);
  cluster_.Write("empty", "");
  ProgramSettings expired = GatewayWith("gateway.tls_cert_file", cluster_.PathOf("old.crt"));
  expired["gateway.tls_key_file"] = cluster_.PathOf("old.key");
  ProgramSettings open = gateway_settings_;
  open.erase("gateway.tls_cert_file");
  open.erase("gateway.tls_key_file");
  ProgramSettings nameless = gateway_settings_;
  nameless.erase("gateway.class_code_file");
  const std::vector<std::pair<base::ChildProcess*, std::string>> programs = {
      {&cluster_.Start("expired", "gannet-gateway", expired), "the certificate expired at"},
      {&cluster_.Start("mixed", "gannet-gateway",
                       GatewayWith("gateway.tls_key_file", cluster_.PathOf("old.key"))),
       "the private key is not the certificate's"},
      {&cluster_.Start("missing", "gannet-gateway",
                       GatewayWith("gateway.tls_cert_file", cluster_.PathOf("nothing"))),
       "cannot read the file of gateway.tls_cert_file"},
      {&cluster_.Start("empty-code", "gannet-gateway",
                       GatewayWith("gateway.class_code_file", cluster_.PathOf("empty"))),
       "is empty: write the secret into it"},
      {&cluster_.Start("open", "gannet-gateway", open),
       "gateway.tls_cert_file and gateway.tls_key_file must name a certificate and its key"},
      {&cluster_.Start("nameless", "gannet-gateway", nameless),
       "gateway.class_code_file must name a file with a class code"}};
  for (const auto& [program, reason] : programs) {
    EXPECT_EQ(program->AwaitExit(), 2);
    EXPECT_THAT(program->err(), HasSubstr(reason));
  }
}

TEST_F(TlsTest, HealthIsAskedWithoutTls) {
  base::ChildProcess& gateway =
      cluster_.StartGateway(GatewayWith("gateway.health_listen", "127.0.0.1:0"));
  const std::string address =
      absl::StrCat("127.0.0.1:", E2eCluster::PortOf(gateway, "health_port"));
  ASSERT_TRUE(gateway.AwaitError("the database answers"));

  // As a container's health check asks.
  ASSERT_TRUE(base::AwaitUntil([&] {
    base::ChildProcess asked(
        {.argv = {absl::StrCat(GANNET_BINARY_DIR, "/gannet-gateway"), "--health"},
         .environment = {absl::StrCat("GANNET_GATEWAY_HEALTH_LISTEN=", address)},
         .output_prefix = cluster_.PathOf("health")});
    return asked.AwaitExit() == 0 && asked.out() == "serving\n";
  }));
  gateway.Kill();
  base::ChildProcess asked(
      {.argv = {absl::StrCat(GANNET_BINARY_DIR, "/gannet-gateway"), "--health"},
       .environment = {absl::StrCat("GANNET_GATEWAY_HEALTH_LISTEN=", address)},
       .output_prefix = cluster_.PathOf("health")});
  EXPECT_EQ(asked.AwaitExit(), 1);
  EXPECT_THAT(asked.out(), AllOf(HasSubstr("no answer from"), HasSubstr(address)));
}

}  // namespace
}  // namespace gannet::e2e
