#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "libs/tensor/tensor_bundle.h"

// Between host memory, as bundles have it, and a device.

namespace gannet::gan {

// A copy on `device` of a tensor of floats.
at::Tensor CopyToDevice(const tensor::Tensor& tensor, at::Device device);

// Writes a value into the bundle's tensor of that name, which must be of its shape.
void CopyToBundle(const at::Tensor& value, const std::string& name, tensor::TensorBundle& bundle);

// Of one BatchNorm layer in one pass, double, as long as the layer has channels.
struct BatchMoments {
  at::Tensor mean, unbiased_variance;
};

// From what native_batch_norm keeps for the backward pass; a channel has `rows` values.
BatchMoments MomentsOf(const at::Tensor& mean, const at::Tensor& inverse_std, int64_t rows);

// Room for images in host memory, (count, 3, side, side) in channels-last order; pinned when they
// are to travel to a GPU.
at::Tensor NewHostImages(int64_t count, int64_t side, at::Device device);

}  // namespace gannet::gan
