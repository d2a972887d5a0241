#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/domain/run_config.h"

namespace gannet::gan {

// A convolution with kernel 4 and the BatchNorm behind it, in a network that is nothing but a chain
// of them, each halving or doubling the side: what dcgan.h and the networks on a GPU compute faster
// than autograd would.
struct Layer {
  std::string weight_name;        // "generator.main.3.weight"
  std::string batch_norm_prefix;  // "generator.main.4"; empty where there is none
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t in_side = 0;   // pixels
  int64_t out_side = 0;  // pixels
};

// Whether both networks are such chains: the generator's of transposed convolutions, BatchNorm and
// ReLU behind all but the last, and the discriminator's of convolutions, LeakyReLU behind all but
// the last, BatchNorm before it in all but the first.
bool IsChain(const domain::ModelConfig& model);

// From the latent vector (side 1) to the image, and from the image to the logit (side 1). `model`
// must be a chain.
std::vector<Layer> GeneratorLayers(const domain::ModelConfig& model);
std::vector<Layer> DiscriminatorLayers(const domain::ModelConfig& model);

}  // namespace gannet::gan
