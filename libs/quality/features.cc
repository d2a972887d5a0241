#include "libs/quality/features.h"

#include <ATen/ops/convolution.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/leaky_relu.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"
#include "libs/gan/compute.h"
#include "libs/quality/feature_batches.h"

namespace gannet::quality {
namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kChannels[] = {3, 32, 64, 128};
constexpr size_t kLayers = 3;
constexpr int64_t kKernel = 4;
constexpr double kSlope = 0.2;
constexpr uint64_t kSeed = 1;

std::vector<at::Tensor> MakeWeights() {
  std::vector<at::Tensor> weights;
  for (size_t layer = 0; layer < kLayers; ++layer) {
    const int64_t in = kChannels[layer], out = kChannels[layer + 1];
    at::Tensor weight = at::empty({out, in, kKernel, kKernel}, at::kFloat);
    base::PhiloxStream stream(kSeed, base::RandomPurpose::kFeatureWeights, layer, 0);
    base::FillNormal(stream,
                     absl::MakeSpan(weight.data_ptr<float>(), static_cast<size_t>(weight.numel())));
    weight.mul_(std::sqrt(2.0 / static_cast<double>(in * kKernel * kKernel)));
    weights.push_back(weight);
  }
  return weights;
}

// Brings squares of any side to kSide: means where it is larger, repetition where it is smaller.
at::Tensor ToSide(const at::Tensor& images) {
  const int64_t side = images.size(2);
  if (side == kSide) return images;
  const at::Tensor smaller = side > kSide ? images.unfold(2, side / kSide, side / kSide)
                                                .unfold(3, side / kSide, side / kSide)
                                                .mean(at::IntArrayRef{4, 5})
                                          : images.repeat_interleave((kSide + side - 1) / side, 2)
                                                .repeat_interleave((kSide + side - 1) / side, 3);
  return smaller.narrow(2, 0, kSide).narrow(3, 0, kSide).contiguous();
}

class RandomFeatureNetwork final : public FeatureNetwork {
 public:
  RandomFeatureNetwork() : weights_(MakeWeights()) {}

  absl::StatusOr<Features> Extract(absl::Span<const float> images, int image_size) override {
    return ExtractInBatches(images, image_size, [this](const at::Tensor& batch) {
      at::Tensor x = ToSide(batch);
      for (const at::Tensor& weight : weights_) {
        x = at::convolution(x, weight, {}, {2, 2}, {1, 1}, {1, 1}, false, {0, 0}, 1);
        x = at::leaky_relu(x, kSlope);
      }
      // (n, 128, 4, 4) to the means of its two halves, (n, 256).
      return x.reshape({x.size(0), x.size(1), 2, -1}).mean(3).reshape({x.size(0), -1});
    });
  }

 private:
  const std::vector<at::Tensor> weights_;
};

}  // namespace

std::unique_ptr<FeatureNetwork> MakeRandomFeatureNetwork() {
  gan::PrepareComputeThread();
  const c10::InferenceMode inference;
  return std::make_unique<RandomFeatureNetwork>();
}

absl::StatusOr<Features> ExtractInBatches(absl::Span<const float> images, int image_size,
                                          const BatchFunction& function) {
  constexpr int64_t kBatch = 64;
  const int64_t image_values = int64_t{3} * image_size * image_size;
  if (image_size < 1 || images.empty() || static_cast<int64_t>(images.size()) % image_values != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("whole images of ", image_values, " values expected, got ", images.size()));
  }
  gan::PrepareComputeThread();
  const c10::InferenceMode inference;
  Features features;
  features.count = static_cast<int64_t>(images.size()) / image_values;
  try {
    for (int64_t first = 0; first < features.count; first += kBatch) {
      const int64_t count = std::min(kBatch, features.count - first);
      // from_blob takes a mutable pointer; the networks only read it.
      auto* data = const_cast<float*>(images.data() + first * image_values);
      const at::Tensor out =
          function(at::from_blob(data, {count, 3, image_size, image_size}, at::kFloat));
      if (!out.defined() || out.dim() != 2 || out.size(0) != count ||
          out.scalar_type() != at::kFloat ||
          (features.dimensions != 0 && out.size(1) != features.dimensions)) {
        return absl::InternalError(absl::StrCat("the feature network must return a float tensor (",
                                                count, ", dimensions) for ", count, " images"));
      }
      if (!at::isfinite(out).all().item<bool>()) {
        return absl::InternalError("a feature is not finite");
      }
      features.dimensions = out.size(1);
      const at::Tensor plain = out.contiguous();
      const float* values = plain.data_ptr<float>();
      features.values.insert(features.values.end(), values, values + plain.numel());
    }
  } catch (...) {
    return gan::StatusFromException("computing features");
  }
  return features;
}

}  // namespace gannet::quality
