#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/tanh.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/engines/architecture_forward.h"
#include "libs/gan/engines/compute_device.h"
#include "libs/gan/engines/device_augmentation.h"
#include "libs/gan/engines/device_tensors.h"
#include "libs/gan/networks.h"

// The training step of any design (domain/network_architecture.h): forward passes by LibTorch's
// operations, gradients by its autograd. One D(fake) forward pass serves both losses. Convolutions
// and activations may be bfloat16; parameters, BatchNorm and all sums are float.

namespace gannet::gan {
namespace {

// Autograd does not work in the mode that the callers compute in, nor on tensors made in it.
constexpr bool kNoInference = false;

struct PassSums {
  at::Tensor mean, unbiased_variance;  // image-weighted
};

// What of a network's gradient has been added, by names of GradientSpec.
struct Sums {
  std::map<std::string, at::Tensor> parameters;
  std::map<std::string, PassSums> passes;  // "generator.main.1" + ".fake"
};

class AutogradNetworks final : public Networks {
 public:
  AutogradNetworks(const domain::ModelConfig& model, at::Device device, at::ScalarType precision)
      : model_(model), design_(DesignOf(model)), device_(device), precision_(precision) {}

  void SetWeights(const tensor::TensorBundle& weights) override {
    const c10::InferenceMode autograd(kNoInference);
    parameters_.clear();
    generator_names_.clear();
    discriminator_names_.clear();
    for (const tensor::TensorSpec& spec : domain::ParameterSpec(model_)) {
      parameters_[spec.name] =
          CopyToDevice(*weights.Find(spec.name), device_).set_requires_grad(true);
      (absl::StartsWith(spec.name, "generator.") ? generator_names_ : discriminator_names_)
          .push_back(spec.name);
    }
  }

  at::Tensor NewHostBatch(int64_t count) const override {
    return NewHostImages(count, model_.image_size, device_);
  }

  void BeginUnit() override {
    sums_ = {};
    totals_ = {};
  }

  void Add(const at::Tensor& latent, const Objective& objective, at::Tensor& images) override {
    const c10::InferenceMode autograd(kNoInference);
    const int64_t n = latent.size(0);
    const at::Tensor fake = Generate(latent, nullptr);
    const at::Tensor real_logits = Judge(RealAsSeen(images, n, objective), "real", nullptr);
    const at::Tensor fake_logits = Judge(FakeAsSeen(fake, objective), "fake", nullptr);
    const at::Tensor logits =
        at::cat({real_logits, fake_logits}).detach().to(at::kCPU, at::kFloat).contiguous();
    at::Tensor gradients = at::empty({3 * n}, at::kFloat);
    LogitGradients(logits.data_ptr<float>(), n, objective, gradients.data_ptr<float>(), totals_);
    gradients = gradients.to(device_).to(precision_);
    Differentiate({real_logits, fake_logits},
                  {gradients.narrow(0, 0, n), gradients.narrow(0, n, n)}, discriminator_names_,
                  /*keep_graph=*/true);
    Differentiate({fake_logits}, {gradients.narrow(0, 2 * n, n)}, generator_names_,
                  /*keep_graph=*/false);
  }

  tensor::TensorBundle Gradient(int64_t unit_images) override {
    tensor::TensorBundle bundle;
    for (const tensor::TensorSpec& spec : domain::GradientSpec(model_))
      bundle.Add(gannet::tensor::Tensor::Zeros(spec));
    for (const auto& [name, sum] : sums_.parameters) CopyToBundle(sum, name, bundle);
    const double weight = 1.0 / static_cast<double>(unit_images);
    for (const domain::BatchNormLayout& layout : domain::BatchNormLayouts(model_)) {
      for (const std::string& pass : layout.passes) {
        const PassSums& sums = sums_.passes.at(absl::StrCat(layout.prefix, ".", pass));
        CopyToBundle(sums.mean * weight, absl::StrCat(layout.prefix, ".batch_mean.", pass), bundle);
        CopyToBundle(sums.unbiased_variance * weight,
                     absl::StrCat(layout.prefix, ".batch_var.", pass), bundle);
      }
    }
    return bundle;
  }

  UnitTotals Totals() override { return totals_; }

