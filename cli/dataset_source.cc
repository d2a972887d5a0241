#include "cli/dataset_source.h"

#include <unistd.h>

#include <iostream>
#include <memory>

#include "absl/strings/str_format.h"
#include "services/coordinator/coordinator_config.h"

namespace gannet::cli {
namespace {

// Less than this is read before anybody wonders.
constexpr int64_t kQuietBytes = int64_t{100} << 20;

// On the error stream, for the other one may be read by a program.
void ShowReading(int64_t done_bytes, int64_t total_bytes, bool& shown) {
  if (total_bytes < kQuietBytes) return;
  const double gigabytes = static_cast<double>(total_bytes) / 1e9;
  if (isatty(STDERR_FILENO) == 0) {
    if (!shown) {
      std::cerr << absl::StrFormat("reading %.1f GB of images for their fingerprint, once\n",
                                   gigabytes);
    }
    shown = true;
    return;
  }
  std::cerr << absl::StrFormat("\rreading %.1f GB of images for their fingerprint, once: %d %% ",
                               gigabytes, 100 * (done_bytes >> 10) / (total_bytes >> 10));
  if (done_bytes == total_bytes) std::cerr << "\n";
  std::cerr << std::flush;
}

}  // namespace

data::DatasetOptions ShownDatasetOptions(const config::Config& config) {
  data::DatasetOptions options = coordinator::DatasetOptionsFrom(config);
  options.on_reading = [shown = std::make_shared<bool>(false)](int64_t done_bytes,
                                                               int64_t total_bytes) {
    ShowReading(done_bytes, total_bytes, *shown);
  };
  return options;
}

}  // namespace gannet::cli
