#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/domain/run_config.h"
#include "libs/gan/augment.h"
#include "libs/gan/gan.h"
#include "libs/gan/losses.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::gan {

// What a micro-batch is trained for.
struct Objective {
  const Loss* loss = nullptr;
  double real_label = 1;
  // Of each image, the real ones first; empty: none is changed.
  absl::Span<const ImageAugmentation> augmentations;
  int64_t unit_images = 0;  // in the whole unit
};

// Sums over the images of a unit.
struct UnitTotals {
  double discriminator_loss = 0;
  double generator_loss = 0;
  int64_t real_correct = 0;
  int64_t fake_correct = 0;

  UnitTotals& operator+=(const UnitTotals& other) {
    discriminator_loss += other.discriminator_loss;
    generator_loss += other.generator_loss;
    real_correct += other.real_correct;
    fake_correct += other.fake_correct;
    return *this;
  }
};

// Both networks at given weights, and the gradient of a unit as its micro-batches are added: what a
// GradientComputer asks of the hardware it computes on.
//
// Thread safety: NewHostBatch from any thread; the rest from one. Errors: the torch calls throw;
// callers catch.
class Networks {
 public:
  virtual ~Networks() = default;

  // `weights` has the layout WeightsSpec(model).
  virtual void SetWeights(const tensor::TensorBundle& weights) = 0;

  // Room for `count` real images in host memory, (at least count, 3, side, side) in channels-last
  // order.
  virtual at::Tensor NewHostBatch(int64_t count) const = 0;

  // Forgets what was added.
  virtual void BeginUnit() = 0;

  // Adds a micro-batch: the gradient of the mean losses over the unit as far as this micro-batch
  // contributes. `images` is one of NewHostBatch, filled; `latent` is (n, latent_dim) in host
  // memory.
  virtual void Add(const at::Tensor& latent, const Objective& objective, at::Tensor& images) = 0;

  // What was added, in layout GradientSpec.
  virtual tensor::TensorBundle Gradient(int64_t unit_images) = 0;
  virtual UnitTotals Totals() = 0;

  // The first layer whose output at these inputs holds a value that is not finite, such as
  // "generator.main.3"; empty: none.
  virtual std::string FirstLayerNotFinite(const at::Tensor& latent, const Objective& objective,
                                          at::Tensor& images) = 0;
};

// The gradients of the losses by the logits (2n: real images first), one after the other: of the
// discriminator's by the real and by the fake ones, of the generator's by the fake ones, 3n in all.
// Adds losses and accuracies to `totals`.
void LogitGradients(const float* logits, int64_t n, const Objective& objective, float* gradients,
                    UnitTotals& totals);

// What BatchNorm divides by: the batch at hand, or the averages kept while training.
enum class Statistics { kBatch, kRunning };

// A generator at given weights.
//
// Thread safety: from any thread. Errors: the torch calls throw; callers catch.
class ImageGenerator {
 public:
  virtual ~ImageGenerator() = default;

  // Images in [-1, 1], (count, 3, side, side) in channels-last order, of `latent`, (count,
  // latent_dim), both in host memory.
  virtual at::Tensor Generate(const at::Tensor& latent, Statistics statistics) const = 0;
};

// INVALID_ARGUMENT - not networks this library can build.
absl::Status CheckModel(const domain::ModelConfig& model);

// The fastest there is for these networks there. `model` must pass CheckModel.
// Returns: as CheckComputeDevice.
absl::StatusOr<std::unique_ptr<Networks>> MakeNetworks(const domain::ModelConfig& model,
                                                       const ComputeDevice& device);
// `weights` has the layout WeightsSpec(model). Throws as the torch calls do.
std::unique_ptr<ImageGenerator> MakeImageGenerator(const domain::ModelConfig& model,
                                                   const tensor::TensorBundle& weights);

// What MakeNetworks chooses from, on a device that passed CheckComputeDevice.

// Chains (convolution_chain.h) by kernels of our own, on the CPU (dcgan.h).
std::unique_ptr<Networks> MakeCpuNetworks(const domain::ModelConfig& model);
// Chains by LibTorch's operations, on any device it knows.
std::unique_ptr<Networks> MakeDeviceNetworks(const domain::ModelConfig& model,
                                             const ComputeDevice& device);
// Any design (domain/network_architecture.h) by LibTorch's operations and autograd, on any device.
std::unique_ptr<Networks> MakeAutogradNetworks(const domain::ModelConfig& model,
                                               const ComputeDevice& device);

// Any design's generator by LibTorch's operations.
std::unique_ptr<ImageGenerator> MakeDesignGenerator(const domain::ModelConfig& model,
                                                    const tensor::TensorBundle& weights);

}  // namespace gannet::gan
