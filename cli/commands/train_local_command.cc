#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/cli_state.h"
#include "cli/curves_svg.h"
#include "cli/dataset_source.h"
#include "cli/local_training.h"
#include "cli/resume.h"
#include "cli/terminal.h"
#include "cli/training_gif.h"
#include "cli/watch_loop.h"
#include "libs/base/atomic_file.h"
#include "libs/base/malloc_tuning.h"
#include "libs/base/process_signals.h"
#include "libs/base/status_macros.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/gan.h"
#include "services/coordinator/coordinator_config.h"

namespace gannet::cli {
namespace {

constexpr int kMaxFrames = 60;
// Short names for what people set most, as other trainers call it.
struct ShortFlag {
  const char* flag;
  const char* key;
  const char* help;
};

constexpr ShortFlag kShortFlags[] = {
    {"--image-size", "model.image_size", "Pixels of a side"},
    {"--latent-dim", "model.latent_dim", "Numbers of a latent vector"},
    {"--lr", "training.learning_rate", "Learning rate of both networks"},
    {"--lr-g", "training.learning_rate_generator", "Learning rate of the generator"},
    {"--lr-d", "training.learning_rate_discriminator", "Learning rate of the discriminator"},
    {"--seed", "run.seed", "Seed of weights, order and noise"},
    {"--sample-every", "coordinator.sample_every", "Updates from one picture to the next"},
    {"--checkpoint-every", "coordinator.checkpoint_every",
     "Updates from one checkpoint to the next, 500 if 0; one at the end in any case"},
    {"--evaluate-every", "coordinator.evaluate_every",
     "Updates from one measurement of the images' quality to the next; one at the end in any case"},
    {"--loss", "training.loss", "Adversarial loss: bce, hinge or lsgan"},
    {"--augment", "training.augment", "DiffAugment: a list of color, translation, cutout"},
    {"--ema", "training.ema_decay", "Decay of the generator's moving average, such as 0.999"},
    {"--num-workers", "worker.data_threads", "Threads that read images"},
    {"--threads", "worker.threads", "Cores to compute with; default all"},
};

// The advice, and what helps where it is an image that has ended the training.
std::string AdviceFor(const absl::Status& status, absl::string_view advice) {
  if (!absl::StrContains(status.message(), "image cannot be used")) return std::string(advice);
  return absl::StrCat(
      advice,
      " Images that cannot be read are named, and left out, by gannet data check --exclude.");
}

constexpr absl::Duration kFirstLook = absl::Milliseconds(20);

constexpr int kBatchSize = 64;
constexpr int kMaxBatchSize = 4096;
// Updates between checkpoints unless said otherwise.
constexpr int64_t kCheckpointEvery = 500;

struct Options {
  std::string out;     // empty: coordinator.output_dir if that is set, the folder that goes on, or
                       // training
  std::string resume;  // empty: begin anew
  int batch_size = 0;  // 0: as set by training.*, or kBatchSize
  int64_t epochs = 0;  // 0: run.rounds
};

// One unit a round, computed in one piece: an optimizer update per batch, as a loop over a data
// loader makes it.
absl::StatusOr<config::Config> SettingsFor(config::Config config, const Options& options) {
  const config::Config defaults;
  const auto units_of = [](const config::Config& c) {
    return std::tie(c.run.images_per_unit, c.run.units_per_round, c.run.micro_batch);
  };
  int batch_size = options.batch_size;
  if (batch_size == 0 && units_of(config) == units_of(defaults)) batch_size = kBatchSize;
  if (batch_size > 0) {
    config.run.images_per_unit = batch_size;
    config.run.micro_batch = batch_size;
    config.run.units_per_round = 1;
  }
  config.coordinator.output_dir = options.out;
  if (config.coordinator.checkpoint_every == 0) {
    config.coordinator.checkpoint_every = kCheckpointEvery;
  }
  if (options.epochs > 0) {
    GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<data::Dataset> dataset,
                            data::OpenDataset(ShownDatasetOptions(config)));
    const int64_t images = dataset->fingerprint().image_count * options.epochs;
    const int64_t images_per_round =
        int64_t{config.run.images_per_unit} * config.run.units_per_round;
    config.run.round_count = (images + images_per_round - 1) / images_per_round;
  }
  return config;
}

// Results of another training are not written over.
absl::Status CheckIsFree(const std::string& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return absl::OkStatus();
  if (std::filesystem::is_empty(folder, error) && !error) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("there is something in ", folder, " already"));
}

