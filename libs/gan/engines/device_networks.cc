#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/leaky_relu_backward.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tanh_backward.h>
#include <ATen/ops/threshold_backward.h>
#include <ATen/ops/zeros_like.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/network_architecture.h"
#include "libs/gan/engines/compute_device.h"
#include "libs/gan/engines/convolution_chain.h"
#include "libs/gan/engines/device_augmentation.h"
#include "libs/gan/engines/device_tensors.h"
#include "libs/gan/networks.h"

// The training step of dcgan.cc written with LibTorch's operations, so that it runs on a GPU: one
// shared D(fake) forward pass, no gradient that nobody needs, channels-last activations. No
// autograd. Activations and convolutions may be bfloat16; parameters, BatchNorm and all sums are
// float.

namespace gannet::gan {
namespace {

struct DeviceLayer {
  Layer layer;
  bool transposed = false;
  bool is_image_sized = false;  // kernel covers the whole input or output: stride 1, no padding
  at::Tensor weight;            // in the precision of convolutions
  at::Tensor gamma, beta;       // undefined where no BatchNorm follows

  std::vector<int64_t> stride() const { return std::vector<int64_t>(2, is_image_sized ? 1 : 2); }
  std::vector<int64_t> padding() const { return std::vector<int64_t>(2, is_image_sized ? 0 : 1); }
};

struct DeviceTrace {
  at::Tensor before;  // the convolution's output; undefined where no BatchNorm follows
  at::Tensor after;   // after BatchNorm and activation
  std::vector<at::Tensor> means, inverse_stds;  // per pass
};

struct DeviceSums {
  at::Tensor weight, gamma, beta;
  std::vector<at::Tensor> means, variances;  // per pass, image-weighted sums
};

at::Tensor Convolve(const DeviceLayer& layer, const at::Tensor& x, bool transposed) {
  return at::convolution(x, layer.weight, {}, layer.stride(), layer.padding(), {1, 1}, transposed,
                         {0, 0}, 1);
}

// The gradients of a layer by its input (undefined unless asked for) and by its weight.
std::pair<at::Tensor, at::Tensor> ConvolveBackward(const DeviceLayer& layer, const at::Tensor& d,
                                                   const at::Tensor& input, bool by_input) {
  auto [by_x, by_weight, by_bias] = at::convolution_backward(
      d, input, layer.weight, c10::nullopt, layer.stride(), layer.padding(), {1, 1},
      layer.transposed, {0, 0}, 1, {by_input, true, false});
  return {by_x, by_weight};
}

void Accumulate(const at::Tensor& gradient, at::Tensor& sum) {
  const at::Tensor exact = gradient.to(at::kFloat);
  sum = sum.defined() ? sum + exact : exact;
}

class DeviceNetworks final : public Networks {
 public:
  DeviceNetworks(const domain::ModelConfig& model, at::Device device, at::ScalarType precision)
      : model_(model), device_(device), precision_(precision) {}

  void SetWeights(const tensor::TensorBundle& weights) override {
    generator_ = ReadLayers(GeneratorLayers(model_), /*transposed=*/true, weights);
    discriminator_ = ReadLayers(DiscriminatorLayers(model_), /*transposed=*/false, weights);
  }

  at::Tensor NewHostBatch(int64_t count) const override {
    return NewHostImages(count, model_.image_size, device_);
  }

  void BeginUnit() override {
    generator_sums_.assign(generator_.size(), {});
    discriminator_sums_.assign(discriminator_.size(), {});
    totals_ = {};
  }

  void Add(const at::Tensor& latent, const Objective& objective, at::Tensor& images) override {
    const int64_t n = latent.size(0);
    std::vector<DeviceTrace> generated;
    const at::Tensor fake = Generate(latent, generated);
    const auto [seen, augmentation] = See(images.narrow(0, 0, n), fake, objective);
    std::vector<DeviceTrace> judged = Judge(seen);
    const at::Tensor logits = Logits(judged).contiguous();
    at::Tensor gradients = at::empty({3 * n}, at::kFloat);
    LogitGradients(logits.data_ptr<float>(), n, objective, gradients.data_ptr<float>(), totals_);
    at::Tensor d = DiscriminatorBackward(gradients, seen, judged).to(at::kFloat);
    if (augmentation != nullptr) {
      // Those of the real images are not needed; their places are filled with zeros.
      d = augmentation->Backward(at::cat({at::zeros_like(d), d})).narrow(0, n, n);
    }
    GeneratorBackward(latent, at::tanh_backward(d.to(precision_), fake), generated);
  }

