#include "libs/domain/model_layout.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/domain/network_architecture.h"

namespace gannet::domain {
namespace {

// A layer that has parameters.
struct ParameterLayer {
  std::string name;  // "generator.main.3"
  const Step* step = nullptr;
  int64_t in_channels = 0;
};

struct Network {
  std::string name;
  std::vector<std::string> passes;
  Steps steps;
  FeatureShape in;
};

std::vector<Network> Networks(const ModelConfig& model) {
  NetworkArchitecture design = DesignOf(model);
  return {{"generator", {"fake"}, std::move(design.generator), {model.latent_dim, 1}},
          {"discriminator",
           {"real", "fake"},
           std::move(design.discriminator),
           {kImageChannels, model.image_size}}};
}

// Adds the layers of `steps` in state_dict order.
void Collect(const Steps& steps, const std::string& prefix, FeatureShape in,
             std::vector<ParameterLayer>& layers) {
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const std::string name = absl::StrCat(prefix, ".", i);
    switch (step.kind) {
      case Step::Kind::kConvolution:
      case Step::Kind::kTransposedConvolution:
      case Step::Kind::kBatchNorm:
        layers.push_back({name, &step, in.channels});
        break;
      case Step::Kind::kResidual:
        Collect(step.main, absl::StrCat(name, ".main"), in, layers);
        Collect(step.shortcut, absl::StrCat(name, ".shortcut"), in, layers);
        break;
      case Step::Kind::kRelu:
      case Step::Kind::kLeakyRelu:
      case Step::Kind::kUpsample:
      case Step::Kind::kAveragePool:
        break;
    }
    in = ShapeAfter(step, in);
  }
}

std::vector<ParameterLayer> LayersOf(const Network& network) {
  std::vector<ParameterLayer> layers;
  Collect(network.steps, absl::StrCat(network.name, ".main"), network.in, layers);
  return layers;
}

// A transposed convolution keeps its input channels first.
std::vector<int64_t> ConvolutionShape(const ParameterLayer& layer) {
  const Step& step = *layer.step;
  if (step.kind == Step::Kind::kTransposedConvolution) {
    return {layer.in_channels, step.out_channels, step.kernel, step.kernel};
  }
  return {step.out_channels, layer.in_channels, step.kernel, step.kernel};
}

// Parameters, and buffers too when asked for, in state_dict order.
tensor::BundleSpec StateSpec(const ModelConfig& model, bool with_buffers) {
  tensor::BundleSpec spec;
  for (const Network& network : Networks(model)) {
    for (const ParameterLayer& layer : LayersOf(network)) {
      if (layer.step->kind != Step::Kind::kBatchNorm) {
        spec.push_back({layer.name + ".weight", tensor::Dtype::kF32, ConvolutionShape(layer)});
        continue;
      }
      const std::vector<int64_t> shape = {layer.in_channels};
      spec.push_back({layer.name + ".weight", tensor::Dtype::kF32, shape});
      spec.push_back({layer.name + ".bias", tensor::Dtype::kF32, shape});
      if (!with_buffers) continue;
      spec.push_back({layer.name + ".running_mean", tensor::Dtype::kF32, shape});
      spec.push_back({layer.name + ".running_var", tensor::Dtype::kF32, shape});
      spec.push_back({layer.name + ".num_batches_tracked", tensor::Dtype::kI64, {}});
    }
  }
  return spec;
}

}  // namespace

std::vector<BatchNormLayout> BatchNormLayouts(const ModelConfig& model) {
  std::vector<BatchNormLayout> layouts;
  for (const Network& network : Networks(model)) {
    for (const ParameterLayer& layer : LayersOf(network)) {
      if (layer.step->kind != Step::Kind::kBatchNorm) continue;
      layouts.push_back({layer.name, layer.in_channels, network.passes});
    }
  }
  return layouts;
}

tensor::BundleSpec ParameterSpec(const ModelConfig& model) { return StateSpec(model, false); }

tensor::BundleSpec WeightsSpec(const ModelConfig& model) { return StateSpec(model, true); }

tensor::BundleSpec GradientSpec(const ModelConfig& model) {
  tensor::BundleSpec spec = ParameterSpec(model);
  for (const BatchNormLayout& layout : BatchNormLayouts(model)) {
    for (const std::string& pass : layout.passes) {
      spec.push_back({absl::StrCat(layout.prefix, ".batch_mean.", pass),
                      tensor::Dtype::kF32,
                      {layout.channels}});
      spec.push_back({absl::StrCat(layout.prefix, ".batch_var.", pass),
                      tensor::Dtype::kF32,
                      {layout.channels}});
    }
  }
  return spec;
}

tensor::BundleSpec AdamStateSpec(const ModelConfig& model, const AdamConfig& adam) {
  tensor::BundleSpec spec;
  for (const tensor::TensorSpec& parameter : ParameterSpec(model)) {
    spec.push_back({parameter.name + ".exp_avg", tensor::Dtype::kF32, parameter.shape});
    spec.push_back({parameter.name + ".exp_avg_sq", tensor::Dtype::kF32, parameter.shape});
  }
  spec.push_back({"step", tensor::Dtype::kI64, {}});
  if (!adam.keeps_average()) return spec;
  for (const tensor::TensorSpec& parameter : ParameterSpec(model)) {
    if (!absl::StartsWith(parameter.name, "generator.")) continue;
    spec.push_back({parameter.name + kAverageSuffix, tensor::Dtype::kF32, parameter.shape});
  }
  return spec;
}

}  // namespace gannet::domain
