#include "libs/gan/engines/dcgan.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/tanh.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/network_architecture.h"
#include "libs/gan/kernels/kernels.h"

namespace gannet::gan {
namespace {

constexpr float kReluSlope = 0.0f;
constexpr auto kLeakySlope = static_cast<float>(domain::kLeakyReluSlope);

constexpr int64_t kKernel = 4;

at::Tensor EmptyNhwc(int64_t count, int64_t channels, int64_t side) {
  return at::empty({count, channels, side, side},
                   at::TensorOptions(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast));
}

// The number of rows of the activation as a matrix with a column per channel.
int64_t Rows(const at::Tensor& activation) { return activation.numel() / activation.size(1); }

// The memory of a weight whose spatial extent is the whole side, as a matrix: (first dimension, 16
// x second dimension).
at::Tensor AsMatrix(const at::Tensor& weight) {
  return weight.permute({0, 2, 3, 1}).reshape({weight.size(0), -1});
}

// The inverse of AsMatrix.
at::Tensor FromMatrix(const at::Tensor& matrix, int64_t channels) {
  return matrix.view({matrix.size(0), kKernel, kKernel, channels}).permute({0, 3, 1, 2});
}

// NHWC activations as (count, all the rest), without a copy.
at::Tensor Flatten(const at::Tensor& activation) {
  return activation.permute({0, 2, 3, 1}).reshape({activation.size(0), -1});
}

void Accumulate(const at::Tensor& gradient, at::Tensor& sum) {
  if (sum.defined()) {
    sum.add_(gradient);
  } else {
    sum = gradient;
  }
}

NormalizedActivation MakeNormalizedActivation(const BatchNormStatistics& statistics,
                                              const LayerWeights& weights, float slope) {
  return {.channels = static_cast<int64_t>(weights.gamma.size()),
          .mean = statistics.mean.data(),
          .inverse_std = statistics.inverse_std.data(),
          .gamma = weights.gamma.data(),
          .beta = weights.beta.data(),
          .slope = slope};
}

BatchNormStatistics Measure(const at::Tensor& activation) {
  const size_t channels = static_cast<size_t>(activation.size(1));
  BatchNormStatistics statistics{std::vector<float>(channels), std::vector<float>(channels),
                                 std::vector<float>(channels)};
  BatchStatistics(activation.data_ptr<float>(), Rows(activation), activation.size(1),
                  domain::kBatchNormEpsilon, statistics.mean.data(), statistics.inverse_std.data(),
                  statistics.unbiased_variance.data());
  return statistics;
}

void AddStatistics(const BatchNormStatistics& statistics, int64_t images,
                   LayerGradient::Pass& sum) {
  const double weight = static_cast<double>(images);
  for (size_t c = 0; c < sum.mean.size(); ++c) {
    sum.mean[c] += weight * statistics.mean[c];
    sum.unbiased_variance[c] += weight * statistics.unbiased_variance[c];
  }
}

std::vector<float> ReadVector(const tensor::TensorBundle& bundle, const std::string& name) {
  const absl::Span<const float> values = bundle.Find(name)->f32();
  return {values.begin(), values.end()};
}

LayerWeights ReadLayer(const tensor::TensorBundle& bundle, const Layer& layer) {
  LayerWeights weights;
  const tensor::Tensor* tensor = bundle.Find(layer.weight_name);
  // from_blob takes a mutable pointer; the copy below only reads it.
  void* data = const_cast<float*>(tensor->f32().data());
  weights.convolution = ConvolutionWeight(
      at::from_blob(data, tensor->spec.shape, at::kFloat).clone(at::MemoryFormat::ChannelsLast));
  if (layer.batch_norm_prefix.empty()) return weights;
  weights.gamma = ReadVector(bundle, absl::StrCat(layer.batch_norm_prefix, ".weight"));
  weights.beta = ReadVector(bundle, absl::StrCat(layer.batch_norm_prefix, ".bias"));
  weights.running.mean = ReadVector(bundle, absl::StrCat(layer.batch_norm_prefix, ".running_mean"));
  for (const float variance :
       ReadVector(bundle, absl::StrCat(layer.batch_norm_prefix, ".running_var"))) {
    weights.running.inverse_std.push_back(static_cast<float>(
        1.0 / std::sqrt(static_cast<double>(variance) + domain::kBatchNormEpsilon)));
  }
  return weights;
}

std::vector<LayerWeights> ReadLayers(const tensor::TensorBundle& bundle,
                                     const std::vector<Layer>& layers) {
  std::vector<LayerWeights> weights;
  for (const Layer& layer : layers) weights.push_back(ReadLayer(bundle, layer));
  return weights;
}

std::vector<LayerGradient> MakeGradients(const std::vector<Layer>& layers, size_t pass_count) {
  std::vector<LayerGradient> gradients;
  for (const Layer& layer : layers) {
    LayerGradient& gradient = gradients.emplace_back();
    if (layer.batch_norm_prefix.empty()) continue;
    const size_t channels = static_cast<size_t>(layer.out_channels);
    gradient.gamma.resize(channels);
    gradient.beta.resize(channels);
    gradient.passes.resize(pass_count);
    for (LayerGradient::Pass& pass : gradient.passes) {
      pass.mean.resize(channels);
      pass.unbiased_variance.resize(channels);
    }
  }
  return gradients;
}

// Writes a weight in C order. Its own memory may be in that or in channels-last order.
void CopyWeight(const at::Tensor& weight, absl::Span<float> out) {
  if (weight.is_contiguous()) {
    std::memcpy(out.data(), weight.data_ptr<float>(), out.size() * sizeof(float));
    return;
  }
  const at::Tensor interleaved = weight.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t row = weight.numel() / weight.size(0);
  for (int64_t i = 0; i < weight.size(0); ++i) {
    InterleavedToPlanar(interleaved.data_ptr<float>() + i * row, out.data() + i * row,
                        weight.size(1), kKernel * kKernel);
  }
}

void CopyVector(const std::vector<double>& values, double factor, absl::Span<float> out) {
  GANNET_CHECK(values.size() == out.size());
  for (size_t i = 0; i < values.size(); ++i) out[i] = static_cast<float>(values[i] * factor);
}

}  // namespace

Generator::Generator(const domain::ModelConfig& model, const tensor::TensorBundle& weights)
    : layers_(GeneratorLayers(model)), weights_(ReadLayers(weights, layers_)) {}

at::Tensor Generator::Run(const at::Tensor& latent, Statistics statistics,
                          std::vector<Trace>* traces) const {
  at::Tensor x;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const LayerWeights& weights = weights_[i];
    if (i == 0) {
      // A transposed convolution of a single pixel is a matrix product.
      x = FromMatrix(at::mm(latent, AsMatrix(weights.convolution.tensor())),
                     layers_[i].out_channels);
    } else {
      x = ConvolveTransposed(x, weights.convolution);
    }
    if (layers_[i].batch_norm_prefix.empty()) break;

    BatchNormStatistics measured;
    if (statistics == Statistics::kBatch) measured = Measure(x);
    // The backward pass needs the input of BatchNorm; without one the result takes its place.
    at::Tensor y = traces == nullptr ? x : EmptyNhwc(x.size(0), x.size(1), x.size(2));
    NormalizeActivate(
        MakeNormalizedActivation(statistics == Statistics::kBatch ? measured : weights.running,
                                 weights, kReluSlope),
        x.data_ptr<float>(), y.data_ptr<float>(), Rows(x));
    if (traces != nullptr) traces->push_back({x, y, {std::move(measured)}});
    x = y;
  }
  return x;
}