  tensor::TensorBundle Gradient(int64_t unit_images) override {
    tensor::TensorBundle bundle;
    for (const tensor::TensorSpec& spec : domain::GradientSpec(model_))
      bundle.Add(tensor::Tensor::Zeros(spec));
    const double weight = 1.0 / static_cast<double>(unit_images);
    Collect(generator_, generator_sums_, {"fake"}, weight, bundle);
    Collect(discriminator_, discriminator_sums_, {"real", "fake"}, weight, bundle);
    return bundle;
  }

  UnitTotals Totals() override { return totals_; }

  std::string FirstLayerNotFinite(const at::Tensor& latent, const Objective& objective,
                                  at::Tensor& images) override {
    BeginUnit();
    std::vector<DeviceTrace> generated;
    const at::Tensor fake = Generate(latent, generated);
    std::string found = FirstOf(generated, generator_);
    if (found.empty() && !IsFinite(fake)) found = generator_.back().layer.weight_name;
    if (!found.empty()) return found;
    const auto [seen, augmentation] = See(images.narrow(0, 0, latent.size(0)), fake, objective);
    const std::vector<DeviceTrace> judged = Judge(seen);
    found = FirstOf(judged, discriminator_);
    if (found.empty() && !IsFinite(Logits(judged))) found = discriminator_.back().layer.weight_name;
    return found;
  }

 private:
  static bool IsFinite(const at::Tensor& x) { return at::isfinite(x).all().item<bool>(); }

  static std::string FirstOf(const std::vector<DeviceTrace>& traces,
                             const std::vector<DeviceLayer>& layers) {
    for (size_t i = 0; i < traces.size(); ++i) {
      const Layer& layer = layers[i].layer;
      if (traces[i].before.defined() && !IsFinite(traces[i].before)) return layer.weight_name;
      if (IsFinite(traces[i].after)) continue;
      return layer.batch_norm_prefix.empty() ? layer.weight_name : layer.batch_norm_prefix;
    }
    return "";
  }

  std::vector<DeviceLayer> ReadLayers(const std::vector<Layer>& layers, bool transposed,
                                      const tensor::TensorBundle& weights) const {
    std::vector<DeviceLayer> read;
    for (const Layer& layer : layers) {
      DeviceLayer& device = read.emplace_back();
      device.layer = layer;
      device.transposed = transposed;
      device.is_image_sized = layer.in_side == 1 || layer.out_side == 1;
      device.weight = CopyToDevice(*weights.Find(layer.weight_name), device_)
                          .to(precision_)
                          .contiguous(at::MemoryFormat::ChannelsLast);
      if (layer.batch_norm_prefix.empty()) continue;
      device.gamma =
          CopyToDevice(*weights.Find(absl::StrCat(layer.batch_norm_prefix, ".weight")), device_);
      device.beta =
          CopyToDevice(*weights.Find(absl::StrCat(layer.batch_norm_prefix, ".bias")), device_);
    }
    return read;
  }

  // BatchNorm of one pass, with its statistics kept in the trace and added to the sums.
  at::Tensor Normalize(const DeviceLayer& layer, const at::Tensor& x, size_t pass,
                       DeviceTrace& trace, DeviceSums& sums) const {
    auto [y, mean, inverse_std] =
        at::native_batch_norm(x, layer.gamma, layer.beta, {}, {}, true, domain::kBatchNormMomentum,
                              domain::kBatchNormEpsilon);
    const auto images = static_cast<double>(x.size(0));
    const BatchMoments moments = MomentsOf(mean, inverse_std, x.numel() / x.size(1));
    sums.means.resize(std::max(sums.means.size(), pass + 1));
    sums.variances.resize(sums.means.size());
    AddWeighted(moments.mean, images, sums.means[pass]);
    AddWeighted(moments.unbiased_variance, images, sums.variances[pass]);
    trace.means.push_back(mean);
    trace.inverse_stds.push_back(inverse_std);
    return y;
  }

