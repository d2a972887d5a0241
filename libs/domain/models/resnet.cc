#include <utility>

#include "libs/domain/network_architecture.h"

// DCGAN's resolutions and widths with a residual block (He et al. 2016; in GANs: Gulrajani et al.
// 2017) for each of its inner layers: the strided convolution, a second one at the new resolution,
// and a shortcut beside them; BatchNorm behind their sum.

namespace gannet::domain {

NetworkArchitecture models::resnet(const ModelConfig& model) {
  const auto channels = [&](int side) {
    return int64_t{model.base_width} * model.image_size / (int64_t{2} * side);
  };
  NetworkArchitecture design;
  design.generator = {TransposedConvolution(channels(4), 4, 1, 0), BatchNorm(), Relu()};
  for (int side = 8; side < model.image_size; side *= 2) {
    const int64_t out = channels(side);
    Steps main = {TransposedConvolution(out, 4, 2, 1), BatchNorm(), Relu(),
                  Convolution(out, 3, 1, 1)};
    Steps shortcut = {Convolution(out, 1, 1, 0), Upsample()};
    design.generator.push_back(Residual(std::move(main), std::move(shortcut)));
    design.generator.push_back(BatchNorm());
    design.generator.push_back(Relu());
  }
  design.generator.push_back(TransposedConvolution(3, 4, 2, 1));

  design.discriminator = {Convolution(model.base_width, 4, 2, 1), LeakyRelu()};
  for (int side = model.image_size / 4; side >= 4; side /= 2) {
    const int64_t out = channels(side);
    Steps main = {Convolution(out, 4, 2, 1), BatchNorm(), LeakyRelu(), Convolution(out, 3, 1, 1)};
    Steps shortcut = {AveragePool(), Convolution(out, 1, 1, 0)};
    design.discriminator.push_back(Residual(std::move(main), std::move(shortcut)));
    design.discriminator.push_back(BatchNorm());
    design.discriminator.push_back(LeakyRelu());
  }
  design.discriminator.push_back(Convolution(1, 4, 1, 0));
  return design;
}

}  // namespace gannet::domain
