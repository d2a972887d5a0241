#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/cli_state.h"
#include "cli/latent_path.h"
#include "cli/seed_list.h"
#include "cli/terminal.h"
#include "cli/weights_file.h"
#include "libs/base/atomic_file.h"
#include "libs/base/status_macros.h"
#include "libs/data/own_output.h"
#include "libs/gan/gan.h"
#include "libs/image/gif_writer.h"
#include "libs/image/image_grid.h"
#include "libs/image/image_io.h"
#include "libs/tensor/safetensors.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::cli {
namespace {

struct Options {
  std::string weights;
  std::string out;      // empty: sample.png, or morph.gif
  std::string singles;  // folder; empty: a grid
  std::string tensors;  // safetensors; empty: none
  int64_t seed = -1;    // -1: run.seed
  std::string seeds;    // "1,5,10-19"; empty: `count` images of `seed`
  int count = 0;        // 0: 64, or 16 in motion
  int columns = 0;      // 0: 8, or what makes a square in motion
  int scale = 2;
  double truncation = 0;  // 0: none
  bool morph = false;
  int keys = 4;
  int steps = 12;
  bool batch_statistics = false;
};

constexpr int kStillCount = 64;
constexpr int kMorphCount = 16;
constexpr int kStillColumns = 8;

// A point and what to call it.
struct NamedLatent {
  std::string name;
  gan::Latent latent;
};

absl::StatusOr<std::vector<NamedLatent>> ChooseLatents(const Options& options,
                                                       const domain::ModelConfig& model,
                                                       uint64_t seed) {
  std::vector<NamedLatent> chosen;
  if (!options.seeds.empty()) {
    GANNET_ASSIGN_OR_RETURN(const std::vector<uint64_t> seeds, ParseSeedList(options.seeds));
    for (const uint64_t one : seeds) {
      chosen.push_back({absl::StrFormat("seed%04d", one), gan::SampleLatent(model, one, 0)});
    }
  } else {
    const int count = options.count > 0 ? options.count : options.morph ? kMorphCount : kStillCount;
    for (int i = 0; i < count; ++i) {
      chosen.push_back({absl::StrFormat("seed%04d_%04d", seed, i),
                        gan::SampleLatent(model, seed, static_cast<uint64_t>(i))});
    }
  }
  if (options.truncation > 0) {
    for (NamedLatent& one : chosen) TruncateLatent(options.truncation, one.latent);
  }
  return chosen;
}

absl::StatusOr<gan::ImageBatch> Draw(const WeightsFile& file,
                                     const std::vector<gan::Latent>& latents,
                                     const Options& options) {
  return gan::GenerateImages(
      file.model, file.weights, latents,
      options.batch_statistics ? gan::SampleMode::kBatchStatistics : gan::SampleMode::kEval);
}

absl::StatusOr<image::RgbImage> MakeGrid(const gan::ImageBatch& batch, int columns, int scale) {
  const std::vector<float> pixels = gan::Flattened(batch);
  return image::MakeImageGrid(absl::MakeConstSpan(pixels), batch.image_size,
                              {.columns = columns, .scale = scale});
}

absl::Status WriteSingles(const gan::ImageBatch& batch, const std::vector<NamedLatent>& chosen,
                          const Options& options) {
  std::error_code error;
  std::filesystem::create_directories(options.singles, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("folder cannot be made: ", error.message(), ": ", options.singles));
  }
  // Single images look like those of a data set: a folder that may be one gets none of them.
  GANNET_RETURN_IF_ERROR(data::MarkOutputFolder(options.singles));
  for (size_t i = 0; i < chosen.size(); ++i) {
    GANNET_ASSIGN_OR_RETURN(
        const image::RgbImage image,
        image::MakeImageGrid(absl::MakeConstSpan(batch.images[i]), batch.image_size,
                             {.columns = 1, .padding = 0, .scale = options.scale}));
    GANNET_RETURN_IF_ERROR(
        image::WritePngRgb(absl::StrCat(options.singles, "/", chosen[i].name, ".png"), image));
  }
  return absl::OkStatus();
}

