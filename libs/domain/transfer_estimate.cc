#include "libs/domain/transfer_estimate.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "libs/domain/model_layout.h"

namespace gannet::domain {
namespace {

// The codec in which a gradient has the fewest bytes; `codec` itself where none has fewer.
tensor::Codec SmallestCodec(const tensor::BundleSpec& gradient, tensor::Codec codec) {
  for (const int number : base::kCodecNumbers) {
    const auto other = static_cast<tensor::Codec>(number);
    if (EncodedDataBytes(gradient, other) < EncodedDataBytes(gradient, codec)) codec = other;
  }
  return codec;
}

}  // namespace

UnitCost EstimateUnitCost(const ModelConfig& model, int images_per_unit, tensor::Codec codec) {
  UnitCost cost;
  cost.weights_bytes = EncodedDataBytes(WeightsSpec(model), tensor::Codec::kFp32);
  cost.gradient_bytes = EncodedDataBytes(GradientSpec(model), codec);
  const double bits = 8.0 * static_cast<double>(cost.weights_bytes + cost.gradient_bytes);
  cost.transfer_seconds = bits / (kAssumedMegabits * 1e6);
  // Each layer of such a network works in proportion to the square of side times width: halving the
  // side doubles the channels.
  const double scale = 64.0 * 64.0 / (static_cast<double>(model.image_size) * model.base_width);
  cost.images_per_second = std::min(kAssumedImagesPerSecond * scale * scale, kAssumedMostImages);
  cost.compute_seconds = images_per_unit / cost.images_per_second;
  return cost;
}

std::string WarnOfTransfer(const ModelConfig& model, int images_per_unit, tensor::Codec codec) {
  const UnitCost cost = EstimateUnitCost(model, images_per_unit, codec);
  if (cost.transfer_seconds <= cost.compute_seconds) return "";
  const tensor::Codec smallest = SmallestCodec(GradientSpec(model), codec);
  const std::string advice = smallest == codec
                                 ? ""
                                 : absl::StrFormat("set training.gradient_codec to %s, ",
                                                   base::CodecName(static_cast<int>(smallest)));
  return absl::StrFormat(
      "over a slow network a unit takes longer to transfer than to compute: %.1f MB of weights and "
      "%.1f MB of gradient take %.1f s at %.0f Mbit/s, its %d images %.1f s on a laptop that "
      "computes "
      "about %.0f a second; on such a network raise training.images_per_unit, %sor "
      "make model.base_width or model.image_size smaller",
      static_cast<double>(cost.weights_bytes) / 1e6, static_cast<double>(cost.gradient_bytes) / 1e6,
      cost.transfer_seconds, kAssumedMegabits, images_per_unit, cost.compute_seconds,
      cost.images_per_second, advice);
}

}  // namespace gannet::domain