  std::string FirstLayerNotFinite(const at::Tensor& latent, const Objective& objective,
                                  at::Tensor& images) override {
    std::string found;
    const ArchitectureForward::Observer observer = [&](const std::string& name,
                                                       const at::Tensor& x) {
      if (!found.empty() || at::isfinite(x).all().item<bool>()) return;
      const bool has_weight = parameters_.contains(name + ".weight") &&
                              !parameters_.contains(name + ".bias");  // which BatchNorm has, too
      found = has_weight ? name + ".weight" : name;
    };
    const at::Tensor fake = Generate(latent, &observer);
    if (!found.empty()) return found;
    Judge(RealAsSeen(images, latent.size(0), objective), "real", &observer);
    if (found.empty()) Judge(FakeAsSeen(fake, objective), "fake", &observer);
    return found;
  }

 private:
  ArchitectureForward Forward() const {
    return ArchitectureForward(&parameters_, precision_, Statistics::kBatch);
  }

  // Images in [-1, 1]. With an observer, nothing is added to the unit's sums.
  at::Tensor Generate(const at::Tensor& latent, const ArchitectureForward::Observer* observer) {
    const at::Tensor noise = latent.to(device_, precision_, /*non_blocking=*/false, /*copy=*/true)
                                 .view({latent.size(0), -1, 1, 1});
    std::map<std::string, BatchMoments> moments;
    const at::Tensor x =
        Forward().Run(design_.generator, "generator.main", noise, &moments, observer);
    if (observer == nullptr) AddMoments(moments, "fake", latent.size(0));
    return at::tanh(x);
  }

  at::Tensor RealAsSeen(const at::Tensor& images, int64_t n, const Objective& objective) const {
    const at::Tensor real = images.narrow(0, 0, n).to(device_, at::kFloat, /*non_blocking=*/true,
                                                      /*copy=*/true);
    return AsSeen(real, objective, 0);
  }

  at::Tensor FakeAsSeen(const at::Tensor& fake, const Objective& objective) const {
    return AsSeen(fake, objective, static_cast<size_t>(fake.size(0)));
  }

  // `first`: the place of these images' augmentations.
  at::Tensor AsSeen(const at::Tensor& images, const Objective& objective, size_t first) const {
    if (objective.augmentations.empty()) return images;
    const auto count = static_cast<size_t>(images.size(0));
    return DeviceAugmentation(objective.augmentations.subspan(first, count), model_.image_size,
                              device_)
        .Apply(images.to(at::kFloat));
  }

  // The logits. With an observer, as Generate.
  at::Tensor Judge(const at::Tensor& seen, const char* pass,
                   const ArchitectureForward::Observer* observer) {
    std::map<std::string, BatchMoments> moments;
    const at::Tensor logits = Forward()
                                  .Run(design_.discriminator, "discriminator.main",
                                       seen.to(precision_), &moments, observer)
                                  .flatten();
    if (observer == nullptr) AddMoments(moments, pass, seen.size(0));
    return logits;
  }

  void AddMoments(const std::map<std::string, BatchMoments>& moments, const char* pass,
                  int64_t images) {
    const auto weight = static_cast<double>(images);
    for (const auto& [name, moment] : moments) {
      PassSums& sums = sums_.passes[absl::StrCat(name, ".", pass)];
      AddTo(moment.mean * weight, sums.mean);
      AddTo(moment.unbiased_variance * weight, sums.unbiased_variance);
    }
  }

  // Adds the gradients by the parameters of these names.
  void Differentiate(const std::vector<at::Tensor>& outputs,
                     const std::vector<at::Tensor>& by_outputs,
                     const std::vector<std::string>& names, bool keep_graph) {
    std::vector<at::Tensor> parameters;
    for (const std::string& name : names) parameters.push_back(parameters_.at(name));
    const std::vector<at::Tensor> gradients =
        torch::autograd::grad(outputs, parameters, by_outputs, keep_graph);
    for (size_t i = 0; i < names.size(); ++i) AddTo(gradients[i], sums_.parameters[names[i]]);
  }

  static void AddTo(const at::Tensor& value, at::Tensor& sum) {
    sum = sum.defined() ? sum + value : value;
  }

  const domain::ModelConfig model_;
  const domain::NetworkArchitecture design_;
  const at::Device device_;
  const at::ScalarType precision_;
  NamedTensors parameters_;
  std::vector<std::string> generator_names_, discriminator_names_;
  Sums sums_;
  UnitTotals totals_;
};

}  // namespace

std::unique_ptr<Networks> MakeAutogradNetworks(const domain::ModelConfig& model,
                                               const ComputeDevice& device) {
  return std::make_unique<AutogradNetworks>(model, at::Device(device.name), PrecisionOf(device));
}

}  // namespace gannet::gan
