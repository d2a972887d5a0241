// What images cost beside the computation, and what a long training costs in memory.
//
//   gannet-bench-data [--units N]
//
// Default network, micro-batch 32, JPEGs of CelebA's size: the share of a unit's time that waits
// for images, cold (decoded while it trains), from the cache of decoded images, and from a packed
// file; then the resident memory over N units of 32 images.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "libs/base/malloc_tuning.h"
#include "libs/data/dataset.h"
#include "libs/data/image_cache.h"
#include "libs/data/packed_dataset.h"
#include "libs/gan/gan.h"
#include "libs/image/pixel_range.h"
#include "libs/image/testing/image_files.h"

namespace gannet::gan {
namespace {

constexpr int kImages = 640;
constexpr int kUnitImages = 320;
constexpr int kMicroBatch = 32;
constexpr int kSmallUnit = 32;
constexpr int kThreads = 2;
constexpr int64_t kCacheBytes = int64_t{1} << 30;

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "%s\n", value.status().ToString().c_str());
  std::exit(1);
}

void MustBeOk(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

UnitTask TaskOn(const data::Dataset& dataset, int first, int count) {
  UnitTask task;
  task.micro_batch = kMicroBatch;
  task.image_count = count;
  task.read_image = [&dataset, first](int position, absl::Span<float> out) {
    std::vector<uint8_t> rgb(out.size());
    const absl::Status status =
        dataset.ReadRgb((first + position) % dataset.size(), absl::MakeSpan(rgb));
    if (status.ok()) image::RgbToFloat(rgb, out);
    return status;
  };
  return task;
}

void MeasureWaiting(const char* name, const data::Dataset& dataset, GradientComputer& computer) {
  double compute = 0, waiting = 0;
  for (int first = 0; first < kImages; first += kUnitImages) {
    const UnitGradient unit = Must(computer.Compute(TaskOn(dataset, first, kUnitImages)));
    compute += unit.compute_seconds;
    waiting += unit.data_seconds;
  }
  std::printf("%-28s %6.1f img/s, waiting for images %.2f %% of the time (goal below 2 %%)\n", name,
              kImages / (compute + waiting), 100 * waiting / (compute + waiting));
  std::fflush(stdout);
}

double ResidentMegabytes() {
  std::ifstream in("/proc/self/statm");
  int64_t size = 0, resident = 0;
  in >> size >> resident;
  return static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / 1e6;
}

void MeasureMemory(const data::Dataset& dataset, GradientComputer& computer, int units) {
  double early = 0, most = 0;
  for (int unit = 1; unit <= units; ++unit) {
    Must(computer.Compute(TaskOn(dataset, unit * kSmallUnit, kSmallUnit)));
    most = std::max(most, ResidentMegabytes());
    if (unit == units / 10) early = ResidentMegabytes();
  }
  std::printf(
      "memory over %d units of %d images: %.0f MB after a tenth, %.0f MB at the end, at most "
      "%.0f MB (goal below 700)\n",
      units, kSmallUnit, early, ResidentMegabytes(), most);
}

int Main(int argc, char** argv) {
  int units = 1000;
  if (argc == 3 && std::strcmp(argv[1], "--units") == 0) units = std::atoi(argv[2]);
  if ((argc != 1 && argc != 3) || units < 10) {
    std::fprintf(stderr, "usage: gannet-bench-data [--units N], N at least 10\n");
    return 2;
  }
  base::TuneMalloc();
  ConfigureCompute(kThreads);
  const image::TempFolder folder;
  for (int i = 0; i < kImages; ++i) {
    folder.Write(absl::StrFormat("img_align_celeba/%06d.jpg", i + 1),
                 image::EncodeJpeg(image::SoftImage(178, 218, i)));
  }
  const data::DatasetOptions options{.kind = "folder", .path = folder.path() + "/img_align_celeba"};
  const domain::ModelConfig model;
  const std::unique_ptr<GradientComputer> computer = Must(MakeGradientComputer(model));
  MustBeOk(computer->SetWeights(InitialWeights(model, 1)));
  std::printf("%s, %dx%d, micro-batch %d, %d threads, %d JPEGs of 178x218\n",
              DescribeCompute().text.c_str(), model.image_size, model.image_size, kMicroBatch,
              kThreads, kImages);

  const std::unique_ptr<data::Dataset> cold = Must(data::OpenDataset(options));
  // The first step builds kernels and buffers.
  Must(computer->Compute(TaskOn(*cold, 0, kMicroBatch)));
  MeasureWaiting("decoded while it trains", *cold, *computer);
  const data::ImageCache cache(Must(data::OpenDataset(options)), options.image_size, kCacheBytes);
  std::vector<uint8_t> rgb(size_t{3} * 64 * 64);
  for (int64_t i = 0; i < kImages; ++i) MustBeOk(cache.ReadRgb(i, absl::MakeSpan(rgb)));
  MeasureWaiting("from memory", cache, *computer);
  const std::string packed_path = folder.path() + "/images.packed";
  MustBeOk(data::WritePackedDataset(*cold, options.image_size, packed_path, nullptr));
  const std::unique_ptr<data::Dataset> packed = Must(
      data::OpenDataset({.kind = "packed", .path = packed_path, .image_size = options.image_size}));
  MeasureWaiting("from a packed file", *packed, *computer);
  MeasureMemory(*packed, *computer, units);
  return 0;
}

}  // namespace
}  // namespace gannet::gan

int main(int argc, char** argv) { return gannet::gan::Main(argc, argv); }
