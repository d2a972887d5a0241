// What a gateway refuses is seen by whoever looks after the class: from the refusal over PostgreSQL
// and the coordinator to the admin service.

#include <memory>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/client/admin_client.h"
#include "libs/exchange/testing/test_values.h"
#include "services/gateway/testing/gateway_fixture.h"
#include "services/gateway/testing/waiting.h"
#include "tests/cluster/test_cluster.h"

namespace gannet::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;

TEST(GatewayReportsTest, WhoeverAsksForTheStatusIsToldWhatAGatewayRefuses) {
  TestCluster cluster(
      FacesRunConfig({.image_size = 32, .latent_dim = 2, .base_width = 1}, 2, 2, 1000));
  ASSERT_NO_FATAL_FAILURE(cluster.StartGateway());
  ASSERT_NO_FATAL_FAILURE(cluster.StartCoordinator());
  auto admin = client::AdminClient::Create(
      {.channel = {.target = absl::StrCat("127.0.0.1:", cluster.admin_port())}});
  ASSERT_OK(admin);
  client::RunReport report;
  ASSERT_TRUE(gateway::AwaitTrue([&] {
    const absl::StatusOr<client::RunReport> answer = (*admin)->GetRun();
    if (answer.ok()) report = *answer;
    return answer.ok();
  }));
  EXPECT_TRUE(report.gateways.empty());
  auto client = gateway::ConnectTo(cluster.gateway_port());
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(client->Join(exchange::TestJoin(worker, cluster.config())));
  ASSERT_OK_AND_ASSIGN(
      const exchange::ClaimResult claim,
      client->Claim({worker, cluster.run(), base::RandomHex(16), absl::Seconds(30)}));
  ASSERT_TRUE(claim.unit.has_value());
  exchange::SubmitRequest submit = exchange::TestSubmit(cluster.config(), worker, *claim.unit);
  submit.payload = exchange::Payload::FromBytes(tensor::Codec::kFp32, std::string(4 << 20, 'x'));

  EXPECT_THAT(client->Submit(submit), base::StatusIs(absl::StatusCode::kInvalidArgument));

  EXPECT_TRUE(gateway::AwaitTrue([&] {
    const absl::StatusOr<client::RunReport> answer = (*admin)->GetRun();
    if (answer.ok()) report = *answer;
    return !report.gateways.empty();
  }));
  ASSERT_EQ(report.gateways.size(), 1u);
  EXPECT_THAT(report.gateways[0].gateway, EndsWith(absl::StrCat(":", cluster.gateway_port())));
  EXPECT_THAT(report.gateways[0].refusing, ElementsAre("upload_size"));
}

}  // namespace
}  // namespace gannet::cluster