// Points and images as numbers, for other programs.
absl::Status WriteTensors(const gan::ImageBatch& batch, const std::vector<gan::Latent>& latents,
                          const std::string& path) {
  const auto count = static_cast<int64_t>(latents.size());
  std::vector<float> points;
  for (const gan::Latent& latent : latents)
    points.insert(points.end(), latent.begin(), latent.end());
  tensor::TensorBundle bundle;
  bundle.Add(tensor::Tensor::FromF32(
      "latents", {count, static_cast<int64_t>(latents.front().size())}, points));
  bundle.Add(tensor::Tensor::FromF32("images", {count, 3, batch.image_size, batch.image_size},
                                     gan::Flattened(batch)));
  GANNET_ASSIGN_OR_RETURN(const std::string bytes,
                          tensor::EncodeSafetensorsFile(bundle, {{"format", "pt"}}));
  return base::WriteFileAtomically(path, bytes);
}

// Every image of the grid goes through points of its own and back to its first.
absl::StatusOr<size_t> WriteMorph(const WeightsFile& file, const std::vector<NamedLatent>& chosen,
                                  const Options& options, const std::string& out) {
  const size_t cells = options.seeds.empty() ? chosen.size() : 1;
  std::vector<std::vector<gan::Latent>> paths;
  for (size_t cell = 0; cell < cells; ++cell) {
    std::vector<gan::Latent> keys;
    if (!options.seeds.empty()) {
      for (const NamedLatent& one : chosen) keys.push_back(one.latent);
    } else {
      const uint64_t seed = static_cast<uint64_t>(options.seed);
      for (int key = 0; key < options.keys; ++key) {
        keys.push_back(
            gan::SampleLatent(file.model, seed, cell + static_cast<size_t>(key) * chosen.size()));
        if (options.truncation > 0) TruncateLatent(options.truncation, keys.back());
      }
    }
    paths.push_back(ClosedPath(keys, options.steps));
  }
  int columns = options.columns;
  if (columns == 0) columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(cells))));
  std::vector<image::RgbImage> frames;
  for (size_t frame = 0; frame < paths.front().size(); ++frame) {
    std::vector<gan::Latent> latents;
    latents.reserve(paths.size());
    for (const std::vector<gan::Latent>& path : paths) latents.push_back(path[frame]);
    GANNET_ASSIGN_OR_RETURN(const gan::ImageBatch batch, Draw(file, latents, options));
    GANNET_ASSIGN_OR_RETURN(frames.emplace_back(), MakeGrid(batch, columns, 1));
  }
  GANNET_RETURN_IF_ERROR(image::WriteGif(
      out, frames,
      {.delay_centiseconds = 8, .last_delay_centiseconds = 8, .scale = options.scale}));
  return frames.size();
}

