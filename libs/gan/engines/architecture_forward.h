#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>

#include "libs/domain/network_architecture.h"
#include "libs/gan/engines/device_tensors.h"
#include "libs/gan/networks.h"

// The forward pass of any design by LibTorch's operations. Internal to libs/gan.

namespace gannet::gan {

// Parameters by name; for Statistics::kRunning the running averages, too. All on one device.
using NamedTensors = std::map<std::string, at::Tensor>;

// Runs networks at given tensors. Differentiable by autograd where these are.
//
// Thread safety: const methods from any thread. Errors: the torch calls throw.
class ArchitectureForward {
 public:
  // Convolutions and activations are of `precision`. `tensors` must outlive this.
  ArchitectureForward(const NamedTensors* tensors, at::ScalarType precision, Statistics statistics)
      : tensors_(tensors), precision_(precision), statistics_(statistics) {}

  // Is told of every step and its output: "generator.main.3", or within a residual block
  // "generator.main.3.main.1".
  using Observer = std::function<void(const std::string& name, const at::Tensor& output)>;

  // The output of `steps`, which are named below `prefix`, at `x` (count, channels, side, side).
  // Adds the moments of every BatchNorm layer to `moments`, and tells `observer`, unless they are
  // null.
  at::Tensor Run(const domain::Steps& steps, const std::string& prefix, at::Tensor x,
                 std::map<std::string, BatchMoments>* moments = nullptr,
                 const Observer* observer = nullptr) const;

 private:
  const at::Tensor& Named(const std::string& name) const;
  at::Tensor Convolve(const domain::Step& step, const std::string& name, const at::Tensor& x) const;
  at::Tensor Normalize(const std::string& name, const at::Tensor& x,
                       std::map<std::string, BatchMoments>* moments) const;

  const NamedTensors* const tensors_;
  const at::ScalarType precision_;
  const Statistics statistics_;
};

}  // namespace gannet::gan