// The folder of a training, made where there is none, and held against another training. One that
// nothing was written into is removed again.
class HeldFolder {
 public:
  HeldFolder() = default;
  ~HeldFolder() {
    if (fd_ >= 0) ::close(fd_);
    std::error_code error;
    if (is_new_ && std::filesystem::is_empty(path_, error)) std::filesystem::remove(path_, error);
  }
  HeldFolder(const HeldFolder&) = delete;
  HeldFolder& operator=(const HeldFolder&) = delete;

  absl::Status Hold(const std::string& path) {
    path_ = path;
    std::error_code error;
    is_new_ = std::filesystem::create_directories(path, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("folder cannot be made: ", error.message(), ": ", path));
    }
    fd_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    // Some file systems have no locks: then nobody is kept out.
    if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(absl::StrCat("another training writes into ", path));
  }

 private:
  std::string path_;
  bool is_new_ = false;
  int fd_ = -1;
};

telemetry::LogOptions QuietUnlessAsked(const config::Config& config) {
  telemetry::LogOptions options =
      telemetry::LogOptions::FromWords(config.log.level, config.log.format);
  // Lines between those of the progress would hide it.
  if (options.level == telemetry::LogLevel::kInfo) options.level = telemetry::LogLevel::kWarning;
  return options;
}

// Keeps the settings beside the results, so that the training can go on without naming them again.
absl::Status SaveSettings(config::Config config) {
  // The training may go on from another directory.
  if (!config.data.path.empty()) {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::absolute(config.data.path, error);
    if (!error) config.data.path = path.string();
  }
  return base::WriteFileAtomically(
      absl::StrCat(config.coordinator.output_dir, "/", kSettingsFile),
      absl::StrCat("# Settings of this training; gannet train-local --resume FOLDER continues with "
                   "them.\n",
                   config::DumpConfig(config)));
}

void ShowParameterCounts(const domain::ModelConfig& model) {
  int64_t generator = 0, discriminator = 0;
  for (const tensor::TensorSpec& spec : domain::ParameterSpec(model)) {
    (absl::StartsWith(spec.name, "generator.") ? generator : discriminator) += spec.element_count();
  }
  std::cout << absl::StrFormat("Networks: %s, %dx%d pixels; generator %.2f million parameters, ",
                               model.kind, model.image_size, model.image_size,
                               static_cast<double>(generator) / 1e6)
            << absl::StrFormat("discriminator %.2f million.\n",
                               static_cast<double>(discriminator) / 1e6);
}

int ShowResults(LocalTraining& training, const config::Config& config,
                const coordinator::CoordinatorReport& report) {
  const std::string& out = config.coordinator.output_dir;
  const bool finished = report.end == coordinator::CoordinatorReport::End::kRunFinished;
  std::cout
      << (finished ? "Finished after " : "Stopped after ") << report.weights_version.value()
      << " of " << config.run.round_count << " updates. In " << out << ":\n"
      << "  samples/latest.png     what the generator draws now; beside it how it got there\n";
  const absl::StatusOr<TrainingGifReport> gif =
      WriteTrainingGif(out + "/samples", out + "/progress.gif", kMaxFrames, image::GifOptions{});
  if (gif.ok()) {
    std::cout << "  progress.gif           the same in " << gif->frames << " frames\n";
  } else {
    std::cerr << "gannet: no progress.gif: " << gif.status().message() << "\n";
  }
  absl::StatusOr<std::vector<exchange::RoundSummary>> history = training.History();
  absl::Status drawn = history.status();
  if (drawn.ok()) drawn = base::WriteFileAtomically(out + "/curves.svg", CurvesSvg(*history));
  if (drawn.ok()) {
    std::cout << "  curves.svg             losses and accuracies\n";
  } else {
    std::cerr << "gannet: no curves.svg: " << drawn.message() << "\n";
  }
  std::cout << "  metrics.csv            losses of every update\n"
            << "  weights.safetensors    both networks (gannet sample --weights draws from them)\n"
            << "  generator.safetensors  the generator, named as PyTorch's state_dict\n"
            << "  checkpoints/           resume: gannet train-local --resume " << out
            << (finished ? " --epochs or --run.rounds MORE\n" : "\n");
  return finished ? config::kExitOk : kExitStopped;
}

