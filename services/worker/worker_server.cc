#include "services/worker/worker_server.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "libs/base/host_name.h"
#include "libs/base/status_macros.h"
#include "libs/client/grpc_exchange.h"
#include "libs/data/image_cache.h"
#include "libs/exchange/validation.h"
#include "libs/gan/gan.h"
#include "libs/pg/connection_params.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/tls.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/metrics.h"
#include "services/worker/gateway_connection.h"
#include "services/worker/hardware.h"
#include "services/worker/memory_limit.h"
#include "services/worker/worker_identity.h"

namespace gannet::worker {
namespace {

// Decoded images kept in memory: 20,000 of 64x64.
constexpr int64_t kImageCacheBytes = int64_t{256} << 20;

// The way to the run: by a gateway, or straight to the database.
struct Connection {
  std::string peer;                              // for people
  std::unique_ptr<store::PgBackend> backend;     // direct mode only
  std::unique_ptr<client::GrpcExchange> client;  // otherwise
  exchange::Exchange& exchange() { return backend != nullptr ? backend->exchange() : *client; }
};

bool IsDirect(const config::Config& config) {
  return absl::StartsWith(config.worker.exchange, "postgres://") ||
         absl::StartsWith(config.worker.exchange, "postgresql://");
}

absl::StatusOr<Connection> Connect(const config::Config& config, base::Clock& clock,
                                   base::StopSignal& stop, telemetry::Logger& log,
                                   telemetry::Metrics& metrics) {
  Connection connection;
  if (!IsDirect(config)) {
    connection.peer = absl::StrCat("the gateway at ", config.worker.exchange);
    GANNET_ASSIGN_OR_RETURN(const client::GrpcExchangeOptions options,
                            GatewayConnectionFrom(config, absl::Now()));
    if (options.channel.credentials == nullptr &&
        !config::IsLoopbackAddress(config.worker.exchange)) {
      log.Warning(
          "plaintext: anybody on the way to the gateway can read class code and weights; set "
          "worker.ca_file");
    }
    GANNET_ASSIGN_OR_RETURN(connection.client, client::GrpcExchange::Create(options));
    return connection;
  }
  connection.peer = "the database";
  store::PgBackendOptions options;
  options.url = config.worker.exchange;
  options.password_file = config.database.password_file;
  options.pool_size = 2;
  options.application_name = "gannet-worker";
  telemetry::RetryingCaller caller(connection.peer, clock, stop, log);
  GANNET_ASSIGN_OR_RETURN(connection.backend, caller.CallFor("connect", [&] {
    return store::PgBackend::Create(options, log, metrics);
  }));
  return connection;
}

// Metrics are served on another port when the wanted one is taken: a second worker on a machine is
// no mistake.
absl::StatusOr<std::unique_ptr<telemetry::MetricsServer>> ServeMetrics(
    const config::Config& config, telemetry::Logger& log, telemetry::Metrics& metrics) {
  absl::StatusOr<std::unique_ptr<telemetry::MetricsServer>> server =
      telemetry::MetricsServer::Start(metrics, config.worker.metrics_listen);
  if (server.status().code() != absl::StatusCode::kUnavailable) return server;
  const std::string host =
      config.worker.metrics_listen.substr(0, config.worker.metrics_listen.rfind(':'));
  GANNET_ASSIGN_OR_RETURN(std::unique_ptr<telemetry::MetricsServer> other,
                          telemetry::MetricsServer::Start(metrics, absl::StrCat(host, ":0")));
  log.Warning("port of the metrics is in use, took another one",
              {{"wanted", config.worker.metrics_listen}, {"port", other->bound_port()}});
  return other;
}

const char* EndName(WorkerReport::End end) {
  switch (end) {
    case WorkerReport::End::kRunFinished:
      return "the run is finished";
    case WorkerReport::End::kRunStopped:
      return "the run was stopped";
    case WorkerReport::End::kAskedToStop:
      return "asked to stop";
  }
  return "";
}

void LogSummary(const WorkerReport& report, telemetry::Logger& log) {
  const double seconds = absl::ToDoubleSeconds(report.duration);
  log.Info("done, thank you for the help",
           {{"because", EndName(report.end)},
            {"units", report.accepted_units},
            {"images", report.accepted_images},
            {"wasted_units", report.wasted_units},
            {"duration", report.duration},
            {"images_per_second",
             seconds > 0 ? static_cast<double>(report.accepted_images) / seconds : 0.0}});
}

// Says why a first start takes its time; less than this is read before anybody wonders.
constexpr int64_t kQuietBytes = int64_t{100} << 20;
constexpr int64_t kLoggedParts = 4;

std::function<void(int64_t, int64_t)> LogReading(telemetry::Logger& log) {
  return [&log, next = int64_t{0}](int64_t done_bytes, int64_t total_bytes) mutable {
    if (total_bytes < kQuietBytes || done_bytes < next) return;
    next = done_bytes + total_bytes / kLoggedParts;
    log.Info("reading the images for their fingerprint, once",
             {{"megabytes", done_bytes / 1'000'000}, {"of", total_bytes / 1'000'000}});
  };
}

// What people call a worker: the name of the settings or of this machine, and which one it is where
// several of one machine share that.
std::string NameFor(const std::string& configured, int number) {
  constexpr size_t kMaxNameBytes = 64;
  std::string name = configured.empty() ? base::HostName() : configured;
  const std::string suffix = number > 1 ? absl::StrCat(" ", number) : "";
  // A character is not cut in half.
  size_t end = std::min(name.size(), kMaxNameBytes - suffix.size());
  while (end < name.size() && end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) {
    --end;
  }
  return absl::StrCat(name.substr(0, end), suffix);
}

// The way a connection takes, for the line at the start: a proxy is often set for the whole machine
// and forgotten.
std::string ProxyText(const config::Config& config) {
  if (IsDirect(config)) return "none";
  const std::string proxy =
      rpc::ProxyFor(config.worker.exchange, rpc::ProxyEnvironment::FromProcess());
  return proxy.empty() ? "none" : proxy;
}

// Out of memory a process is killed and says nothing: this is the place to say it before.
void WarnOfLittleMemory(telemetry::Logger& log) {
  constexpr int64_t kUsual = int64_t{448} << 20;
  const int64_t limit = MemoryLimit();
  if (limit == 0 || limit >= kUsual) return;
  log.Warning(
      "this container has little memory: a worker takes about 340 MiB at 64x64 pixels and is "
      "killed "
      "(exit code 137) when there is no more; raise the limit, or lower worker.threads",
      {{"limit_mib", limit >> 20}});
}

void WarnOfReferenceBlas(telemetry::Logger& log) {
  log.Warning(
      "LibTorch runs on the reference BLAS and is about six times slower than it could be; install "
      "the package libopenblas0-pthread");
}

// Says with a refusal what the identity's file has to do with it; any other error stays as it is.
absl::Status ExplainRefusal(const absl::Status& status, bool joined,
                            const std::string& state_file) {
  if (absl::IsUnauthenticated(status)) {
    return absl::UnauthenticatedError(absl::StrCat(status.message(), "; its identity is in ",
                                                   state_file,
                                                   ", move that away to start as a new worker"));
  }
  if (absl::IsFailedPrecondition(status) && joined && !exchange::IsRemovedWorkerStatus(status)) {
    return absl::FailedPreconditionError(
        absl::StrCat(status.message(), "; if another machine uses a copy of ", state_file,
                     ", delete the copy there: it is this worker's identity"));
  }
  return status;
}

// The images that the settings name, decoded ones in a cache. Refers to the log.
absl::StatusOr<std::unique_ptr<data::Dataset>> OpenImages(const config::Config& config,
                                                          int image_size, telemetry::Logger& log) {
  GANNET_ASSIGN_OR_RETURN(std::unique_ptr<data::Dataset> dataset,
                          data::OpenDataset({.kind = config.data.kind,
                                             .path = config.data.path,
                                             .image_size = image_size,
                                             .crop = config.data.crop,
                                             .seed = config.data.seed,
                                             .count = config.data.count,
                                             .on_reading = LogReading(log)}));
  if (dataset->is_decoded()) return dataset;
  return std::make_unique<data::ImageCache>(std::move(dataset), image_size, kImageCacheBytes);
}

}  // namespace

absl::Status CheckWorkerSettings(const config::Config& config) {
  if (IsDirect(config)) return pg::CheckDatabaseUrl("worker.exchange", config.worker.exchange);
  if (config.worker.ca.empty()) return absl::OkStatus();
  absl::Status authority = rpc::PemFromCompact(config.worker.ca).status();
  if (authority.ok()) return authority;
  return absl::InvalidArgumentError(absl::StrCat("worker.ca is ", authority.message()));
}

absl::Status CheckWorkerFiles(const config::Config& config) {
  GANNET_RETURN_IF_ERROR(CheckWorkerSettings(config));
  GANNET_RETURN_IF_ERROR(config::CheckNamedFiles(config, {"database.password_file"}));
  return IsDirect(config) ? absl::OkStatus() : GatewayConnectionFrom(config, absl::Now()).status();
}

WorkerServer::WorkerServer(config::Config config, base::Clock& clock, telemetry::Logger& log)
    : config_(std::move(config)), clock_(clock), log_(log) {}

absl::StatusOr<WorkerReport> WorkerServer::Run() {
  const int threads = config_.worker.threads > 0 ? config_.worker.threads : AvailableCores();
  gan::ConfigureCompute(threads);
  const gan::ComputeDescription compute = gan::DescribeCompute();
  if (compute.reference_blas) WarnOfReferenceBlas(log_);

  telemetry::Metrics metrics;
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<telemetry::MetricsServer> metrics_server,
                          ServeMetrics(config_, log_, metrics));
  GANNET_ASSIGN_OR_RETURN(const OwnedIdentity identity,
                          config_.worker.state_file.empty()
                              ? OwnDefaultIdentity()
                              : OwnIdentity(config_.worker.state_file));
  const std::string name = NameFor(config_.worker.name, identity.number);
  WarnOfLittleMemory(log_);
  log_.Info("started", {{"name", name},
                        {"compute", compute.text},
                        {"exchange", IsDirect(config_) ? "direct" : config_.worker.exchange},
                        {"proxy", ProxyText(config_)},
                        {"identity", identity.state_file},
                        {"metrics_port", metrics_server->bound_port()}});

