#include "cli/local_training.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/dataset_source.h"
#include "cli/round_history.h"
#include "libs/base/hex.h"
#include "libs/base/status_macros.h"
#include "libs/data/image_cache.h"
#include "libs/gan/gan.h"
#include "services/coordinator/coordinator_config.h"

namespace gannet::cli {
namespace {

constexpr size_t kIdBytes = 16;
constexpr size_t kSecretBytes = 32;
// Decoded images kept in memory: 80,000 of 64x64.
constexpr int64_t kImageCacheBytes = int64_t{1} << 30;
// Whose bytes are kept: the open one's, the last one's and the next one's.
constexpr int kRoundsInMemory = 3;
constexpr absl::Duration kLook = absl::Milliseconds(5);

worker::WorkerOptions OptionsOfTheWorker(const config::Config& config) {
  worker::WorkerOptions options;
  options.identity = {base::WorkerId(base::RandomHex(kIdBytes)), base::RandomHex(kSecretBytes),
                      base::Incarnation(1)};
  options.run_name = config.run.name;
  options.display_name = "this machine";
  options.hardware = gan::DescribeCompute().text;
  options.peer = "the run";
  options.data_threads = config.worker.data_threads;
  // Nobody else could have the unit meanwhile.
  options.failure_pause = {.initial = kLook, .max = kLook};
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalTraining>> LocalTraining::Create(
    const config::Config& config, const std::optional<checkpoint::Checkpoint>& checkpoint,
    base::Clock& clock, telemetry::Logger& log) {
  GANNET_ASSIGN_OR_RETURN(coordinator::CoordinatorServerOptions options,
                          coordinator::MakeCoordinatorServerOptions(config));
  options.coordinator.over_network = false;
  std::unique_ptr<LocalTraining> training(new LocalTraining(config, clock, log));
  GANNET_RETURN_IF_ERROR(training->Begin(std::move(options.coordinator), checkpoint));
  return training;
}

LocalTraining::LocalTraining(const config::Config& config, base::Clock& clock,
                             telemetry::Logger& log)
    : config_(config), clock_(clock), log_(log), backend_(clock, kRoundsInMemory) {}

absl::Status LocalTraining::Begin(coordinator::CoordinatorOptions options,
                                  const std::optional<checkpoint::Checkpoint>& checkpoint) {
  if (checkpoint.has_value()) {
    const bool kept = checkpoint->config.adam.keeps_average();
    if (options.run.adam.keeps_average() && !kept) {
      return absl::InvalidArgumentError(
          "the moving average of the generator (training.ema_decay, --ema) cannot be turned on "
          "after the start, its weights are not in the checkpoint: continue without it (--ema 0), "
          "or "
          "begin a new training with it (gannet train-local --ema DECAY --out DIR, without "
          "--resume)");
    }
    if (kept && !options.run.adam.keeps_average()) {
      return absl::InvalidArgumentError(
          "the moving average of the generator cannot be turned off after the start: continue with "
          "a "
          "training.ema_decay (--ema) above 0");
    }
    // A checkpoint of an older version knows the same images by another digest.
    if (!options.former_data_digest.empty() &&
        checkpoint->config.data.digest == options.former_data_digest) {
      options.run.data.digest = options.former_data_digest;
    }
    const std::string other_data =
        domain::DescribeDifference(checkpoint->config.data, options.run.data);
    if (!other_data.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the checkpoint was trained on other data: ", other_data));
    }
    // Where the sequence of images stands is no setting of anybody's.
    options.run.plan_origin = checkpoint->config.plan_origin;
    GANNET_ASSIGN_OR_RETURN(const exchange::NewRun run,
                            checkpoint::RunFromCheckpoint(*checkpoint, options.run));
    GANNET_RETURN_IF_ERROR(backend_.store().CreateRun(run).status());
  }
  GANNET_ASSIGN_OR_RETURN(
      coordinator_, coordinator::Coordinator::Create(std::move(options), backend_.store(), clock_,
                                                     log_, metrics_));
  admin_ = std::make_unique<coordinator::RunAdmin>(backend_.store(), nullptr,
                                                   [this] { return coordinator_->view(); });
  const worker::Worker::OpenDatasetFunction open_dataset =
      [this](int image_size) -> absl::StatusOr<std::unique_ptr<data::Dataset>> {
    GANNET_ASSIGN_OR_RETURN(std::unique_ptr<data::Dataset> dataset,
                            data::OpenDataset(ShownDatasetOptions(config_)));
    if (dataset->is_decoded()) return dataset;
    return std::make_unique<data::ImageCache>(std::move(dataset), image_size, kImageCacheBytes);
  };
  const worker::Worker::MakeComputerFunction make_computer = [this](
                                                                 const domain::ModelConfig& model) {
    return gan::MakeGradientComputerOn({config_.worker.device, config_.worker.precision}, model);
  };
  worker_ = std::make_unique<worker::Worker>(OptionsOfTheWorker(config_), backend_.exchange(),
                                             open_dataset, make_computer, worker_stop_, clock_,
                                             log_, metrics_);
  return absl::OkStatus();
}

absl::StatusOr<coordinator::CoordinatorReport> LocalTraining::Run() {
  std::thread working([this] {
    const absl::Status status = RunWorker();
    if (status.ok()) return;
    {
      base::MutexLock lock(mu_);
      failure_ = status;
    }
    coordinator_->RequestStop();
  });
  absl::StatusOr<coordinator::CoordinatorReport> report = coordinator_->Run();
  // A regular end has reached the worker by itself.
  if (!report.ok()) {
    stop_.Request();
    worker_->RequestStop();
  }
  working.join();
  base::MutexLock lock(mu_);
  if (!failure_.ok()) return failure_;
  if (!report.ok()) failure_ = report.status();
  return report;
}

absl::Status LocalTraining::RunWorker() {
  // Joining a run that does not exist yet would be waited out with growing pauses.
  while (!coordinator_->view().run.has_value()) {
    if (stop_.AwaitFor(kLook)) return absl::OkStatus();
  }
  return worker_->Run().status();
}

absl::StatusOr<client::RunReport> LocalTraining::GetRun() {
  {
    base::MutexLock lock(mu_);
    if (!failure_.ok()) return failure_;
  }
  GANNET_ASSIGN_OR_RETURN(const coordinator::RunOverview overview, admin_->GetRun());
  client::RunReport report;
  report.run = overview.status.run;
  report.config = overview.status.config;
  report.state = overview.status.state;
  report.state_reason = overview.status.state_reason;
  report.weights_version = overview.status.weights_version;
  report.last_round = overview.status.last_round;
  report.images_per_second = overview.view.images_per_second;
  report.worker_count = overview.status.worker_count;
  report.latest_sample_path = overview.view.latest_sample_path;
  return report;
}

absl::StatusOr<std::vector<exchange::RoundSummary>> LocalTraining::History() {
  GANNET_ASSIGN_OR_RETURN(const coordinator::RunOverview overview, admin_->GetRun());
  return ReadHistory(backend_.store(), overview.status.run, overview.status.weights_version);
}

void LocalTraining::RequestStop() {
  const absl::Status stopped = admin_->SetRunState(domain::RunState::kStopped, "asked to stop");
  if (stopped.ok()) return;
  // The run has not begun, or has ended: then there is nothing to write.
  stop_.Request();
  worker_->RequestStop();
  coordinator_->RequestStop();
}

}  // namespace gannet::cli
