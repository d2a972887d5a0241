#include "libs/domain/network_architecture.h"

#include <utility>

namespace gannet::domain {

Step Convolution(int64_t out_channels, int64_t kernel, int64_t stride, int64_t padding) {
  return {.kind = Step::Kind::kConvolution,
          .out_channels = out_channels,
          .kernel = kernel,
          .stride = stride,
          .padding = padding};
}

Step TransposedConvolution(int64_t out_channels, int64_t kernel, int64_t stride, int64_t padding) {
  Step step = Convolution(out_channels, kernel, stride, padding);
  step.kind = Step::Kind::kTransposedConvolution;
  return step;
}

Step BatchNorm() { return {.kind = Step::Kind::kBatchNorm}; }
Step Relu() { return {.kind = Step::Kind::kRelu}; }
Step LeakyRelu() { return {.kind = Step::Kind::kLeakyRelu}; }
Step Upsample() { return {.kind = Step::Kind::kUpsample}; }
Step AveragePool() { return {.kind = Step::Kind::kAveragePool}; }

Step Residual(Steps main, Steps shortcut) {
  Step step{.kind = Step::Kind::kResidual};
  step.main = std::move(main);
  step.shortcut = std::move(shortcut);
  return step;
}

NetworkArchitecture DesignOf(const ModelConfig& model) {
#define GANNET_DESIGN_OF(name) \
  if (model.kind == #name) return models::name(model);
  GANNET_MODELS(GANNET_DESIGN_OF)
#undef GANNET_DESIGN_OF
  return {};
}

FeatureShape ShapeAfter(const Step& step, FeatureShape in) {
  switch (step.kind) {
    case Step::Kind::kConvolution:
      return {step.out_channels, (in.side + 2 * step.padding - step.kernel) / step.stride + 1};
    case Step::Kind::kTransposedConvolution:
      return {step.out_channels, (in.side - 1) * step.stride - 2 * step.padding + step.kernel};
    case Step::Kind::kUpsample:
      return {in.channels, in.side * 2};
    case Step::Kind::kAveragePool:
      return {in.channels, in.side / 2};
    case Step::Kind::kResidual:
      for (const Step& inner : step.main) in = ShapeAfter(inner, in);
      return in;
    case Step::Kind::kBatchNorm:
    case Step::Kind::kRelu:
    case Step::Kind::kLeakyRelu:
      break;
  }
  return in;
}

}  // namespace gannet::domain