  static void AddWeighted(const at::Tensor& value, double weight, at::Tensor& sum) {
    sum = sum.defined() ? sum + value * weight : value * weight;
  }

  at::Tensor Generate(const at::Tensor& latent, std::vector<DeviceTrace>& traces) {
    at::Tensor x = latent.to(device_).to(precision_).view({latent.size(0), -1, 1, 1});
    for (size_t i = 0; i < generator_.size(); ++i) {
      x = Convolve(generator_[i], x, /*transposed=*/true);
      if (generator_[i].layer.batch_norm_prefix.empty()) break;
      DeviceTrace& trace = traces.emplace_back();
      trace.before = x;
      x = at::relu(Normalize(generator_[i], x, 0, trace, generator_sums_[i]));
      trace.after = x;
    }
    return at::tanh(x);
  }

  // Real and generated images as the discriminator sees them.
  std::pair<at::Tensor, std::unique_ptr<DeviceAugmentation>> See(const at::Tensor& real,
                                                                 const at::Tensor& fake,
                                                                 const Objective& objective) const {
    const at::Tensor on_device = real.to(device_, at::kFloat, /*non_blocking=*/true);
    at::Tensor both = at::cat({on_device, fake.to(at::kFloat)});
    std::unique_ptr<DeviceAugmentation> augmentation;
    if (!objective.augmentations.empty()) {
      augmentation =
          std::make_unique<DeviceAugmentation>(objective.augmentations, model_.image_size, device_);
      both = augmentation->Apply(both);
    }
    return {both.to(precision_).contiguous(at::MemoryFormat::ChannelsLast),
            std::move(augmentation)};
  }

  std::vector<DeviceTrace> Judge(const at::Tensor& seen) {
    const int64_t n = seen.size(0) / 2;
    std::vector<DeviceTrace> traces;
    at::Tensor x = seen;
    for (size_t i = 0; i + 1 < discriminator_.size(); ++i) {
      x = Convolve(discriminator_[i], x, /*transposed=*/false);
      DeviceTrace& trace = traces.emplace_back();
      if (!discriminator_[i].layer.batch_norm_prefix.empty()) {
        trace.before = x;
        std::vector<at::Tensor> passes;
        for (int64_t pass = 0; pass < 2; ++pass) {
          passes.push_back(Normalize(discriminator_[i], x.narrow(0, pass * n, n),
                                     static_cast<size_t>(pass), trace, discriminator_sums_[i]));
        }
        x = at::cat(passes);
      }
      x = at::leaky_relu(x, domain::kLeakyReluSlope);
      trace.after = x;
    }
    return traces;
  }

  // In host memory.
  at::Tensor Logits(const std::vector<DeviceTrace>& judged) const {
    return Convolve(discriminator_.back(), judged.back().after, /*transposed=*/false)
        .flatten()
        .to(at::kCPU, at::kFloat);
  }

  // From the gradients by the logits that by the generated images as they were seen.
  at::Tensor DiscriminatorBackward(const at::Tensor& logit_gradients, const at::Tensor& seen,
                                   std::vector<DeviceTrace>& judged) {
    const int64_t n = seen.size(0) / 2;
    at::Tensor d = logit_gradients.to(device_).to(precision_).view({3 * n, 1, 1, 1});
    for (size_t i = discriminator_.size(); i-- > 0;) {
      const DeviceLayer& layer = discriminator_[i];
      if (i + 1 < discriminator_.size()) {
        d = ActivationBackward(judged[i].after, d);
        if (judged[i].before.defined()) d = NormalizeBackward(layer, judged[i], d, i);
      }
      const at::Tensor& input = i == 0 ? seen : judged[i - 1].after;
      Accumulate(ConvolveBackward(layer, d.narrow(0, 0, 2 * n), input, false).second,
                 discriminator_sums_[i].weight);
      if (i == 0) d = d.narrow(0, 2 * n, n);
      d = Convolve(layer, d, /*transposed=*/true);
    }
    return d;
  }

