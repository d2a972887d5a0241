#include "libs/quality/reference_images.h"

#include <algorithm>
#include <memory>

#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/image/pixel_range.h"

namespace gannet::quality {

absl::StatusOr<ReferenceImages> ReadReferenceImages(const data::DatasetOptions& options,
                                                    int64_t count, int64_t skip) {
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<data::Dataset> dataset, data::OpenDataset(options));
  return ReadReferenceImages(*dataset, options, count, skip);
}

absl::StatusOr<ReferenceImages> ReadReferenceImages(const data::Dataset& opened,
                                                    const data::DatasetOptions& options,
                                                    int64_t count, int64_t skip) {
  ReferenceImages real;
  real.held_out = base::IsDrawnDataset(options.kind);
  const data::Dataset* dataset = &opened;
  std::unique_ptr<data::Dataset> beyond;
  if (real.held_out) {
    data::DatasetOptions more = options;
    more.count += skip + count;
    GANNET_ASSIGN_OR_RETURN(beyond, data::OpenDataset(more));
    dataset = beyond.get();
  }
  real.count = std::min(count, dataset->size());
  real.label_bits = dataset->label_bits();
  const size_t side = static_cast<size_t>(options.image_size);
  const size_t values = 3 * side * side;
  real.pixels.resize(static_cast<size_t>(real.count) * values);
  std::vector<uint8_t> rgb(values);
  for (int64_t i = 0; i < real.count; ++i) {
    // Spread over the whole set; a second set lies between the images of the first.
    const int64_t place = 2 * i + (skip > 0 ? 1 : 0);
    const int64_t index =
        real.held_out ? options.count + skip + i : place * dataset->size() / (2 * real.count);
    GANNET_RETURN_IF_ERROR(dataset->ReadRgb(index, absl::MakeSpan(rgb)));
    if (dataset->has_labels()) real.labels.push_back(dataset->LabelOf(index));
    image::RgbToFloat(rgb,
                      absl::MakeSpan(real.pixels).subspan(static_cast<size_t>(i) * values, values));
  }
  return real;
}

}  // namespace gannet::quality
