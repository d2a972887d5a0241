#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/compute.h"
#include "libs/gan/gan.h"
#include "libs/gan/kernels/kernels.h"
#include "libs/gan/networks.h"

namespace gannet::gan {
namespace {

// Images generated at once in eval mode, where the number changes nothing but memory.
constexpr size_t kEvalBatch = 64;

// Adds the images of these points.
void GenerateBatch(const ImageGenerator& generator, const domain::ModelConfig& model,
                   absl::Span<const Latent> latents, Statistics statistics, ImageBatch& out) {
  const size_t dim = static_cast<size_t>(model.latent_dim);
  const auto count = static_cast<int64_t>(latents.size());
  at::Tensor latent = at::empty({count, model.latent_dim}, at::kFloat);
  for (size_t i = 0; i < latents.size(); ++i) {
    std::copy(latents[i].begin(), latents[i].end(), latent.data_ptr<float>() + i * dim);
  }
  const at::Tensor images = generator.Generate(latent, statistics);
  const int64_t pixels = int64_t{model.image_size} * model.image_size;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<float>& image = out.images.emplace_back(static_cast<size_t>(3 * pixels));
    InterleavedToPlanar(images.data_ptr<float>() + i * 3 * pixels, image.data(), 3, pixels);
  }
}

}  // namespace

Latent SampleLatent(const domain::ModelConfig& model, uint64_t seed, uint64_t index) {
  Latent latent(static_cast<size_t>(model.latent_dim));
  base::PhiloxStream stream(seed, base::RandomPurpose::kSampleNoise, 0, index);
  base::FillNormal(stream, absl::MakeSpan(latent));
  return latent;
}

absl::StatusOr<ImageBatch> GenerateImages(const domain::ModelConfig& model,
                                          const tensor::TensorBundle& weights, uint64_t seed,
                                          int count, SampleMode mode) {
  if (count < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the number of images must not be negative: got ", count));
  }
  std::vector<Latent> latents;
  for (int i = 0; i < count; ++i) {
    latents.push_back(SampleLatent(model, seed, static_cast<uint64_t>(i)));
  }
  return GenerateImages(model, weights, latents, mode);
}

absl::StatusOr<ImageBatch> GenerateImages(const domain::ModelConfig& model,
                                          const tensor::TensorBundle& weights,
                                          absl::Span<const Latent> latents, SampleMode mode) {
  GANNET_RETURN_IF_ERROR(CheckModel(model));
  GANNET_RETURN_IF_ERROR(weights.CheckSpec(domain::WeightsSpec(model)));
  for (const Latent& latent : latents) {
    if (latent.size() != static_cast<size_t>(model.latent_dim)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a point of ", model.latent_dim, " numbers expected, got one of ", latent.size()));
    }
  }
  PrepareComputeThread();
  const c10::InferenceMode inference;
  try {
    const std::unique_ptr<ImageGenerator> generator = MakeImageGenerator(model, weights);
    ImageBatch batch{.image_size = model.image_size, .images = {}};
    const bool eval = mode == SampleMode::kEval;
    const size_t step = eval ? kEvalBatch : std::max<size_t>(latents.size(), 1);
    for (size_t first = 0; first < latents.size(); first += step) {
      GenerateBatch(*generator, model, latents.subspan(first, step),
                    eval ? Statistics::kRunning : Statistics::kBatch, batch);
    }
    return batch;
  } catch (...) {
    return StatusFromException("generating images");
  }
}

std::vector<float> Flattened(const ImageBatch& batch) {
  std::vector<float> pixels;
  for (const std::vector<float>& image : batch.images) {
    pixels.insert(pixels.end(), image.begin(), image.end());
  }
  return pixels;
}

}  // namespace gannet::gan