// A checkpoint without a config.yaml beside it (an export) knows everything but the place of its
// images.
int FailTrainingConfig(const absl::Status& status, const config::CommandLine& command_line) {
  if (command_line.recorded.empty() ||
      !absl::StrContains(status.message(), "data.path must name")) {
    return FailConfig(status);
  }
  std::cerr << status.message() << "\n"
            << "There is no " << kSettingsFile
            << " beside it that says where its images are: name them with --data.path PATH.\n";
  return config::kExitUsage;
}

// What a training that goes on does otherwise than before.
void ShowResume(const ResumePoint& point, const config::Config& config) {
  std::cout << "Resuming from " << point.checkpoint_path << ", " << point.checkpoint.version.value()
            << " updates behind it.\n";
  domain::RunConfig run = config.run;
  run.data = point.checkpoint.config.data;
  const std::string changes = domain::DescribeDifference(point.checkpoint.config, run);
  if (!changes.empty()) std::cout << "With other settings from here on: " << changes << ".\n";
}

// Finds what --resume names, and makes its settings and folder those of this training where nothing
// else is asked for.
absl::StatusOr<ResumePoint> TakeUp(Options& options, config::CommandLine& command_line) {
  GANNET_ASSIGN_OR_RETURN(ResumePoint point, FindResumePoint(options.resume));
  if (command_line.config_path.empty()) command_line.config_path = point.settings_path;
  if (command_line.config_path.empty()) {
    command_line.recorded = point.settings;
    command_line.recorded_in = absl::StrCat("checkpoint ", point.checkpoint_path);
  }
  if (options.out.empty()) options.out = point.folder;
  return point;
}

void ShowStart(const config::Config& settings) {
  ShowParameterCounts(settings.run.model);
  std::cout << "Training on this machine: " << settings.run.round_count << " updates of "
            << int64_t{settings.run.images_per_unit} * settings.run.units_per_round << " images, "
            << gan::DescribeCompute().text << ". Ctrl-C ends it and keeps the results.\n";
}

struct Outcome {
  absl::StatusOr<coordinator::CoordinatorReport> report = absl::UnknownError("not run");
  std::string paused;  // why: here nobody could correct the cause and resume
};

// Trains while a progress line is shown, until the end or a signal.
Outcome TrainAndWatch(LocalTraining& training, base::ProcessSignals& signals, base::Clock& clock) {
  Outcome outcome;
  signals.RunUntilDone(
      [&] {
        std::atomic<bool> ended = false;
        std::thread running([&] {
          outcome.report = training.Run();
          ended = true;
        });
        // The first answer is waited for: the initial weights take a moment.
        const auto look = [&]() -> absl::StatusOr<client::RunReport> {
          while (true) {
            absl::StatusOr<client::RunReport> run = training.GetRun();
            if (run.ok() && run->state == domain::RunState::kPaused && outcome.paused.empty()) {
              outcome.paused = run->state_reason;
              training.RequestStop();
            }
            if (!absl::IsUnavailable(run.status())) return run;
            if (ended) return absl::CancelledError("ended before it began");
            absl::SleepFor(kFirstLook);
          }
        };
        WatchOptions watch;
        watch.terminal_width = TerminalWidth();
        watch.trainer = Trainer::kOneProcess;
        watch.goes_on_unread = true;  // so does the training
        WatchLoop loop(watch, look, clock, absl::SleepFor, std::cout);
        loop.Run();
        running.join();
      },
      [&](int) { training.RequestStop(); });
  return outcome;
}

