#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"
#include "libs/domain/dcgan_layout.h"
#include "libs/gan/compute.h"
#include "libs/gan/dcgan.h"
#include "libs/gan/gan.h"
#include "libs/gan/kernels.h"

namespace gannet {
namespace {

// Images generated at once in eval mode, where the number changes nothing but memory.
constexpr int kEvalBatch = 64;

// Adds the images of the noise streams from `first` on.
void GenerateBatch(const gan::Generator& generator, const ModelConfig& model, uint64_t seed,
                   int first, int count, gan::Statistics statistics, ImageBatch& out) {
  const size_t dim = static_cast<size_t>(model.latent_dim);
  at::Tensor latent = at::empty({count, model.latent_dim}, at::kFloat);
  for (int i = 0; i < count; ++i) {
    PhiloxStream stream(seed, RandomPurpose::kSampleNoise, 0, static_cast<uint64_t>(first + i));
    FillNormal(stream,
               absl::MakeSpan(latent.data_ptr<float>() + static_cast<size_t>(i) * dim, dim));
  }
  const at::Tensor images = generator.Generate(latent, statistics);
  const int64_t pixels = int64_t{model.image_size} * model.image_size;
  for (int i = 0; i < count; ++i) {
    std::vector<float>& image = out.images.emplace_back(static_cast<size_t>(3 * pixels));
    gan::InterleavedToPlanar(images.data_ptr<float>() + i * 3 * pixels, image.data(), 3, pixels);
  }
}

}  // namespace

absl::StatusOr<ImageBatch> GenerateImages(const ModelConfig& model, const TensorBundle& weights,
                                          uint64_t seed, int count, SampleMode mode) {
  GANNET_RETURN_IF_ERROR(gan::CheckModel(model));
  GANNET_RETURN_IF_ERROR(weights.CheckSpec(WeightsSpec(model)));
  if (count < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the number of images must not be negative: got ", count));
  }
  gan::PrepareComputeThread();
  const c10::InferenceMode inference;
  try {
    const gan::Generator generator(model, weights);
    ImageBatch batch{.image_size = model.image_size, .images = {}};
    const bool eval = mode == SampleMode::kEval;
    const int step = eval ? kEvalBatch : std::max(count, 1);
    for (int first = 0; first < count; first += step) {
      GenerateBatch(generator, model, seed, first, std::min(step, count - first),
                    eval ? gan::Statistics::kRunning : gan::Statistics::kBatch, batch);
    }
    return batch;
  } catch (...) {
    return gan::StatusFromException("generating images");
  }
}

}  // namespace gannet
