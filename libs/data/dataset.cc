#include "libs/data/dataset.h"

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/data/procedural_dataset.h"

namespace gannet {

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options) {
  if (options.kind == "procedural") return OpenProceduralDataset(options);
  return absl::InvalidArgumentError(
      absl::StrCat("data set kind must be procedural, got ", options.kind));
}

void RgbToFloat(absl::Span<const uint8_t> rgb, absl::Span<float> out) {
  GANNET_CHECK(rgb.size() == out.size());
  for (size_t i = 0; i < rgb.size(); ++i) out[i] = static_cast<float>(rgb[i]) / 127.5f - 1.0f;
}

}  // namespace gannet
