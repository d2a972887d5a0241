#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/cli_state.h"
#include "cli/database.h"
#include "cli/round_history.h"
#include "cli/terminal.h"
#include "libs/base/atomic_file.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/checkpoint/weights_metadata.h"
#include "libs/exchange/validation.h"
#include "libs/store/pg_backend.h"
#include "libs/tensor/codec.h"
#include "libs/tensor/safetensors.h"

// gannet export and gannet import: a run as one file, and a run from one.

namespace gannet::cli {
namespace {

struct Options {
  std::string run;     // export: its name; import: empty or another name
  std::string file;    // a checkpoint (libs/checkpoint/checkpoint.h)
  int64_t rounds = 0;  // import: 0 as before
  bool best = false;   // export: the weights of the best images only
  bool force = false;  // export: over a file that is there
};

// Whose gradients of a round are kept, by unit.
absl::StatusOr<std::vector<exchange::GradientInfo>> ReadGradients(exchange::Store& store,
                                                                  base::RunId run,
                                                                  base::Round round) {
  GANNET_ASSIGN_OR_RETURN(exchange::RoundProgress progress, store.GetRoundProgress(run, round));
  std::move(progress.stale.begin(), progress.stale.end(), std::back_inserter(progress.gradients));
  return std::move(progress.gradients);
}

// Workers with the credit that they had when `version` was published: gradients after it are no
// part of an archive, and are computed, and credited, again.
absl::StatusOr<std::vector<exchange::WorkerRecord>> ReadWorkers(exchange::Store& store,
                                                                base::RunId run,
                                                                base::WeightsVersion version) {
  const auto unit_of = [](const exchange::GradientInfo& gradient) { return gradient.unit; };
  while (true) {
    // Both sides of the credit must be of one moment: looked at before and after, until nothing
    // happened in between.
    std::vector<exchange::GradientInfo> later;
    const auto read_later = [&]() -> absl::StatusOr<std::vector<base::UnitId>> {
      later.clear();
      std::vector<base::UnitId> units;
      GANNET_ASSIGN_OR_RETURN(const exchange::RunStatus status, store.GetRunStatus(run));
      for (int64_t round = version.value() + 1; round <= status.weights_version.value() + 1;
           ++round) {
        GANNET_ASSIGN_OR_RETURN(std::vector<exchange::GradientInfo> gradients,
                                ReadGradients(store, run, base::Round(round)));
        std::transform(gradients.begin(), gradients.end(), std::back_inserter(units), unit_of);
        std::move(gradients.begin(), gradients.end(), std::back_inserter(later));
      }
      return units;
    };
    GANNET_ASSIGN_OR_RETURN(const std::vector<base::UnitId> before, read_later());
    GANNET_ASSIGN_OR_RETURN(std::vector<exchange::WorkerRecord> workers,
                            store.ListWorkerRecords(run));
    GANNET_ASSIGN_OR_RETURN(const std::vector<base::UnitId> after, read_later());
    if (before != after) continue;
    for (const exchange::GradientInfo& gradient : later) {
      for (exchange::WorkerRecord& worker : workers) {
        if (worker.summary.worker != gradient.worker) continue;
        worker.summary.accepted_unit_count -= 1;
        worker.summary.accepted_image_count -= gradient.stats.image_count;
      }
    }
    return workers;
  }
}

// The run between two rounds: what was published last. Gradients of the open round are not part of
// it; they are computed again, to the same bits.
absl::StatusOr<checkpoint::Checkpoint> ReadRun(exchange::Store& store, const std::string& name) {
  GANNET_ASSIGN_OR_RETURN(const exchange::RunStatus status, store.FindRun(name));
  GANNET_ASSIGN_OR_RETURN(const exchange::Store::Snapshot snapshot, store.LoadSnapshot(status.run));
  GANNET_ASSIGN_OR_RETURN(std::vector<exchange::RoundSummary> history,
                          ReadHistory(store, status.run, snapshot.version));
  exchange::RunArchive archive;
  archive.created_config = status.created_config;
  GANNET_ASSIGN_OR_RETURN(archive.changes, store.ListChanges(status.run));
  // What was changed after later rounds is not of the snapshot.
  const int64_t last = snapshot.version.value() + 2;
  std::erase_if(archive.changes, [&](const exchange::SettingsChange& change) {
    return change.round.value() > last;
  });
  if (status.state == domain::RunState::kPaused) {
    archive.pause_reason = base::Printable(status.state_reason, exchange::kMaxReasonChars);
  }
  GANNET_ASSIGN_OR_RETURN(archive.workers, ReadWorkers(store, status.run, snapshot.version));
  const domain::RunConfig config = exchange::ConfigOf(archive.created_config, archive.changes,
                                                      base::Round(snapshot.version.value() + 1));
  GANNET_ASSIGN_OR_RETURN(checkpoint::Checkpoint checkpoint,
                          checkpoint::CheckpointFromSnapshot(config, snapshot, std::move(history)));
  checkpoint.archive = std::move(archive);
  return checkpoint;
}

// For a file that the command names.
int FailFile(const absl::Status& status, absl::string_view advice) {
  Fail(status, advice);
  return config::kExitUsage;
}

// What `gannet sample` draws from.
absl::Status WriteBest(exchange::Store& store, const std::string& name, const std::string& file) {
  GANNET_ASSIGN_OR_RETURN(const exchange::RunStatus status, store.FindRun(name));
  GANNET_ASSIGN_OR_RETURN(const exchange::Store::BestSnapshot best, store.LoadBest(status.run));
  GANNET_ASSIGN_OR_RETURN(const tensor::TensorBundle weights,
                          DecodeBundle(*best.weights.bytes, best.weights.codec));
  GANNET_ASSIGN_OR_RETURN(
      const std::string bytes,
      tensor::EncodeSafetensorsFile(
          weights, checkpoint::WeightsMetadata(status.created_config, best.best.version)));
  GANNET_RETURN_IF_ERROR(base::WriteFileAtomically(file, bytes));
  ReportStream(file) << file << ": the best weights of run " << name << ", after "
                     << best.best.version.value() << " rounds; distance to real images "
                     << absl::StrFormat("%.4f", best.best.distance) << "\n";
  return absl::OkStatus();
}

int ExportBest(exchange::Store& store, const std::string& name, const std::string& file) {
  const absl::Status status = WriteBest(store, name, file);
  if (status.ok()) return config::kExitOk;
  return Fail(status, absl::IsNotFound(status)
                          ? "Name a run of this database whose images were measured "
                            "(coordinator.evaluate_every): gannet export --best --run NAME FILE."
                          : "Choose another file.");
}

int Export(const CliState& cli, const Options& options) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  std::error_code error;
  if (!options.force && std::filesystem::exists(options.file, error)) {
    return FailFile(
        absl::AlreadyExistsError(absl::StrCat("there is a file already: ", options.file)),
        "Choose another one, or write over it with --force.");
  }
  const absl::StatusOr<Database> database = ConnectToDatabase(*config, "export");
  if (!database.ok()) return FailDatabase(database.status());
  const std::string name = options.run.empty() ? config->run.name : options.run;
  if (options.best) return ExportBest(database->backend->store(), name, options.file);
  const absl::StatusOr<checkpoint::Checkpoint> run = ReadRun(database->backend->store(), name);
  if (!run.ok())
    return Fail(run.status(), "Name a run of this database: gannet export --run NAME FILE.");
  if (const absl::Status written = checkpoint::WriteCheckpointFile(options.file, *run);
      !written.ok()) {
    return FailFile(written, "Choose another file.");
  }
  ReportStream(options.file)
      << options.file << ": run " << name << " after " << run->version.value() << " of "
      << run->config.round_count << " rounds\n"
      << "gannet import puts it into another database; gannet train-local --resume continues "
         "with it alone.\n";
  return config::kExitOk;
}

int Import(const CliState& cli, const Options& options) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<checkpoint::Checkpoint> checkpoint =
      checkpoint::ReadCheckpointFile(options.file);
  if (!checkpoint.ok()) {
    return FailFile(checkpoint.status(), "Name a file of gannet export, or a checkpoint.");
  }
  const absl::StatusOr<exchange::NewRun> run =
      checkpoint::RunFromArchive(*checkpoint, options.run, options.rounds);
  if (!run.ok()) return Fail(run.status(), "Continue a finished run with --rounds MORE.");
  const absl::StatusOr<Database> database = ConnectToDatabase(*config, "import");
  if (!database.ok()) return FailDatabase(database.status());
  const absl::StatusOr<base::RunId> created = database->backend->store().CreateRun(*run);
  if (absl::IsAlreadyExists(created.status())) {
    return Fail(created.status(), "Choose another name: gannet import --run NAME FILE.");
  }
  if (!created.ok()) return Fail(created.status(), "Nothing was imported.");
  const domain::RunConfig& last = run->changes.empty() ? run->config : run->changes.back().config;
  std::cout << "Run " << last.name << " stands at " << checkpoint->version.value() << " of "
            << last.round_count << " rounds. A coordinator with its settings continues it.\n";
  std::cout << (run->pause_reason.has_value()
                    ? "It is paused, as it was: gannet resume.\n"
                    : "It is running; a run that was stopped continues.\n");
  return config::kExitOk;
}

}  // namespace

void AddArchiveCommands(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "export", "Write a run of the database into one file, from which it continues bit for bit");
  const auto from = std::make_shared<Options>();
  command->add_option("file", from->file, "File to write")->required()->type_name("FILE");
  command->add_option("--run", from->run, "Its name; default: run.name")->type_name("NAME");
  command->add_flag("--best", from->best,
                    "Only the weights that made the best images so far, for gannet sample");
  command->add_flag("--force", from->force, "Write over a file that is there");
  command->callback([&cli, from] { cli.action = [&cli, from] { return Export(cli, *from); }; });

  command = app.add_subcommand("import",
                               "Put a run from such a file, or a checkpoint, into the database");
  const auto to = std::make_shared<Options>();
  command->add_option("file", to->file, "File to read")->required()->type_name("FILE");
  command->add_option("--run", to->run, "Name it gets; default: the one it had")->type_name("NAME");
  command
      ->add_option("--rounds", to->rounds, "Rounds after which it is finished; default: as before")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000'000}))
      ->type_name("N");
  command->callback([&cli, to] { cli.action = [&cli, to] { return Import(cli, *to); }; });
}

}  // namespace gannet::cli
