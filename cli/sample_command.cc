#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/App.hpp"
#include "cli/cli_state.h"
#include "cli/image_quality.h"
#include "cli/weights_file.h"
#include "libs/data/image_grid.h"
#include "libs/data/image_io.h"
#include "libs/gan/gan.h"

namespace gannet {
namespace {

struct Options {
  std::string weights;
  std::string out = "sample.png";
  int64_t seed = -1;  // -1: run.seed
  int count = 64;
  int columns = 8;
  int scale = 2;
  bool batch_statistics = false;
};

int RunSample(const CliState& cli, const Options& options) {
  const absl::StatusOr<Config> config = LoadConfig(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<WeightsFile> file = ReadWeightsFile(options.weights);
  if (!file.ok()) {
    return Fail(file.status(),
                "A coordinator writes weights.safetensors into coordinator.output_dir.");
  }
  ConfigureCompute(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const uint64_t seed = options.seed < 0 ? config->run.seed : static_cast<uint64_t>(options.seed);
  const absl::StatusOr<ImageBatch> batch =
      GenerateImages(file->model, file->weights, seed, options.count,
                     options.batch_statistics ? SampleMode::kBatchStatistics : SampleMode::kEval);
  if (!batch.ok()) return Fail(batch.status(), "Are the weights those of this version?");
  const std::vector<float> pixels = Flattened(*batch);
  const absl::StatusOr<RgbImage> grid =
      MakeImageGrid(absl::MakeConstSpan(pixels), batch->image_size,
                    {.columns = options.columns, .scale = options.scale});
  if (!grid.ok()) return Fail(grid.status(), "Check --columns and --scale.");
  if (const absl::Status written = WritePngRgb(options.out, *grid); !written.ok()) {
    return Fail(written, "Choose another --out.");
  }
  std::cout << options.out << ": " << batch->images.size() << " images of " << batch->image_size
            << "x" << batch->image_size << " pixels, seed " << seed << "\n";
  return kExitOk;
}

}  // namespace

void AddSampleCommand(CLI::App& app, CliState& cli) {
  CLI::App* command =
      app.add_subcommand("sample", "Draw images from trained weights and write them as a grid");
  const auto options = std::make_shared<Options>();
  command->add_option("--weights", options->weights, "weights.safetensors of a run")
      ->required()
      ->type_name("FILE");
  command->add_option("--out", options->out, "PNG to write; default sample.png")->type_name("FILE");
  command->add_option("--seed", options->seed, "Which images; default: run.seed")
      ->check(CLI::Range(int64_t{0}, INT64_MAX))
      ->type_name("N");
  command->add_option("--count", options->count, "How many images; default 64")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  command->add_option("--columns", options->columns, "Images in a row; default 8")
      ->check(CLI::Range(1, 256))
      ->type_name("N");
  command->add_option("--scale", options->scale, "Enlargement; default 2")
      ->check(CLI::Range(1, 16))
      ->type_name("N");
  command->add_flag("--batch-statistics", options->batch_statistics,
                    "BatchNorm by the statistics of these images instead of the running averages");
  command->callback(
      [&cli, options] { cli.action = [&cli, options] { return RunSample(cli, *options); }; });
}

}  // namespace gannet
