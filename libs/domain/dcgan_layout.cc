#include "libs/domain/dcgan_layout.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace gannet {
namespace {

constexpr int64_t kKernel = 4;
constexpr int64_t kColours = 3;

// One convolution and the BatchNorm behind it, if any. Index = place in PyTorch's nn.Sequential.
struct Stage {
  int conv_index = 0;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  bool has_batch_norm = false;
};

struct Network {
  std::string name;  // "generator"
  bool transposed = false;
  std::vector<std::string> passes;
  std::vector<Stage> stages;
};

// Channels at a resolution of 4x4.
int64_t WidestChannels(const ModelConfig& model) {
  return int64_t{model.base_width} * model.image_size / 8;
}

// Stages of the generator are followed by BatchNorm and ReLU, so they are three places apart.
Network Generator(const ModelConfig& model) {
  Network network{"generator", true, {"fake"}, {}};
  int index = 0;
  int64_t in = model.latent_dim;
  for (int64_t out = WidestChannels(model); out >= model.base_width; out /= 2) {
    network.stages.push_back({index, in, out, true});
    index += 3;
    in = out;
  }
  network.stages.push_back({index, in, kColours, false});
  return network;
}

// The first stage of the discriminator has no BatchNorm, so the second is two places behind it.
Network Discriminator(const ModelConfig& model) {
  Network network{"discriminator", false, {"real", "fake"}, {}};
  network.stages.push_back({0, kColours, model.base_width, false});
  int index = 2;
  int64_t in = model.base_width;
  while (in < WidestChannels(model)) {
    network.stages.push_back({index, in, in * 2, true});
    index += 3;
    in *= 2;
  }
  network.stages.push_back({index, in, 1, false});
  return network;
}

std::vector<Network> Networks(const ModelConfig& model) {
  return {Generator(model), Discriminator(model)};
}

std::string PrefixOf(const Network& network, int index) {
  return absl::StrCat(network.name, ".main.", index);
}

// A transposed convolution keeps its input channels first.
std::vector<int64_t> ConvShape(const Network& network, const Stage& stage) {
  if (network.transposed) return {stage.in_channels, stage.out_channels, kKernel, kKernel};
  return {stage.out_channels, stage.in_channels, kKernel, kKernel};
}

// Parameters, and buffers too when asked for, in state_dict order.
BundleSpec StateSpec(const ModelConfig& model, bool with_buffers) {
  BundleSpec spec;
  for (const Network& network : Networks(model)) {
    for (const Stage& stage : network.stages) {
      spec.push_back({PrefixOf(network, stage.conv_index) + ".weight", Dtype::kF32,
                      ConvShape(network, stage)});
      if (!stage.has_batch_norm) continue;
      const std::string norm = PrefixOf(network, stage.conv_index + 1);
      spec.push_back({norm + ".weight", Dtype::kF32, {stage.out_channels}});
      spec.push_back({norm + ".bias", Dtype::kF32, {stage.out_channels}});
      if (!with_buffers) continue;
      spec.push_back({norm + ".running_mean", Dtype::kF32, {stage.out_channels}});
      spec.push_back({norm + ".running_var", Dtype::kF32, {stage.out_channels}});
      spec.push_back({norm + ".num_batches_tracked", Dtype::kI64, {}});
    }
  }
  return spec;
}

}  // namespace

std::vector<BatchNormLayout> BatchNormLayouts(const ModelConfig& model) {
  std::vector<BatchNormLayout> layouts;
  for (const Network& network : Networks(model)) {
    for (const Stage& stage : network.stages) {
      if (!stage.has_batch_norm) continue;
      layouts.push_back(
          {PrefixOf(network, stage.conv_index + 1), stage.out_channels, network.passes});
    }
  }
  return layouts;
}

BundleSpec ParameterSpec(const ModelConfig& model) { return StateSpec(model, false); }

BundleSpec WeightsSpec(const ModelConfig& model) { return StateSpec(model, true); }

BundleSpec GradientSpec(const ModelConfig& model) {
  BundleSpec spec = ParameterSpec(model);
  for (const BatchNormLayout& layout : BatchNormLayouts(model)) {
    for (const std::string& pass : layout.passes) {
      spec.push_back(
          {absl::StrCat(layout.prefix, ".batch_mean.", pass), Dtype::kF32, {layout.channels}});
      spec.push_back(
          {absl::StrCat(layout.prefix, ".batch_var.", pass), Dtype::kF32, {layout.channels}});
    }
  }
  return spec;
}

BundleSpec AdamStateSpec(const ModelConfig& model, const AdamConfig& adam) {
  BundleSpec spec;
  for (const TensorSpec& parameter : ParameterSpec(model)) {
    spec.push_back({parameter.name + ".exp_avg", Dtype::kF32, parameter.shape});
    spec.push_back({parameter.name + ".exp_avg_sq", Dtype::kF32, parameter.shape});
  }
  spec.push_back({"step", Dtype::kI64, {}});
  if (!adam.keeps_average()) return spec;
  for (const TensorSpec& parameter : ParameterSpec(model)) {
    if (!absl::StartsWith(parameter.name, "generator.")) continue;
    spec.push_back({parameter.name + kAverageSuffix, Dtype::kF32, parameter.shape});
  }
  return spec;
}

}  // namespace gannet
