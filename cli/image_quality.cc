#include "cli/image_quality.h"

#include <algorithm>
#include <memory>

#include "cli/dataset_source.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset.h"

namespace gannet {

absl::StatusOr<RealImages> ReadRealImages(const Config& config, int image_size, int64_t count,
                                          int64_t skip) {
  DatasetOptions options = DatasetOptionsFrom(config);
  options.image_size = image_size;
  RealImages real;
  real.held_out = options.kind == "procedural";
  if (real.held_out) options.count += skip + count;
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(options));
  real.count = std::min(count, dataset->size());
  const auto values = static_cast<size_t>(3 * image_size * image_size);
  real.pixels.resize(static_cast<size_t>(real.count) * values);
  std::vector<uint8_t> rgb(values);
  for (int64_t i = 0; i < real.count; ++i) {
    const int64_t index = real.held_out
                              ? config.data.count + skip + i
                              : (i * dataset->size() / real.count + skip) % dataset->size();
    GANNET_RETURN_IF_ERROR(dataset->ReadRgb(index, absl::MakeSpan(rgb)));
    RgbToFloat(rgb, absl::MakeSpan(real.pixels).subspan(static_cast<size_t>(i) * values, values));
  }
  return real;
}

std::vector<float> Flattened(const ImageBatch& batch) {
  std::vector<float> pixels;
  for (const std::vector<float>& image : batch.images) {
    pixels.insert(pixels.end(), image.begin(), image.end());
  }
  return pixels;
}

}  // namespace gannet
