#include "services/coordinator/coordinator_server.h"

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/client/admin_client.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/health_probe.h"
#include "services/coordinator/testing/fake_workers.h"
#include "services/coordinator/testing/faulty_store.h"

namespace gannet::coordinator {
namespace {

using ::testing::HasSubstr;

constexpr char kToken[] = "sesame";

CoordinatorServerOptions QuickServer() {
  CoordinatorServerOptions options;
  options.coordinator.run = exchange::TinyRunConfig();
  options.coordinator.run.round_count = 2;
  options.coordinator.leader = exchange::TestLeader(1);
  options.coordinator.term.change_wait_max = absl::Milliseconds(20);
  options.coordinator.term.status_interval = absl::Milliseconds(5);
  options.coordinator.term.backoff = {absl::Milliseconds(1), absl::Milliseconds(5), 2.0};
  options.admin_token = kToken;
  return options;
}

class CoordinatorServerTest : public ::testing::Test {
 protected:
  ~CoordinatorServerTest() override {
    if (!thread_.joinable()) return;
    server_->RequestStop();
    thread_.join();
  }

  void Run(CoordinatorServer::Connect connect) {
    server_ = *CoordinatorServer::Start(QuickServer(), clock_, telemetry::NullLogger());
    thread_ =
        std::thread([this, connect = std::move(connect)] { report_ = server_->Run(connect); });
  }

  // Connects at the third attempt.
  absl::StatusOr<CoordinatorBackend> ConnectLate(telemetry::Metrics&) {
    if (++attempts_ < 3) return absl::UnavailableError("connection refused");
    return CoordinatorBackend{nullptr, &store_, nullptr};
  }

  void RunAndAwaitRun() {
    Run([this](telemetry::Metrics& metrics) { return ConnectLate(metrics); });
    ASSERT_TRUE(store_.AwaitUntil([&] { return Client(kToken)->GetRun().ok(); }));
  }

  std::unique_ptr<client::AdminClient> Client(const std::string& token) {
    client::AdminClientOptions options;
    options.channel.target = absl::StrCat("127.0.0.1:", server_->admin_port());
    options.token = token;
    return *client::AdminClient::Create(options);
  }

