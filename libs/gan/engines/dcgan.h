#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "libs/domain/run_config.h"
#include "libs/gan/engines/convolution_chain.h"
#include "libs/gan/kernels/convolution.h"
#include "libs/gan/networks.h"
#include "libs/tensor/tensor_bundle.h"

// Networks that are plain chains (convolution_chain.h) and the gradient of one micro-batch, written
// out by hand over kernels of our own and LibTorch's convolutions: no autograd, so that every
// convolution can be shared. Activations are NHWC ("channels last"). Internal to libs/gan: only its
// sources include torch.

namespace gannet::gan {

// Statistics of one BatchNorm layer in one pass over a batch; each vector is as long as the layer
// has channels.
struct BatchNormStatistics {
  std::vector<float> mean;
  std::vector<float> inverse_std;
  std::vector<float> unbiased_variance;
};

// The parameters of a layer as the loops read them.
struct LayerWeights {
  // Convolution: (out, in, 4, 4); of a ConvTranspose2d (in, out, 4, 4).
  ConvolutionWeight convolution;
  std::vector<float> gamma, beta;
  BatchNormStatistics running;  // the buffers
};

// The gradient of a layer, summed over micro-batches.
struct LayerGradient {
  at::Tensor convolution;  // undefined before the first micro-batch
  std::vector<double> gamma, beta;
  // Per pass ("real" before "fake" where there are both), image-weighted sums.
  struct Pass {
    std::vector<double> mean, unbiased_variance;
  };
  std::vector<Pass> passes;
};

struct UnitSums {
  std::vector<LayerGradient> generator, discriminator;
  UnitTotals totals;
};

// What the backward pass needs of a forward pass through one layer.
struct Trace {
  at::Tensor before;  // the convolution's output; undefined where no BatchNorm follows
  at::Tensor after;   // after BatchNorm and activation
  std::vector<BatchNormStatistics> passes;
};

// The generator at given weights.
//
// Thread safety: const methods may be called from any thread. Errors: the torch calls throw;
// callers catch.
class Generator final : public ImageGenerator {
 public:
  // `weights` must have the layout WeightsSpec(model).
  Generator(const domain::ModelConfig& model, const tensor::TensorBundle& weights);

  const std::vector<Layer>& layers() const { return layers_; }
  const std::vector<LayerWeights>& weights() const { return weights_; }

  // Images before tanh, (count, 3, side, side) in channels-last order, of `latent`, (count,
  // latent_dim). Adds a trace per BatchNorm to `traces` unless that is null.
  at::Tensor Run(const at::Tensor& latent, Statistics statistics, std::vector<Trace>* traces) const;

  at::Tensor Generate(const at::Tensor& latent, Statistics statistics) const override;

 private:
  std::vector<Layer> layers_;
  std::vector<LayerWeights> weights_;
};

// Both networks at given weights.
//
// Thread safety and errors: as Generator.
class Dcgan {
 public:
  // `weights` must have the layout WeightsSpec(model).
  Dcgan(const domain::ModelConfig& model, const tensor::TensorBundle& weights);

  // Adds the gradient of a micro-batch to `sums`: the gradient of the mean losses over
  // `unit_images` images as far as this micro-batch contributes. `images` is (2n, 3, side, side) in
  // channels-last order: the first n are real, the others are overwritten with the generator's.
  // `latent` is (n, latent_dim).
  void AddGradient(const at::Tensor& latent, const Objective& objective, at::Tensor& images,
                   UnitSums& sums) const;

  // The first layer whose output at these inputs holds a value that is not finite, such as
  // "generator.main.3"; empty: none. `images` as above.
  std::string FirstLayerNotFinite(const at::Tensor& latent, const Objective& objective,
                                  at::Tensor& images) const;

  // Zero sums of the right shapes.
  UnitSums MakeSums() const;

  // Writes the gradient in layout GradientSpec. `unit_images` is the number of images that were
  // added.
  tensor::TensorBundle ToGradient(const UnitSums& sums, int64_t unit_images) const;

 private:
  // Fills the second half of `images`; the traces of the generator are returned.
  std::vector<Trace> GenerateInto(const at::Tensor& latent, at::Tensor& images) const;

  // Runs the discriminator over real and fake images up to its last convolution.
  std::vector<Trace> Judge(const at::Tensor& images, UnitSums& sums) const;

  // The images as the discriminator sees them.
  at::Tensor Augmented(const at::Tensor& images, const Objective& objective) const;

  at::Tensor Logits(const Trace& last) const;

  // Back through the discriminator from the gradients of the logits; the gradient of the
  // generator's loss by the fake images, as the discriminator saw them, is returned.
  at::Tensor DiscriminatorBackward(const at::Tensor& logit_gradients, const at::Tensor& images,
                                   std::vector<Trace>& judged, UnitSums& sums) const;

  // Back through the generator from the gradient by its images before tanh.
  void GeneratorBackward(const at::Tensor& latent, at::Tensor image_gradient,
                         std::vector<Trace>& generated, UnitSums& sums) const;

  const domain::ModelConfig model_;
  const Generator generator_;
  const std::vector<Layer> layers_;  // of the discriminator
  const std::vector<LayerWeights> weights_;
};

}  // namespace gannet::gan
