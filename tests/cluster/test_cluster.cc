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

namespace gannet::cluster {
namespace {

constexpr int64_t kImageCount = 200;
constexpr uint64_t kFacesSeed = 5;

absl::StatusOr<std::unique_ptr<data::Dataset>> OpenFaces(int image_size) {
  data::DatasetOptions options;
  options.kind = "procedural";
  options.image_size = image_size;
  options.seed = kFacesSeed;
  options.count = kImageCount;
  return data::OpenDataset(options);
}

store::PgBackendOptions OptionsAs(const std::string& url, const std::string& role) {
  store::PgBackendOptions options;
  options.url = store::TestPostgres::UrlAs(url, role);
  options.pool_size = 4;
  return options;
}

}  // namespace

struct TestCluster::RunningWorker {
  base::StopSignal stop;
  std::unique_ptr<store::PgBackend> backend;
  std::unique_ptr<client::GrpcExchange> client;
  telemetry::Metrics metrics;
  std::unique_ptr<worker::Worker> worker;
  absl::StatusOr<worker::WorkerReport> report = absl::UnknownError("not run");
  std::thread thread;
};

domain::RunConfig FacesRunConfig(const domain::ModelConfig& model, int images_per_unit,
                                 int micro_batch, int64_t round_count) {
  domain::RunConfig config;
  config.name = "cluster";
  config.seed = 11;
  config.model = model;
  config.images_per_unit = images_per_unit;
  config.units_per_round = 2;
  config.micro_batch = micro_batch;
  config.round_count = round_count;
  config.lease = absl::Seconds(60);
  config.policy.speculation_multiplier = 0;  // however slow this machine is, a unit has one holder
  const absl::StatusOr<std::unique_ptr<data::Dataset>> faces = OpenFaces(model.image_size);
  EXPECT_OK(faces);
  const data::DatasetFingerprint& data = (*faces)->fingerprint();
  config.data = {data.kind, data.image_count, data.digest, data.description};
  return config;
}

TestCluster::TestCluster(domain::RunConfig config)
    : config_(std::move(config)), url_(store::TestPostgres::Get().CreateDatabase()) {
  store::PgBackendOptions options;
  options.url = url_;
  absl::StatusOr<std::unique_ptr<store::PgBackend>> backend =
      store::PgBackend::Create(options, telemetry::NullLogger(), metrics_);
  EXPECT_OK(backend);
  backend_ = *std::move(backend);
  reader_ = exchange::TestWorker(999);
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
  store::TestPostgres::Get().DropDatabase(url_);
}

void TestCluster::StartGateway() {
  gateway::GatewayServerOptions options = gateway::TestGatewayOptions();
  options.rpc.listen = absl::StrCat("127.0.0.1:", gateway_port_);
  absl::StatusOr<std::unique_ptr<gateway::GatewayServer>> server =
      gateway::GatewayServer::Start(options, clock_, telemetry::NullLogger());
  ASSERT_OK(server);
  gateway_ = *std::move(server);
  gateway_port_ = gateway_->port();
  ASSERT_OK(gateway_->AwaitBackend(
      [this](telemetry::Metrics& metrics) -> absl::StatusOr<gateway::GatewayBackend> {
        auto created = store::PgBackend::Create(OptionsAs(url_, "test_worker"),
                                                telemetry::NullLogger(), metrics);
        if (!created.ok()) return created.status();
        std::shared_ptr<store::PgBackend> backend = *std::move(created);
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
  explicit FaultyBackend(std::unique_ptr<store::PgBackend> real)
      : backend(std::move(real)), store(backend->store()) {}

  std::unique_ptr<store::PgBackend> backend;
  coordinator::FaultyStore store;
};

}  // namespace

void TestCluster::StartCoordinator() {
  coordinator::CoordinatorServerOptions options;
  options.coordinator.run = config_;
  options.coordinator.leader = base::LeaderId(base::RandomHex(16));
  options.coordinator.standby_interval = absl::Milliseconds(20);
  absl::StatusOr<std::unique_ptr<coordinator::CoordinatorServer>> server =
      coordinator::CoordinatorServer::Start(options, clock_, telemetry::NullLogger());
  ASSERT_OK(server);
  coordinator_ = *std::move(server);
  coordinator_thread_ = std::thread([this] {
    EXPECT_OK(coordinator_->Run(
        [this](telemetry::Metrics& metrics) -> absl::StatusOr<coordinator::CoordinatorBackend> {
          auto created = store::PgBackend::Create(OptionsAs(url_, "test_coordinator"),
                                                  telemetry::NullLogger(), metrics);
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
  exchange::Exchange* exchange = nullptr;
  if (path == WorkerPath::kDirect) {
    auto backend = store::PgBackend::Create(OptionsAs(url_, "test_worker"), telemetry::NullLogger(),
                                            running->metrics);
    EXPECT_OK(backend);
    running->backend = *std::move(backend);
    exchange = &running->backend->exchange();
  } else {
    client::GrpcExchangeOptions options;
    options.channel.target = absl::StrCat("127.0.0.1:", gateway_port_);
    auto client = client::GrpcExchange::Create(options);
    EXPECT_OK(client);
    running->client = *std::move(client);
    exchange = running->client.get();
  }
  worker::WorkerOptions options;
  options.identity = exchange::TestWorker(number, /*incarnation=*/number + 1);
  options.display_name = absl::StrCat("worker ", number);
  options.peer = "the cluster";
  options.claim_wait = absl::Seconds(1);
  options.backoff = {.initial = absl::Milliseconds(5), .max = absl::Milliseconds(100)};
  running->worker = std::make_unique<worker::Worker>(
      options, *exchange, OpenFaces, gan::MakeGradientComputer, running->stop, clock_,
      telemetry::NullLogger(), running->metrics);
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

std::string TestCluster::worker_url() const {
  return store::TestPostgres::UrlAs(url_, "test_worker");
}

base::RunId TestCluster::run() {
  while (true) {
    const absl::StatusOr<exchange::RunStatus> status = store().FindRun(config_.name);
    if (status.ok()) return status->run;
    // The coordinator makes the run; until then there is nothing to be told of.
    EXPECT_EQ(status.status().code(), absl::StatusCode::kNotFound) << status.status();
    std::this_thread::yield();
  }
}

void TestCluster::AwaitRounds(int64_t rounds) {
  const base::RunId id = run();
  while (true) {
    const absl::StatusOr<exchange::RunStatus> status = store().GetRunStatus(id);
    if (status.ok() && status->weights_version.value() >= rounds) return;
    if (status.ok()) {
      ASSERT_EQ(status->state, domain::RunState::kRunning) << status->state_reason;
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

exchange::Payload TestCluster::Weights(base::WeightsVersion version) {
  EXPECT_OK(direct_exchange().Join(exchange::TestJoin(reader_, config_)));
  absl::StatusOr<exchange::Payload> payload =
      direct_exchange().FetchWeights({reader_, run(), version});
  EXPECT_OK(payload);
  return payload.value_or(exchange::Payload{});
}

std::string TestCluster::FinalWeightsSha() {
  return base::HexEncode(Weights(base::WeightsVersion(config_.round_count)).sha256);
}

}  // namespace gannet::cluster
