#include "libs/gan/engines/convolution_chain.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/domain/network_architecture.h"

namespace gannet::gan {
namespace {

// What a chain has at one place.
struct Expected {
  domain::Step convolution;
  bool batch_norm = false;
  std::optional<domain::Step::Kind> activation;
};

bool IsLike(const domain::Step& step, const domain::Step& expected) {
  return step.kind == expected.kind && step.kernel == expected.kernel &&
         step.stride == expected.stride && step.padding == expected.padding;
}

// The layers of `steps` if they are `count` of them as `expected` has them; none otherwise.
template <typename ExpectedAt>
std::vector<Layer> LayersLike(const domain::Steps& steps, const std::string& network,
                              domain::FeatureShape shape, size_t count, ExpectedAt expected_at) {
  std::vector<Layer> layers;
  size_t at = 0;
  for (size_t i = 0; i < count; ++i) {
    const Expected expected = expected_at(i);
    if (at == steps.size() || !IsLike(steps[at], expected.convolution)) return {};
    const domain::FeatureShape out = domain::ShapeAfter(steps[at], shape);
    layers.push_back({.weight_name = absl::StrCat(network, ".main.", at, ".weight"),
                      .batch_norm_prefix = "",
                      .in_channels = shape.channels,
                      .out_channels = out.channels,
                      .in_side = shape.side,
                      .out_side = out.side});
    shape = out;
    ++at;
    if (expected.batch_norm) {
      if (at == steps.size() || steps[at].kind != domain::Step::Kind::kBatchNorm) return {};
      layers.back().batch_norm_prefix = absl::StrCat(network, ".main.", at++);
    }
    if (expected.activation.has_value()) {
      if (at == steps.size() || steps[at].kind != *expected.activation) return {};
      ++at;
    }
  }
  return at == steps.size() ? layers : std::vector<Layer>();
}

// Layers between one pixel and the image's side: the first or last makes or takes 4 x 4.
size_t LayerCount(const domain::ModelConfig& model) {
  size_t count = 0;
  for (int side = model.image_size; side >= 4; side /= 2) ++count;
  return count;
}

std::vector<Layer> GeneratorChain(const domain::ModelConfig& model) {
  const size_t count = LayerCount(model);
  return LayersLike(DesignOf(model).generator, "generator", {model.latent_dim, 1}, count,
                    [&](size_t i) -> Expected {
                      const domain::Step convolution =
                          i == 0 ? domain::TransposedConvolution(0, 4, 1, 0)
                                 : domain::TransposedConvolution(0, 4, 2, 1);
                      if (i + 1 == count) return {convolution, false, std::nullopt};
                      return {convolution, true, domain::Step::Kind::kRelu};
                    });
}

std::vector<Layer> DiscriminatorChain(const domain::ModelConfig& model) {
  const size_t count = LayerCount(model);
  return LayersLike(
      DesignOf(model).discriminator, "discriminator", {domain::kImageChannels, model.image_size},
      count, [&](size_t i) -> Expected {
        if (i + 1 == count) return {domain::Convolution(0, 4, 1, 0), false, std::nullopt};
        return {domain::Convolution(0, 4, 2, 1), i > 0, domain::Step::Kind::kLeakyRelu};
      });
}

}  // namespace

bool IsChain(const domain::ModelConfig& model) {
  return !GeneratorChain(model).empty() && !DiscriminatorChain(model).empty();
}

std::vector<Layer> GeneratorLayers(const domain::ModelConfig& model) {
  std::vector<Layer> layers = GeneratorChain(model);
  GANNET_CHECK(!layers.empty());
  return layers;
}

std::vector<Layer> DiscriminatorLayers(const domain::ModelConfig& model) {
  std::vector<Layer> layers = DiscriminatorChain(model);
  GANNET_CHECK(!layers.empty());
  return layers;
}

}  // namespace gannet::gan
