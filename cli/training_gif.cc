#include "cli/training_gif.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/frame_choice.h"
#include "libs/base/status_macros.h"
#include "libs/image/image_io.h"

namespace gannet::cli {
namespace {

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

absl::StatusOr<image::RgbImage> ReadFrame(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  absl::StatusOr<image::RgbImage> image = image::ReadPng(bytes);
  if (image.ok()) return image;
  return absl::Status(image.status().code(), absl::StrCat(path, ": ", image.status().message()));
}

}  // namespace

absl::StatusOr<TrainingGifReport> WriteTrainingGif(const std::string& folder,
                                                   const std::string& out, int max_frames,
                                                   const image::GifOptions& options) {
  GANNET_ASSIGN_OR_RETURN(const std::vector<std::string> paths, FindFrames(folder));
  std::vector<image::RgbImage> frames;
  for (const size_t i : ChooseFrames(paths.size(), static_cast<size_t>(max_frames))) {
    GANNET_ASSIGN_OR_RETURN(image::RgbImage frame, ReadFrame(paths[i]));
    frames.push_back(std::move(frame));
  }
  GANNET_RETURN_IF_ERROR(image::WriteGif(out, frames, options));
  return TrainingGifReport{paths.size(), frames.size()};
}

}  // namespace gannet::cli
