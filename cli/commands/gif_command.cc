#include <iostream>
#include <memory>
#include <string>

#include "CLI/App.hpp"
#include "cli/cli_state.h"
#include "cli/terminal.h"
#include "cli/training_gif.h"

namespace gannet::cli {
namespace {

struct Options {
  std::string from;
  std::string out = "training.gif";
  int max_frames = 60;
  image::GifOptions gif;
};

int RunGif(const Options& options) {
  const absl::StatusOr<TrainingGifReport> report =
      WriteTrainingGif(options.from, options.out, options.max_frames, options.gif);
  if (!report.ok()) {
    return Fail(report.status(),
                "Sample grids are in the folder samples of coordinator.output_dir; all must be "
                "readable and of one size.");
  }
  ReportStream(options.out) << options.out << ": " << report->frames << " frames of "
                            << report->grids << " sample grids\n";
  return config::kExitOk;
}

}  // namespace

void AddGifCommand(CLI::App& app, CliState& cli) {
  CLI::App* command =
      app.add_subcommand("gif", "Make an animated GIF of the sample grids of a run");
  const auto options = std::make_shared<Options>();
  command->add_option("--from", options->from, "Folder with the grids, such as out/samples")
      ->required()
      ->type_name("DIR");
  command->add_option("--out", options->out, "GIF to write; default training.gif")
      ->type_name("FILE");
  command
      ->add_option(
          "--max-frames", options->max_frames,
          "Spread over the whole training; first and last are always among them; default 60")
      ->check(CLI::Range(1, 1000))
      ->type_name("N");
  command
      ->add_option("--delay", options->gif.delay_centiseconds,
                   "Hundredths of a second between frames; default 12")
      ->check(CLI::Range(1, 1000))
      ->type_name("N");
  command->add_option("--scale", options->gif.scale, "Enlargement; default 1")
      ->check(CLI::Range(1, 16))
      ->type_name("N");
  command->callback([&cli, options] { cli.action = [options] { return RunGif(*options); }; });
}

}  // namespace gannet::cli
