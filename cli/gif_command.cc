#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/cli_state.h"
#include "cli/frame_choice.h"
#include "libs/base/status_macros.h"
#include "libs/data/gif_writer.h"
#include "libs/data/image_io.h"

namespace gannet {
namespace {

struct Options {
  std::string from;
  std::string out = "training.gif";
  int max_frames = 60;
  GifOptions gif;
};

// The numbered grids of a coordinator, in order of their names, which is that of rounds; latest.png
// is a copy of the newest.
absl::StatusOr<std::vector<std::string>> FindFrames(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (absl::EndsWith(name, ".png") && name != "latest.png" && !absl::StartsWith(name, ".")) {
      paths.push_back(it->path().string());
    }
  }
  if (error) {
    return absl::NotFoundError(
        absl::StrCat("cannot read the folder ", folder, ": ", error.message()));
  }
  if (paths.empty()) return absl::NotFoundError(absl::StrCat("no .png in the folder ", folder));
  std::sort(paths.begin(), paths.end());
  return paths;
}

absl::StatusOr<RgbImage> ReadFrame(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  absl::StatusOr<RgbImage> image = ReadPng(bytes);
  if (image.ok()) return image;
  return absl::Status(image.status().code(), absl::StrCat(path, ": ", image.status().message()));
}

int RunGif(const Options& options) {
  const absl::StatusOr<std::vector<std::string>> paths = FindFrames(options.from);
  if (!paths.ok()) {
    return Fail(paths.status(),
                "Sample grids are in the folder samples of coordinator.output_dir.");
  }
  std::vector<RgbImage> frames;
  for (const size_t i : ChooseFrames(paths->size(), static_cast<size_t>(options.max_frames))) {
    absl::StatusOr<RgbImage> frame = ReadFrame((*paths)[i]);
    if (!frame.ok()) return Fail(frame.status(), "Remove the file from the folder.");
    frames.push_back(*std::move(frame));
  }
  if (const absl::Status written = WriteGif(options.out, frames, options.gif); !written.ok()) {
    return Fail(written, "Check --out, and that all frames have one size.");
  }
  std::cout << options.out << ": " << frames.size() << " frames of " << paths->size()
            << " sample grids\n";
  return kExitOk;
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

}  // namespace gannet
