#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "libs/base/training_choices.h"
#include "libs/domain/run_config.h"

namespace gannet::domain {

// One step of a network, in the order in which PyTorch's nn.Sequential would list its modules.
// Convolutions have no biases: a BatchNorm follows, or none is needed.
struct Step {
  enum class Kind {
    kConvolution,            // nn.Conv2d
    kTransposedConvolution,  // nn.ConvTranspose2d
    kBatchNorm,              // nn.BatchNorm2d
    kRelu,                   // nn.ReLU
    kLeakyRelu,              // nn.LeakyReLU(0.2)
    kUpsample,               // nn.Upsample(scale_factor=2): every pixel becomes four
    kAveragePool,            // nn.AvgPool2d(2)
    kResidual,               // main(x) + shortcut(x)
  };

  Kind kind = Kind::kRelu;
  // Of a convolution.
  int64_t out_channels = 0;
  int64_t kernel = 0;
  int64_t stride = 0;
  int64_t padding = 0;
  // Of a residual block; an empty shortcut is x itself. Their parameters are named below "main."
  // and "shortcut.".
  std::vector<Step> main = {};
  std::vector<Step> shortcut = {};
};

using Steps = std::vector<Step>;

// What the modules are built with, PyTorch's defaults but for the slope.
inline constexpr double kLeakyReluSlope = 0.2;
inline constexpr double kBatchNormEpsilon = 1e-5;
inline constexpr double kBatchNormMomentum = 0.1;

inline constexpr int64_t kImageChannels = 3;

Step Convolution(int64_t out_channels, int64_t kernel, int64_t stride, int64_t padding);
Step TransposedConvolution(int64_t out_channels, int64_t kernel, int64_t stride, int64_t padding);
Step BatchNorm();
Step Relu();
Step LeakyRelu();
Step Upsample();
Step AveragePool();
Step Residual(Steps main, Steps shortcut);

// What one kind of networks says of itself; names and shapes of its tensors (model_layout.h),
// computation and sampling (libs/gan) follow from it.
struct NetworkArchitecture {
  // From latent_dim channels of one pixel to 3 channels of image_size x image_size. A tanh follows.
  Steps generator;
  // From such an image to one number, the logit.
  Steps discriminator;
};

// Each is defined in the file of its name.
namespace models {
#define GANNET_DECLARE_MODEL(name) NetworkArchitecture name(const ModelConfig& model);
GANNET_MODELS(GANNET_DECLARE_MODEL)
#undef GANNET_DECLARE_MODEL
}  // namespace models

// The design of `model.kind`; without any step if this program knows no such kind.
NetworkArchitecture DesignOf(const ModelConfig& model);

// Channels and side of what a network makes of `in`.
struct FeatureShape {
  int64_t channels = 0;
  int64_t side = 0;  // pixels

  friend bool operator==(const FeatureShape&, const FeatureShape&) = default;
};
FeatureShape ShapeAfter(const Step& step, FeatureShape in);

}  // namespace gannet::domain