  absl::StatusOr<Connection> connection = Connect(config_, clock_, stop_, log_, metrics);
  if (connection.status().code() == absl::StatusCode::kCancelled) return WorkerReport{};
  GANNET_RETURN_IF_ERROR(connection.status());

  WorkerOptions options;
  options.identity = identity.worker;
  // The default name is nobody's choice: then the one run that has not ended is meant.
  options.run_name = config_.run.name == config::Config().run.name ? "" : config_.run.name;
  options.display_name = name;
  options.hardware = DescribeHardware(threads);
  options.peer = connection->peer;
  options.data_threads = config_.worker.data_threads;
  options.spool_path = SpoolPathOf(identity.state_file);
  const Worker::OpenDatasetFunction open_dataset = [this](int image_size) {
    return OpenImages(config_, image_size, log_);
  };
  const Worker::MakeComputerFunction make_computer = [this](const domain::ModelConfig& model) {
    return gan::MakeGradientComputerOn({config_.worker.device, config_.worker.precision}, model);
  };
  Worker worker(options, connection->exchange(), open_dataset, make_computer, stop_, clock_, log_,
                metrics);
  {
    base::MutexLock lock(mu_);
    worker_ = &worker;
  }
  absl::StatusOr<WorkerReport> report = worker.Run();
  {
    base::MutexLock lock(mu_);
    worker_ = nullptr;
  }
  const absl::Status explained =
      ExplainRefusal(report.status(), worker.joined(), identity.state_file);
  if (explained != report.status()) return explained;
  if (report.ok()) LogSummary(*report, log_);
  if (compute.reference_blas) WarnOfReferenceBlas(log_);
  return report;
}

void WorkerServer::RequestStop() {
  stop_.Request();
  base::MutexLock lock(mu_);
  if (worker_ != nullptr) worker_->RequestStop();
}

}  // namespace gannet::worker
