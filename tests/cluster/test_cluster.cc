#include "tests/cluster/test_cluster.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/client/grpc_exchange.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/testing/test_postgres.h"
#include "services/coordinator/testing/faulty_store.h"
#include "services/gateway/testing/gateway_fixture.h"

namespace gannet {
namespace {

constexpr int64_t kImageCount = 200;
constexpr uint64_t kFacesSeed = 5;

absl::StatusOr<std::unique_ptr<Dataset>> OpenFaces(int image_size) {
  DatasetOptions options;
  options.kind = "procedural";
  options.image_size = image_size;
  options.seed = kFacesSeed;
  options.count = kImageCount;
  return OpenDataset(options);
}

PgBackendOptions OptionsAs(const std::string& url, const std::string& role) {
  PgBackendOptions options;
  options.url = TestPostgres::UrlAs(url, role);
  options.pool_size = 4;
  return options;
}

}  // namespace

struct TestCluster::RunningWorker {
  StopSignal stop;
  std::unique_ptr<PgBackend> backend;
  std::unique_ptr<GrpcExchange> client;
  Metrics metrics;
  std::unique_ptr<worker::Worker> worker;
  absl::StatusOr<worker::WorkerReport> report = absl::UnknownError("not run");
  std::thread thread;
};

RunConfig FacesRunConfig(const ModelConfig& model, int images_per_unit, int micro_batch,
                         int64_t round_count) {
  RunConfig config;
  config.name = "cluster";
  config.seed = 11;
  config.model = model;
  config.images_per_unit = images_per_unit;
  config.units_per_round = 2;
  config.micro_batch = micro_batch;
  config.round_count = round_count;
  config.lease = absl::Seconds(60);
  config.policy.spare_after = 0;  // however slow this machine is, a unit has one holder
  const absl::StatusOr<std::unique_ptr<Dataset>> faces = OpenFaces(model.image_size);
  EXPECT_OK(faces);
  const DatasetFingerprint& data = (*faces)->fingerprint();
  config.data = {data.kind, data.image_count, data.digest, data.description};
  return config;
}

TestCluster::TestCluster(RunConfig config)
    : config_(std::move(config)), url_(TestPostgres::Get().CreateDatabase()) {
  PgBackendOptions options;
  options.url = url_;
  absl::StatusOr<std::unique_ptr<PgBackend>> backend =
      PgBackend::Create(options, NullLogger(), metrics_);
  EXPECT_OK(backend);
  backend_ = *std::move(backend);
  reader_ = TestWorker(999);
}

TestCluster::~TestCluster() {
  for (const std::unique_ptr<RunningWorker>& running : workers_) {
    running->worker->RequestStop();
    if (running->thread.joinable()) running->thread.join();
  }
  workers_.clear();
  StopCoordinator();
  StopGateway();
  backend_.reset();
  TestPostgres::Get().DropDatabase(url_);
}

void TestCluster::StartGateway() {
  gateway::GatewayServerOptions options = gateway::TestGatewayOptions();
  options.rpc.listen = absl::StrCat("127.0.0.1:", gateway_port_);
  absl::StatusOr<std::unique_ptr<gateway::GatewayServer>> server =
      gateway::GatewayServer::Start(options, clock_, NullLogger());
  ASSERT_OK(server);
  gateway_ = *std::move(server);
  gateway_port_ = gateway_->port();
  ASSERT_OK(
      gateway_->AwaitBackend([this](Metrics& metrics) -> absl::StatusOr<gateway::GatewayBackend> {
        auto created = PgBackend::Create(OptionsAs(url_, "test_worker"), NullLogger(), metrics);
        if (!created.ok()) return created.status();
        std::shared_ptr<PgBackend> backend = *std::move(created);
        gateway::GatewayBackend result;
        result.owner = backend;
        result.exchange = &backend->exchange();
        result.signal = &backend->work_signal();
        result.probe = [raw = backend.get()] { return raw->Ping(); };
        result.reports = &backend->gateway_reports();
        return result;
      }));
}

void TestCluster::StopGateway() {
  if (gateway_ != nullptr) gateway_->Stop();
  gateway_.reset();
}

namespace {

// A coordinator's database, whose calls may fail.
struct FaultyBackend {
  explicit FaultyBackend(std::unique_ptr<PgBackend> real)
      : backend(std::move(real)), store(backend->store()) {}