at::Tensor Generator::Generate(const at::Tensor& latent, Statistics statistics) const {
  return Run(latent, statistics, nullptr).tanh_();
}

Dcgan::Dcgan(const domain::ModelConfig& model, const tensor::TensorBundle& weights)
    : model_(model),
      generator_(model, weights),
      layers_(DiscriminatorLayers(model)),
      weights_(ReadLayers(weights, layers_)) {}

UnitSums Dcgan::MakeSums() const {
  UnitSums sums;
  sums.generator = MakeGradients(generator_.layers(), 1);
  sums.discriminator = MakeGradients(layers_, 2);
  return sums;
}

void Dcgan::AddGradient(const at::Tensor& latent, const Objective& objective, at::Tensor& images,
                        UnitSums& sums) const {
  const int64_t n = latent.size(0);
  std::vector<Trace> generated = GenerateInto(latent, images);
  const at::Tensor seen = Augmented(images, objective);
  std::vector<Trace> judged = Judge(seen, sums);
  const at::Tensor logits = Logits(judged.back());
  at::Tensor logit_gradients = at::empty({3 * n}, at::kFloat);
  LogitGradients(logits.data_ptr<float>(), n, objective, logit_gradients.data_ptr<float>(),
                 sums.totals);
  at::Tensor d = DiscriminatorBackward(logit_gradients, seen, judged, sums);
  if (!objective.augmentations.empty()) {
    const at::Tensor seen_gradient = d;
    d = at::empty_like(seen_gradient);
    AugmentBackward(objective.augmentations.subspan(static_cast<size_t>(n)), model_.image_size,
                    seen_gradient.data_ptr<float>(), d.data_ptr<float>());
  }
  TanhBackward(images.narrow(0, n, n).data_ptr<float>(), d.data_ptr<float>(), d.numel());
  GeneratorBackward(latent, std::move(d), generated, sums);
}