int RunTrainLocal(const CliState& cli, Options options) {
  base::TuneMalloc();
  base::ProcessSignals signals;
  std::optional<ResumePoint> resume;
  config::CommandLine command_line = cli.command_line;
  if (!options.resume.empty()) {
    absl::StatusOr<ResumePoint> found = TakeUp(options, command_line);
    if (!found.ok()) {
      return Fail(found.status(), "Name the folder of a training, or one of its checkpoints.");
    }
    resume = *std::move(found);
  }
  const absl::StatusOr<config::Config> config = LoadSettings(command_line);
  if (!config.ok()) return FailTrainingConfig(config.status(), command_line);
  // Before there is a folder.
  if (const absl::Status device =
          gan::CheckComputeDevice({config->worker.device, config->worker.precision});
      !device.ok()) {
    return Fail(device, "Nothing was started.");
  }
  if (options.out.empty()) {
    const std::string& set = config->coordinator.output_dir;
    options.out = set == config::Config().coordinator.output_dir ? "training" : set;
  }
  HeldFolder folder;
  if (const absl::Status held = folder.Hold(options.out); !held.ok()) {
    return Fail(held, "Choose another folder: --out DIR.");
  }
  std::error_code error;
  if (!resume.has_value() || !std::filesystem::equivalent(options.out, resume->folder, error)) {
    if (const absl::Status is_free = CheckIsFree(options.out); !is_free.ok()) {
      return Fail(is_free, "Choose another folder: --out DIR, or resume it: --resume DIR.");
    }
  }
  const absl::StatusOr<config::Config> settings = SettingsFor(*config, options);
  if (!settings.ok()) return Fail(settings.status(), "Check data.kind and data.path.");
  const int threads = settings->worker.threads > 0
                          ? settings->worker.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  gan::ConfigureCompute(threads);
  if (gan::DescribeCompute().reference_blas) {
    std::cerr << "gannet: LibTorch runs on the reference BLAS, about six times slower than it "
                 "could; install the package libopenblas0-pthread\n";
  }

  base::RealClock clock;
  telemetry::Logger log("train-local", QuietUnlessAsked(*settings));
  const absl::StatusOr<std::unique_ptr<LocalTraining>> training = LocalTraining::Create(
      *settings, resume.has_value() ? std::optional(resume->checkpoint) : std::nullopt, clock, log);
  if (!training.ok()) {
    return Fail(config::WithOrigins(*settings, training.status()),
                AdviceFor(training.status(), "Nothing was started."));
  }
  if (const absl::Status kept = SaveSettings(*settings); !kept.ok()) {
    return Fail(kept, "Choose another folder: --out DIR.");
  }
  if (resume.has_value()) ShowResume(*resume, *settings);
  resume.reset();
  ShowStart(*settings);
  const Outcome outcome = TrainAndWatch(**training, signals, clock);
  if (!outcome.report.ok()) {
    return Fail(outcome.report.status(), "The folder keeps what was written so far.");
  }
  const int code = ShowResults(**training, *settings, *outcome.report);
  if (outcome.paused.empty()) return code;
  const absl::Status ended = absl::AbortedError(outcome.paused);
  return Fail(ended, AdviceFor(ended, "What was trained until then is kept."));
}

}  // namespace

void AddTrainLocalCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "train-local", "Train on this machine alone: no database, no services, the same updates");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--out", options->out,
                   "Folder for results; default training, or that of the training resumed")
      ->type_name("DIR");
  command
      ->add_option("--resume", options->resume,
                   "Resume a training, bit for bit: its folder, or one of its checkpoints; its "
                   "settings hold unless others are given")
      ->type_name("DIR|FILE");
  command
      ->add_option("--batch-size", options->batch_size,
                   "Images of one optimizer update, in place of training.images_per_unit, "
                   "micro_batch and units_per_round; default 64, unless those are set")
      ->check(CLI::Range(2, kMaxBatchSize))
      ->type_name("N");
  command
      ->add_option("--epochs", options->epochs, "Passes over the data set, in place of run.rounds")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->type_name("N");
  for (const ShortFlag& name : kShortFlags) {
    const std::string key = name.key;
    command
        ->add_option_function<std::string>(
            name.flag,
            [&cli, key](const std::string& value) {
              cli.command_line.overrides.push_back(absl::StrCat(key, "=", value));
            },
            absl::StrCat(name.help, "; the same as --", key))
        ->type_name("VALUE");
  }
  command->footer(
      "Images: --data.kind and --data.path; procedural faces unless said otherwise. Whatever else "
      "gannet config keys names can be set too.\n"
      "Exit codes: 0 finished, 1 it could not continue, 3 stopped by Ctrl-C (the results are "
      "written "
      "all the same).");
  command->callback(
      [&cli, options] { cli.action = [&cli, options] { return RunTrainLocal(cli, *options); }; });
}

}  // namespace gannet::cli