  std::unique_ptr<PgBackend> backend;
  coordinator::FaultyStore store;
};

}  // namespace

void TestCluster::StartCoordinator() {
  coordinator::CoordinatorServerOptions options;
  options.coordinator.run = config_;
  options.coordinator.leader = LeaderId(RandomHex(16));
  options.coordinator.standby_interval = absl::Milliseconds(20);
  absl::StatusOr<std::unique_ptr<coordinator::CoordinatorServer>> server =
      coordinator::CoordinatorServer::Start(options, clock_, NullLogger());
  ASSERT_OK(server);
  coordinator_ = *std::move(server);
  coordinator_thread_ = std::thread([this] {
    EXPECT_OK(coordinator_->Run(
        [this](Metrics& metrics) -> absl::StatusOr<coordinator::CoordinatorBackend> {
          auto created =
              PgBackend::Create(OptionsAs(url_, "test_coordinator"), NullLogger(), metrics);
          if (!created.ok()) return created.status();
          const auto backend = std::make_shared<FaultyBackend>(*std::move(created));
          if (keep_blobs_) {
            backend->store.FailBefore("ReclaimBlobs", absl::UnavailableError("to be looked at"));
          }
          coordinator::CoordinatorBackend result;
          result.store = &backend->store;
          result.gateways = &backend->backend->gateway_reports();
          result.owner = backend;
          return result;
        }));
  });
}

void TestCluster::StopCoordinator() {
  if (coordinator_ == nullptr) return;
  coordinator_->RequestStop();
  coordinator_thread_.join();
  coordinator_.reset();
}

int TestCluster::AddWorker(WorkerPath path) {
  const int number = static_cast<int>(workers_.size());
  auto running = std::make_unique<RunningWorker>();
  Exchange* exchange = nullptr;
  if (path == WorkerPath::kDirect) {
    auto backend =
        PgBackend::Create(OptionsAs(url_, "test_worker"), NullLogger(), running->metrics);
    EXPECT_OK(backend);
    running->backend = *std::move(backend);
    exchange = &running->backend->exchange();
  } else {
    GrpcExchangeOptions options;
    options.channel.target = absl::StrCat("127.0.0.1:", gateway_port_);
    auto client = GrpcExchange::Create(options);
    EXPECT_OK(client);
    running->client = *std::move(client);
    exchange = running->client.get();
  }
  worker::WorkerOptions options;
  options.identity = TestWorker(number, /*incarnation=*/number + 1);
  options.display_name = absl::StrCat("worker ", number);
  options.peer = "the cluster";
  options.claim_wait = absl::Seconds(1);
  options.backoff = {.initial = absl::Milliseconds(5), .max = absl::Milliseconds(100)};
  running->worker =
      std::make_unique<worker::Worker>(options, *exchange, OpenFaces, MakeGradientComputer,
                                       running->stop, clock_, NullLogger(), running->metrics);
  running->thread = std::thread([raw = running.get()] { raw->report = raw->worker->Run(); });
  workers_.push_back(std::move(running));
  return number;
}

absl::StatusOr<worker::WorkerReport> TestCluster::StopWorker(int number) {
  RunningWorker& running = *workers_[static_cast<size_t>(number)];
  running.worker->RequestStop();
  if (running.thread.joinable()) running.thread.join();
  return running.report;
}

std::string TestCluster::worker_url() const { return TestPostgres::UrlAs(url_, "test_worker"); }

RunId TestCluster::run() {
  while (true) {
    const absl::StatusOr<RunStatus> status = store().FindRun(config_.name);
    if (status.ok()) return status->run;
    // The coordinator makes the run; until then there is nothing to be told of.
    EXPECT_EQ(status.status().code(), absl::StatusCode::kNotFound) << status.status();
    std::this_thread::yield();
  }
}

void TestCluster::AwaitRounds(int64_t rounds) {
  const RunId id = run();
  while (true) {
    const absl::StatusOr<RunStatus> status = store().GetRunStatus(id);
    if (status.ok() && status->weights_version.value() >= rounds) return;
    if (status.ok()) {
      ASSERT_EQ(status->state, RunState::kRunning) << status->state_reason;
    }
    store().AwaitChange(id, absl::Milliseconds(20));
  }
}

void TestCluster::AwaitFinished() {
  AwaitRounds(config_.round_count);
  for (const std::unique_ptr<RunningWorker>& running : workers_) {
    if (!running->thread.joinable()) continue;
    running->thread.join();
    ASSERT_OK(running->report);
    EXPECT_EQ(running->report->end, worker::WorkerReport::End::kRunFinished);
  }
}

Payload TestCluster::Weights(WeightsVersion version) {
  EXPECT_OK(direct_exchange().Join(TestJoin(reader_, config_)));
  absl::StatusOr<Payload> payload = direct_exchange().FetchWeights({reader_, run(), version});
  EXPECT_OK(payload);
  return payload.value_or(Payload{});
}

std::string TestCluster::FinalWeightsSha() {
  return HexEncode(Weights(WeightsVersion(config_.round_count)).sha256);
}

}  // namespace gannet