at::Tensor Dcgan::Augmented(const at::Tensor& images, const Objective& objective) const {
  if (objective.augmentations.empty()) return images;
  GANNET_CHECK(static_cast<int64_t>(objective.augmentations.size()) == images.size(0));
  at::Tensor seen = at::empty_like(images);
  Augment(objective.augmentations, model_.image_size, images.data_ptr<float>(),
          seen.data_ptr<float>());
  return seen;
}

at::Tensor Dcgan::Logits(const Trace& last) const {
  return at::mv(Flatten(last.after), AsMatrix(weights_.back().convolution.tensor()).view({-1}));
}

std::string Dcgan::FirstLayerNotFinite(const at::Tensor& latent, const Objective& objective,
                                       at::Tensor& images) const {
  const auto is_finite = [](const at::Tensor& x) { return at::isfinite(x).all().item<bool>(); };
  const auto first_of = [&](const std::vector<Trace>& traces,
                            const std::vector<Layer>& layers) -> std::string {
    for (size_t i = 0; i < traces.size(); ++i) {
      const Layer& layer = layers[i];
      if (traces[i].before.defined() && !is_finite(traces[i].before)) return layer.weight_name;
      if (is_finite(traces[i].after)) continue;
      return layer.batch_norm_prefix.empty() ? layer.weight_name : layer.batch_norm_prefix;
    }
    return "";
  };
  UnitSums sums = MakeSums();
  std::string found = first_of(GenerateInto(latent, images), generator_.layers());
  if (found.empty() && !is_finite(images)) found = generator_.layers().back().weight_name;
  if (!found.empty()) return found;
  const std::vector<Trace> judged = Judge(Augmented(images, objective), sums);
  found = first_of(judged, layers_);
  if (found.empty() && !is_finite(Logits(judged.back()))) found = layers_.back().weight_name;
  return found;
}

std::vector<Trace> Dcgan::GenerateInto(const at::Tensor& latent, at::Tensor& images) const {
  std::vector<Trace> traces;
  at::Tensor fake = images.narrow(0, latent.size(0), latent.size(0));
  at::tanh_out(fake, generator_.Run(latent, Statistics::kBatch, &traces));
  return traces;
}

std::vector<Trace> Dcgan::Judge(const at::Tensor& images, UnitSums& sums) const {
  const int64_t n = images.size(0) / 2;
  std::vector<Trace> traces;
  // Real and fake images share each convolution; BatchNorm sees them as two passes.
  for (size_t i = 0; i + 1 < layers_.size(); ++i) {
    at::Tensor x = Convolve(i == 0 ? images : traces.back().after, weights_[i].convolution);
    if (layers_[i].batch_norm_prefix.empty()) {
      LeakyRelu(x.data_ptr<float>(), x.numel(), kLeakySlope);
      traces.push_back({{}, x, {}});
      continue;
    }
    at::Tensor y = EmptyNhwc(2 * n, x.size(1), x.size(2));
    std::vector<BatchNormStatistics> passes;
    for (int64_t pass = 0; pass < 2; ++pass) {
      const at::Tensor in = x.narrow(0, pass * n, n);
      passes.push_back(Measure(in));
      NormalizeActivate(MakeNormalizedActivation(passes.back(), weights_[i], kLeakySlope),
                        in.data_ptr<float>(), y.narrow(0, pass * n, n).data_ptr<float>(), Rows(in));
      AddStatistics(passes.back(), n, sums.discriminator[i].passes[static_cast<size_t>(pass)]);
    }
    traces.push_back({x, y, std::move(passes)});
  }
  return traces;
}

