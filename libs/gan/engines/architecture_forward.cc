#include "libs/gan/engines/architecture_forward.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/upsample_nearest2d.h>

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace gannet::gan {
namespace {

class DesignGenerator final : public ImageGenerator {
 public:
  DesignGenerator(const domain::ModelConfig& model, const tensor::TensorBundle& weights)
      : steps_(DesignOf(model).generator) {
    for (const gannet::tensor::Tensor& tensor : weights.tensors()) {
      if (tensor.spec.dtype == tensor::Dtype::kF32)
        tensors_[tensor.spec.name] = CopyToDevice(tensor, at::kCPU);
    }
  }

  at::Tensor Generate(const at::Tensor& latent, Statistics statistics) const override {
    const at::Tensor images =
        ArchitectureForward(&tensors_, at::kFloat, statistics)
            .Run(steps_, "generator.main", latent.view({latent.size(0), -1, 1, 1}));
    return at::tanh(images).contiguous(at::MemoryFormat::ChannelsLast);
  }

 private:
  const domain::Steps steps_;
  NamedTensors tensors_;
};

}  // namespace

at::Tensor ArchitectureForward::Run(const domain::Steps& steps, const std::string& prefix,
                                    at::Tensor x, std::map<std::string, BatchMoments>* moments,
                                    const Observer* observer) const {
  for (size_t i = 0; i < steps.size(); ++i) {
    const domain::Step& step = steps[i];
    const std::string name = absl::StrCat(prefix, ".", i);
    switch (step.kind) {
      case domain::Step::Kind::kConvolution:
      case domain::Step::Kind::kTransposedConvolution:
        x = Convolve(step, name, x);
        break;
      case domain::Step::Kind::kBatchNorm:
        x = Normalize(name, x, moments);
        break;
      case domain::Step::Kind::kRelu:
        x = at::relu(x);
        break;
      case domain::Step::Kind::kLeakyRelu:
        x = at::leaky_relu(x, domain::kLeakyReluSlope);
        break;
      case domain::Step::Kind::kUpsample:
        x = at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2});
        break;
      case domain::Step::Kind::kAveragePool:
        x = at::avg_pool2d(x, 2);
        break;
      case domain::Step::Kind::kResidual:
        x = Run(step.main, absl::StrCat(name, ".main"), x, moments, observer) +
            Run(step.shortcut, absl::StrCat(name, ".shortcut"), x, moments, observer);
        break;
    }
    if (observer != nullptr) (*observer)(name, x);
  }
  return x;
}

const at::Tensor& ArchitectureForward::Named(const std::string& name) const {
  const auto found = tensors_->find(name);
  GANNET_CHECK(found != tensors_->end());
  return found->second;
}

at::Tensor ArchitectureForward::Convolve(const domain::Step& step, const std::string& name,
                                         const at::Tensor& x) const {
  const at::Tensor weight =
      Named(name + ".weight").to(precision_).contiguous(at::MemoryFormat::ChannelsLast);
  return at::convolution(x.to(precision_), weight, {}, {step.stride, step.stride},
                         {step.padding, step.padding}, {1, 1},
                         step.kind == domain::Step::Kind::kTransposedConvolution, {0, 0}, 1);
}

at::Tensor ArchitectureForward::Normalize(const std::string& name, const at::Tensor& x,
                                          std::map<std::string, BatchMoments>* moments) const {
  const at::Tensor& gamma = Named(name + ".weight");
  const at::Tensor& beta = Named(name + ".bias");
  if (statistics_ == Statistics::kRunning) {
    return at::batch_norm(x, gamma, beta, Named(name + ".running_mean"),
                          Named(name + ".running_var"), /*training=*/false,
                          domain::kBatchNormMomentum, domain::kBatchNormEpsilon,
                          /*cudnn_enabled=*/false);
  }
  auto [y, mean, inverse_std] = at::native_batch_norm(
      x, gamma, beta, {}, {}, true, domain::kBatchNormMomentum, domain::kBatchNormEpsilon);
  if (moments != nullptr) (*moments)[name] = MomentsOf(mean, inverse_std, x.numel() / x.size(1));
  return y;
}

std::unique_ptr<ImageGenerator> MakeDesignGenerator(const domain::ModelConfig& model,
                                                    const tensor::TensorBundle& weights) {
  return std::make_unique<DesignGenerator>(model, weights);
}

}  // namespace gannet::gan
