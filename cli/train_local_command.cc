#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/cli_state.h"
#include "cli/dataset_source.h"
#include "cli/local_training.h"
#include "cli/terminal.h"
#include "cli/training_gif.h"
#include "cli/watch_loop.h"
#include "libs/base/malloc_tuning.h"
#include "libs/base/process_signals.h"
#include "libs/base/status_macros.h"
#include "libs/gan/gan.h"

namespace gannet {
namespace {

constexpr int kMaxFrames = 60;
constexpr absl::Duration kFirstLook = absl::Milliseconds(20);

struct Options {
  std::string out = "training";
  int batch_size = 64;
  int64_t epochs = 0;  // 0: run.rounds
};

// One unit a round, computed in one piece: an optimizer update per batch, as a loop over a data
// loader makes it.
absl::StatusOr<Config> SettingsFor(Config config, const Options& options) {
  config.training.images_per_unit = options.batch_size;
  config.training.micro_batch = options.batch_size;
  config.training.units_per_round = 1;
  config.coordinator.output_dir = options.out;
  if (options.epochs > 0) {
    GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset,
                            OpenDataset(DatasetOptionsFrom(config)));
    const int64_t images = dataset->fingerprint().image_count * options.epochs;
    config.run.rounds = (images + options.batch_size - 1) / options.batch_size;
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

LogOptions QuietUnlessAsked(const Config& config) {
  LogOptions options = LogOptions::FromWords(config.log.level, config.log.format);
  // Lines between those of the progress would hide it.
  if (options.level == LogLevel::kInfo) options.level = LogLevel::kWarning;
  return options;
}

int ShowResults(const Options& options, const CoordinatorReport& report, int64_t rounds) {
  const bool finished = report.end == CoordinatorReport::End::kRunFinished;
  std::cout
      << (finished ? "Finished after " : "Stopped after ") << report.weights_version.value()
      << " of " << rounds << " updates. In " << options.out << ":\n"
      << "  samples/latest.png     what the generator draws now; beside it how it got there\n";
  const absl::StatusOr<TrainingGifReport> gif = WriteTrainingGif(
      options.out + "/samples", options.out + "/progress.gif", kMaxFrames, GifOptions{});
  if (gif.ok()) {
    std::cout << "  progress.gif           the same in " << gif->frames << " frames\n";
  } else {
    std::cerr << "gannet: no progress.gif: " << gif.status().message() << "\n";
  }
  std::cout << "  history.csv            losses of every update\n"
            << "  weights.safetensors    both networks (gannet sample --weights draws from them)\n"
            << "  generator.safetensors  the generator, named as PyTorch's state_dict\n";
  return finished ? kExitOk : kExitStopped;
}

int RunTrainLocal(const CliState& cli, const Options& options) {
  TuneMalloc();
  ProcessSignals signals;
  const absl::StatusOr<Config> config = LoadConfig(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  if (const absl::Status is_free = CheckIsFree(options.out); !is_free.ok()) {
    return Fail(is_free, "Choose another folder: --out DIR.");
  }
  const absl::StatusOr<Config> settings = SettingsFor(*config, options);
  if (!settings.ok()) return Fail(settings.status(), "Check data.kind and data.path.");
  const int threads = settings->worker.threads > 0
                          ? settings->worker.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  ConfigureCompute(threads);
  if (DescribeCompute().reference_blas) {
    std::cerr << "gannet: LibTorch runs on the reference BLAS, about six times slower than it "
                 "could; install the package libopenblas0-pthread\n";
  }

  RealClock clock;
  Logger log("train-local", QuietUnlessAsked(*settings));
  const absl::StatusOr<std::unique_ptr<LocalTraining>> training =
      LocalTraining::Create(*settings, clock, log);
  if (!training.ok()) return Fail(training.status(), "Nothing was started.");
  std::cout << "Training on this machine: " << settings->run.rounds << " updates of "
            << options.batch_size << " images, " << DescribeCompute().text
            << ". Ctrl-C ends it and keeps the results.\n";

  absl::StatusOr<CoordinatorReport> report = absl::UnknownError("not run");
  signals.RunUntilDone(
      [&] {
        std::atomic<bool> ended = false;
        std::thread running([&] {
          report = (*training)->Run();
          ended = true;
        });
        // The first answer is waited for: the initial weights take a moment.
        const auto look = [&]() -> absl::StatusOr<RunReport> {
          while (true) {
            absl::StatusOr<RunReport> run = (*training)->GetRun();
            if (!absl::IsUnavailable(run.status())) return run;
            if (ended) return absl::CancelledError("ended before it began");
            absl::SleepFor(kFirstLook);
          }
        };
        WatchOptions watch;
        watch.terminal_width = TerminalWidth();
        WatchLoop loop(watch, look, clock, absl::SleepFor, std::cout);
        loop.Run();
        running.join();
      },
      [&](int) { (*training)->RequestStop(); });
  if (!report.ok()) {
    return Fail(report.status(), "The folder keeps what was written so far.");
  }
  return ShowResults(options, *report, settings->run.rounds);
}

}  // namespace

void AddTrainLocalCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "train-local", "Train on this machine alone: no database, no services, the same updates");
  const auto options = std::make_shared<Options>();
  command->add_option("--out", options->out, "Folder for results; default training")
      ->type_name("DIR");
  command
      ->add_option("--batch-size", options->batch_size,
                   "Images of one optimizer update, in place of training.images_per_unit, "
                   "micro_batch and units_per_round; default 64")
      ->check(CLI::Range(2, 65536))
      ->type_name("N");
  command
      ->add_option("--epochs", options->epochs, "Passes over the data set, in place of run.rounds")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->type_name("N");
  command->footer(
      "What else can be set: --model.image_size, --training.learning_rate, --data.kind and "
      "--data.path, --coordinator.sample_every, --worker.threads, --run.seed (gannet config "
      "keys).\n"
      "Exit codes: 0 finished, 3 stopped by Ctrl-C (the results are written all the same).");
  command->callback(
      [&cli, options] { cli.action = [&cli, options] { return RunTrainLocal(cli, *options); }; });
}

}  // namespace gannet