at::Tensor Dcgan::DiscriminatorBackward(const at::Tensor& logit_gradients, const at::Tensor& images,
                                        std::vector<Trace>& judged, UnitSums& sums) const {
  const int64_t n = images.size(0) / 2;
  const size_t last = layers_.size() - 1;
  // `d` holds three parts: the discriminator's loss on real and on fake images, the generator's on
  // the fake ones. The first two give the weight gradients.
  Accumulate(
      FromMatrix(at::mv(Flatten(judged.back().after).t(), logit_gradients.narrow(0, 0, 2 * n))
                     .view({1, -1}),
                 layers_[last].in_channels),
      sums.discriminator[last].convolution);
  at::Tensor d = FromMatrix(
      at::outer(logit_gradients, AsMatrix(weights_[last].convolution.tensor()).view({-1})),
      layers_[last].in_channels);
  for (size_t i = last - 1; i > 0; --i) {
    LayerGradient& sum = sums.discriminator[i];
    for (int64_t part = 0; part < 3; ++part) {
      const int64_t pass = part == 0 ? 0 : 1;
      const at::Tensor x = judged[i].before.narrow(0, pass * n, n);
      NormalizeActivateBackward(
          MakeNormalizedActivation(judged[i].passes[static_cast<size_t>(pass)], weights_[i],
                                   kLeakySlope),
          x.data_ptr<float>(), d.narrow(0, part * n, n).data_ptr<float>(), Rows(x),
          part < 2 ? sum.gamma.data() : nullptr, part < 2 ? sum.beta.data() : nullptr);
    }
    Accumulate(ConvolutionWeightGradient(d.narrow(0, 0, 2 * n), judged[i - 1].after,
                                         weights_[i].convolution),
               sum.convolution);
    judged[i] = {};
    d = ConvolveTransposed(d, weights_[i].convolution);
  }
  const at::Tensor& first = judged[0].after;
  LeakyReluBackward(first.data_ptr<float>(), d.data_ptr<float>(), first.numel(), kLeakySlope);
  LeakyReluBackward(first.narrow(0, n, n).data_ptr<float>(),
                    d.narrow(0, 2 * n, n).data_ptr<float>(), first.numel() / 2, kLeakySlope);
  Accumulate(ConvolutionWeightGradient(d.narrow(0, 0, 2 * n), images, weights_[0].convolution),
             sums.discriminator[0].convolution);
  return ConvolveTransposed(d.narrow(0, 2 * n, n), weights_[0].convolution);
}

void Dcgan::GeneratorBackward(const at::Tensor& latent, at::Tensor image_gradient,
                              std::vector<Trace>& generated, UnitSums& sums) const {
  at::Tensor d = std::move(image_gradient);
  const std::vector<LayerWeights>& weights = generator_.weights();
  for (size_t i = weights.size() - 1; i > 0; --i) {
    const Trace below = std::move(generated[i - 1]);
    Accumulate(ConvolutionWeightGradient(below.after, d, weights[i].convolution),
               sums.generator[i].convolution);
    d = Convolve(d, weights[i].convolution);
    LayerGradient& sum = sums.generator[i - 1];
    NormalizeActivateBackward(MakeNormalizedActivation(below.passes[0], weights[i - 1], kReluSlope),
                              below.before.data_ptr<float>(), d.data_ptr<float>(), Rows(d),
                              sum.gamma.data(), sum.beta.data());
    AddStatistics(below.passes[0], latent.size(0), sum.passes[0]);
  }
  Accumulate(FromMatrix(at::mm(latent.t(), Flatten(d)), generator_.layers()[0].out_channels),
             sums.generator[0].convolution);
}

tensor::TensorBundle Dcgan::ToGradient(const UnitSums& sums, int64_t unit_images) const {
  // Names the parts once; GradientSpec decides the order.
  std::vector<std::pair<std::string, const at::Tensor*>> convolutions;
  struct Vector {
    std::string name;
    const std::vector<double>* values;
    double factor;
  };
  std::vector<Vector> vectors;
  const double weight = 1.0 / static_cast<double>(unit_images);
  const auto collect = [&](const std::vector<Layer>& layers,
                           const std::vector<LayerGradient>& gradients,
                           const std::vector<std::string>& pass_names) {
    for (size_t i = 0; i < layers.size(); ++i) {
      const std::string& prefix = layers[i].batch_norm_prefix;
      convolutions.emplace_back(layers[i].weight_name, &gradients[i].convolution);
      if (prefix.empty()) continue;
      vectors.push_back({absl::StrCat(prefix, ".weight"), &gradients[i].gamma, 1});
      vectors.push_back({absl::StrCat(prefix, ".bias"), &gradients[i].beta, 1});
      for (size_t p = 0; p < pass_names.size(); ++p) {
        const LayerGradient::Pass& pass = gradients[i].passes[p];
        vectors.push_back(
            {absl::StrCat(prefix, ".batch_mean.", pass_names[p]), &pass.mean, weight});
        vectors.push_back(
            {absl::StrCat(prefix, ".batch_var.", pass_names[p]), &pass.unbiased_variance, weight});
      }
    }
  };
  collect(generator_.layers(), sums.generator, {"fake"});
  collect(layers_, sums.discriminator, {"real", "fake"});

  tensor::TensorBundle bundle;
  for (const tensor::TensorSpec& spec : domain::GradientSpec(model_))
    bundle.Add(tensor::Tensor::Zeros(spec));
  for (const auto& [name, gradient] : convolutions) {
    tensor::Tensor* tensor = bundle.Find(name);
    GANNET_CHECK(tensor != nullptr && gradient->sizes().vec() == tensor->spec.shape);
    CopyWeight(*gradient, tensor->mutable_f32());
  }
  for (const Vector& vector : vectors) {
    CopyVector(*vector.values, vector.factor, bundle.Find(vector.name)->mutable_f32());
  }
  return bundle;
}

}  // namespace gannet::gan