int RunSample(const CliState& cli, Options options) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<WeightsFile> file = ReadWeightsFile(options.weights);
  if (!file.ok()) {
    return Fail(file.status(),
                "A coordinator writes weights.safetensors into coordinator.output_dir; "
                "checkpoints and generator.safetensors serve too.");
  }
  if (const absl::Status flags = CheckModelFlags(cli.command_line, *config, file->model);
      !flags.ok()) {
    return Fail(flags, "Leave it out: the weights say it themselves.");
  }
  gan::ConfigureCompute(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  if (options.seed < 0) options.seed = static_cast<int64_t>(config->run.seed);
  const absl::StatusOr<std::vector<NamedLatent>> chosen =
      ChooseLatents(options, file->model, static_cast<uint64_t>(options.seed));
  if (!chosen.ok()) return Fail(chosen.status(), "Name seeds as in --seeds 1,5,10-19.");
  const std::string what = options.seeds.empty() ? absl::StrCat("seed ", options.seed)
                                                 : absl::StrCat("seeds ", options.seeds);

  if (options.morph) {
    const std::string out = options.out.empty() ? "morph.gif" : options.out;
    const absl::StatusOr<size_t> frames = WriteMorph(*file, *chosen, options, out);
    if (!frames.ok()) return Fail(frames.status(), "Check --out, --steps and --scale.");
    ReportStream(out) << out << ": " << *frames << " frames of " << file->model.image_size << "x"
                      << file->model.image_size << " pixels, " << what << "\n";
    return config::kExitOk;
  }
  std::vector<gan::Latent> latents;
  for (const NamedLatent& one : *chosen) latents.push_back(one.latent);
  const absl::StatusOr<gan::ImageBatch> batch = Draw(*file, latents, options);
  if (!batch.ok()) return Fail(batch.status(), "Are the weights those of this version?");
  const std::string size = absl::StrCat(batch->images.size(), " images of ", batch->image_size, "x",
                                        batch->image_size, " pixels, ", what);
  if (!options.tensors.empty()) {
    if (const absl::Status written = WriteTensors(*batch, latents, options.tensors);
        !written.ok()) {
      return Fail(written, "Choose another --tensors.");
    }
  }
  if (!options.singles.empty()) {
    if (const absl::Status written = WriteSingles(*batch, *chosen, options); !written.ok()) {
      return Fail(written, "Choose another --singles.");
    }
    std::cout << options.singles << ": " << size << "\n";
    return config::kExitOk;
  }
  const std::string out = options.out.empty() ? "sample.png" : options.out;
  const absl::StatusOr<image::RgbImage> grid =
      MakeGrid(*batch, options.columns > 0 ? options.columns : kStillColumns, options.scale);
  if (!grid.ok()) return Fail(grid.status(), "Check --columns and --scale.");
  if (const absl::Status written = data::WriteGridPng(out, *grid); !written.ok()) {
    return Fail(written, "Choose another --out.");
  }
  ReportStream(out) << out << ": " << size << "\n";
  return config::kExitOk;
}

}  // namespace

void AddSampleCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "sample", "Draw images from trained weights: a grid, single files, or a GIF in motion");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--weights", options->weights,
                   "weights.safetensors of a run, its generator.safetensors, or a checkpoint")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--out", options->out,
                   "PNG or GIF to write; default sample.png, with --morph morph.gif")
      ->type_name("FILE");
  CLI::Option* singles =
      command
          ->add_option("--singles", options->singles,
                       "Write every image as a PNG of its own into this folder, instead of a grid")
          ->type_name("DIR");
  CLI::Option* tensors =
      command
          ->add_option(
              "--tensors", options->tensors,
              "Also write latents (n, dimensions) and images (n, 3, side, side) as safetensors")
          ->type_name("FILE");
  CLI::Option* seed =
      command->add_option("--seed", options->seed, "Which images; default: run.seed")
          ->check(CLI::Range(int64_t{0}, INT64_MAX))
          ->type_name("N");
  CLI::Option* count =
      command->add_option("--count", options->count, "How many images; default 64, in motion 16")
          ->check(CLI::Range(1, 4096))
          ->type_name("N");
  command
      ->add_option("--seeds", options->seeds,
                   "One image of each of these seeds, such as 1,5,10-19; with --morph the points "
                   "that one image goes through")
      ->excludes(count)
      ->excludes(seed)
      ->type_name("LIST");
  command->add_option("--columns", options->columns, "Images in a row; default 8")
      ->check(CLI::Range(1, 256))
      ->type_name("N");
  command->add_option("--scale", options->scale, "Enlargement; default 2")
      ->check(CLI::Range(1, 16))
      ->type_name("N");
  command
      ->add_option("--truncation", options->truncation,
                   "Keep the numbers of a point within this distance of 0 (Brock et al. 2019): "
                   "below 1 images grow more typical and less varied")
      ->check(CLI::Range(0.01, 10.0))
      ->type_name("T");
  command
      ->add_flag("--morph", options->morph, "A GIF in which each image turns into others and back")
      ->excludes(singles)
      ->excludes(tensors);
  command->add_option("--keys", options->keys, "Images that each one turns into; default 4")
      ->check(CLI::Range(2, 64))
      ->type_name("N");
  command->add_option("--steps", options->steps, "Frames from one to the next; default 12")
      ->check(CLI::Range(1, 240))
      ->type_name("N");
  command->add_flag("--batch-statistics", options->batch_statistics,
                    "BatchNorm by the statistics of these images instead of the running averages");
  command->callback(
      [&cli, options] { cli.action = [&cli, options] { return RunSample(cli, *options); }; });
}

}  // namespace gannet::cli