  // `d` has three parts: real, fake, and fake for the generator.
  static at::Tensor ActivationBackward(const at::Tensor& after, const at::Tensor& d) {
    const int64_t n = after.size(0) / 2;
    return at::leaky_relu_backward(d, at::cat({after, after.narrow(0, n, n)}),
                                   domain::kLeakyReluSlope,
                                   /*self_is_result=*/true);
  }

  at::Tensor NormalizeBackward(const DeviceLayer& layer, const DeviceTrace& trace,
                               const at::Tensor& d, size_t i) {
    const int64_t n = trace.before.size(0) / 2;
    std::vector<at::Tensor> parts;
    for (int64_t part = 0; part < 3; ++part) {
      const int64_t pass = part == 0 ? 0 : 1;
      const bool counts = part < 2;
      const auto p = static_cast<size_t>(pass);
      auto [by_x, by_gamma, by_beta] = at::native_batch_norm_backward(
          d.narrow(0, part * n, n), trace.before.narrow(0, pass * n, n), layer.gamma, {}, {},
          trace.means[p], trace.inverse_stds[p], true, domain::kBatchNormEpsilon,
          {true, counts, counts});
      parts.push_back(by_x);
      if (!counts) continue;
      Accumulate(by_gamma, discriminator_sums_[i].gamma);
      Accumulate(by_beta, discriminator_sums_[i].beta);
    }
    return at::cat(parts);
  }

  void GeneratorBackward(const at::Tensor& latent, at::Tensor d,
                         std::vector<DeviceTrace>& generated) {
    for (size_t i = generator_.size(); i-- > 0;) {
      const DeviceLayer& layer = generator_[i];
      if (i + 1 < generator_.size()) {
        const DeviceTrace& trace = generated[i];
        d = at::threshold_backward(d, trace.after, 0);
        auto [by_x, by_gamma, by_beta] = at::native_batch_norm_backward(
            d, trace.before, layer.gamma, {}, {}, trace.means[0], trace.inverse_stds[0], true,
            domain::kBatchNormEpsilon, {true, true, true});
        Accumulate(by_gamma, generator_sums_[i].gamma);
        Accumulate(by_beta, generator_sums_[i].beta);
        d = by_x;
      }
      const at::Tensor input =
          i == 0 ? latent.to(device_).to(precision_).view({latent.size(0), -1, 1, 1})
                 : generated[i - 1].after;
      auto [by_input, by_weight] = ConvolveBackward(layer, d, input, i > 0);
      Accumulate(by_weight, generator_sums_[i].weight);
      d = by_input;
    }
  }

  static void Collect(const std::vector<DeviceLayer>& layers, const std::vector<DeviceSums>& sums,
                      const std::vector<std::string>& passes, double weight,
                      tensor::TensorBundle& bundle) {
    for (size_t i = 0; i < layers.size(); ++i) {
      const std::string& prefix = layers[i].layer.batch_norm_prefix;
      CopyToBundle(sums[i].weight, layers[i].layer.weight_name, bundle);
      if (prefix.empty()) continue;
      CopyToBundle(sums[i].gamma, absl::StrCat(prefix, ".weight"), bundle);
      CopyToBundle(sums[i].beta, absl::StrCat(prefix, ".bias"), bundle);
      for (size_t p = 0; p < passes.size(); ++p) {
        CopyToBundle(sums[i].means[p] * weight, absl::StrCat(prefix, ".batch_mean.", passes[p]),
                     bundle);
        CopyToBundle(sums[i].variances[p] * weight, absl::StrCat(prefix, ".batch_var.", passes[p]),
                     bundle);
      }
    }
  }

  const domain::ModelConfig model_;
  const at::Device device_;
  const at::ScalarType precision_;
  std::vector<DeviceLayer> generator_, discriminator_;
  std::vector<DeviceSums> generator_sums_, discriminator_sums_;
  UnitTotals totals_;
};

}  // namespace

std::unique_ptr<Networks> MakeDeviceNetworks(const domain::ModelConfig& model,
                                             const ComputeDevice& device) {
  return std::make_unique<DeviceNetworks>(model, at::Device(device.name), PrecisionOf(device));
}

}  // namespace gannet::gan
