#include "libs/domain/network_architecture.h"

// DCGAN (Radford, Metz and Chintala 2015, "Unsupervised Representation Learning with Deep
// Convolutional Generative Adversarial Networks"), as PyTorch's example has it.

namespace gannet::domain {

NetworkArchitecture models::dcgan(const ModelConfig& model) {
  // Channels where the side of the features is `side`: those at half the image's, doubled at each
  // further halving.
  const auto channels = [&](int side) {
    return int64_t{model.base_width} * model.image_size / (int64_t{2} * side);
  };
  NetworkArchitecture design;
  design.generator = {TransposedConvolution(channels(4), 4, 1, 0), BatchNorm(), Relu()};
  for (int side = 8; side < model.image_size; side *= 2) {
    design.generator.push_back(TransposedConvolution(channels(side), 4, 2, 1));
    design.generator.push_back(BatchNorm());
    design.generator.push_back(Relu());
  }
  design.generator.push_back(TransposedConvolution(3, 4, 2, 1));

  design.discriminator = {Convolution(model.base_width, 4, 2, 1), LeakyRelu()};
  for (int side = model.image_size / 4; side >= 4; side /= 2) {
    design.discriminator.push_back(Convolution(channels(side), 4, 2, 1));
    design.discriminator.push_back(BatchNorm());
    design.discriminator.push_back(LeakyRelu());
  }
  design.discriminator.push_back(Convolution(1, 4, 1, 0));
  return design;
}

}  // namespace gannet::domain