  base::RealClock clock_;
  exchange::MemoryBackend backend_{clock_};
  FaultyStore store_{backend_.store()};
  std::atomic<int> attempts_ = 0;  // to connect
  std::atomic<bool> database_up_ = false;
  std::unique_ptr<CoordinatorServer> server_;
  absl::StatusOr<CoordinatorReport> report_ = absl::UnknownError("not run");
  std::thread thread_;
};

TEST_F(CoordinatorServerTest, CoordinatesARunAndAnswersQuestionsAboutIt) {
  RunAndAwaitRun();
  const std::unique_ptr<client::AdminClient> client = Client(kToken);
  FakeWorkers workers(backend_.exchange(), QuickServer().coordinator.run);
  ASSERT_OK(workers.PlayRounds(1, {0, 1, 2}));
  // The rate is counted after the publication.
  ASSERT_TRUE(store_.AwaitUntil([&] { return client->GetRun()->images_per_second > 0; }));

  ASSERT_OK_AND_ASSIGN(const client::RunReport run, client->GetRun());
  EXPECT_EQ(run.config, QuickServer().coordinator.run);
  EXPECT_EQ(run.state, domain::RunState::kRunning);
  EXPECT_EQ(run.worker_count, 2);
  EXPECT_EQ(run.weights_version, base::WeightsVersion(1));
  ASSERT_TRUE(run.last_round.has_value());
  EXPECT_EQ(run.last_round->round, base::Round(1));
  ASSERT_OK_AND_ASSIGN(const auto rounds, client->ListRounds(10, ""));
  EXPECT_EQ(rounds.items.size(), 1u);
  ASSERT_OK_AND_ASSIGN(const auto list, client->ListWorkers(10, ""));
  EXPECT_EQ(list.items.size(), 2u);

  ASSERT_OK(workers.PlayRounds(1, {0, 1, 2}));
  thread_.join();
  ASSERT_OK(report_);
  EXPECT_EQ(report_->end, CoordinatorReport::End::kRunFinished);
}

TEST_F(CoordinatorServerTest, TheRunCanBePausedAndStoppedFromOutside) {
  RunAndAwaitRun();
  const std::unique_ptr<client::AdminClient> client = Client(kToken);

  ASSERT_OK(client->SetRunState(domain::RunState::kPaused, "lunch"));
  EXPECT_EQ(client->GetRun()->state, domain::RunState::kPaused);
  EXPECT_EQ(client->GetRun()->state_reason, "lunch");
  ASSERT_OK(client->SetRunState(domain::RunState::kStopped, "enough"));

  thread_.join();
  ASSERT_OK(report_);
  EXPECT_EQ(report_->end, CoordinatorReport::End::kRunStopped);
}

TEST_F(CoordinatorServerTest, AWorkerIsRemovedAndRestoredFromOutside) {
  RunAndAwaitRun();
  const std::unique_ptr<client::AdminClient> client = Client(kToken);
  const domain::RunConfig config = QuickServer().coordinator.run;
  exchange::JoinRequest join = exchange::TestJoin(exchange::TestWorker(1), config);
  join.display_name = "Ben";
  ASSERT_OK_AND_ASSIGN(const exchange::JoinResult joined, backend_.exchange().Join(join));

  ASSERT_OK_AND_ASSIGN(const exchange::WorkerSummary removed, client->RemoveWorker("Ben", "plays"));
  EXPECT_EQ(removed.worker, exchange::TestWorker(1).id);
  EXPECT_EQ(removed.removed_reason, "plays");
  EXPECT_THAT(backend_.exchange().Heartbeat(exchange::TestWorker(1), joined.run, {}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("plays")));
  EXPECT_EQ(client->ListWorkers(10, "")->items.at(0).removed_reason, "plays");
  EXPECT_THAT(client->RemoveWorker("Eve", "x"), base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(client->RemoveWorker("Ben", ""), base::StatusIs(absl::StatusCode::kInvalidArgument));

  ASSERT_OK_AND_ASSIGN(const exchange::WorkerSummary restored, client->RestoreWorker("Ben"));
  EXPECT_EQ(restored.removed_reason, "");
  EXPECT_OK(backend_.exchange().Heartbeat(exchange::TestWorker(1), joined.run, {}));
}

TEST_F(CoordinatorServerTest, CallsWithoutTheRightTokenAreRefused) {
  RunAndAwaitRun();

  for (const char* token : {"", "sesamE", "sesam", "sesame1"}) {
    const std::unique_ptr<client::AdminClient> client = Client(token);
    EXPECT_THAT(client->GetRun(), base::StatusIs(absl::StatusCode::kUnauthenticated)) << token;
    EXPECT_THAT(client->ListWorkers(1, ""), base::StatusIs(absl::StatusCode::kUnauthenticated));
    EXPECT_THAT(client->ListRounds(1, ""), base::StatusIs(absl::StatusCode::kUnauthenticated));
    EXPECT_THAT(client->RemoveWorker(exchange::TestWorker(1).id.value(), "x"),
                base::StatusIs(absl::StatusCode::kUnauthenticated));
    EXPECT_THAT(client->RestoreWorker(exchange::TestWorker(1).id.value()),
                base::StatusIs(absl::StatusCode::kUnauthenticated));
    EXPECT_THAT(client->SetRunState(domain::RunState::kStopped, ""),
                base::StatusIs(absl::StatusCode::kUnauthenticated));
  }
  EXPECT_EQ(Client(kToken)->GetRun()->state, domain::RunState::kRunning);
}

TEST_F(CoordinatorServerTest, IsUnavailableWhileTheDatabaseIsAwaited) {
  Run([this](telemetry::Metrics&) -> absl::StatusOr<CoordinatorBackend> {
    ++attempts_;
    return absl::UnavailableError("connection refused");
  });

  EXPECT_THAT(Client(kToken)->GetRun(), base::StatusIs(absl::StatusCode::kUnavailable));

  ASSERT_TRUE(store_.AwaitUntil([&] { return attempts_ > 3; }));
  server_->RequestStop();
  thread_.join();
  ASSERT_OK(report_);
  EXPECT_EQ(report_->end, CoordinatorReport::End::kAskedToStop);
}

TEST_F(CoordinatorServerTest, HealthIsServingOnlyOnceTheRunIsKnown) {
  Run([this](telemetry::Metrics&) -> absl::StatusOr<CoordinatorBackend> {
    if (!database_up_) return absl::UnavailableError("connection refused");
    return CoordinatorBackend{nullptr, &store_, nullptr};
  });
  rpc::ChannelOptions options;
  options.target = absl::StrCat("127.0.0.1:", server_->admin_port());
  ASSERT_OK_AND_ASSIGN(const auto channel, rpc::MakeChannel(options, rpc::ChannelUse::kControl));
  const auto probe = [&] {
    return rpc::ProbeHealth(channel, "gannet.v1.AdminService", absl::Seconds(30));
  };
  EXPECT_THAT(probe(), base::IsOkAndHolds(false));

  database_up_ = true;

  EXPECT_TRUE(store_.AwaitUntil([&] { return *probe(); }));
}

TEST_F(CoordinatorServerTest, AnotherSchemaVersionEndsItWithTheReason) {
  Run([](telemetry::Metrics&) -> absl::StatusOr<CoordinatorBackend> {
    return absl::FailedPreconditionError("run gannet migrate");
  });

  thread_.join();

  EXPECT_THAT(report_,
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("gannet migrate")));
}

TEST_F(CoordinatorServerTest, AnAddressInUseIsAnError) {
  RunAndAwaitRun();
  CoordinatorServerOptions options = QuickServer();
  options.admin_listen = absl::StrCat("127.0.0.1:", server_->admin_port());

  EXPECT_THAT(CoordinatorServer::Start(options, clock_, telemetry::NullLogger()),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gannet::coordinator
