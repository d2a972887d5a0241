#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "absl/types/span.h"
#include "libs/gan/augment.h"

namespace gannet::gan {

// DiffAugment of a batch by LibTorch's operations: see augment.cc, whose results these are.
//
// Thread safety: const methods from any thread. Errors: the torch calls throw.
class DeviceAugmentation {
 public:
  // Of images of `side` pixels on `device`.
  DeviceAugmentation(absl::Span<const ImageAugmentation> images, int64_t side, at::Device device);

  // Of (count, 3, side, side); so is the result, in channels-last order.
  at::Tensor Apply(const at::Tensor& images) const;

  // The adjoint.
  at::Tensor Backward(const at::Tensor& gradient) const;

 private:
  at::Tensor Factor(int64_t which) const;

  // The linear part, which is its own adjoint.
  at::Tensor Recolour(const at::Tensor& x) const;

  at::Tensor source_, kept_, colours_;
};

}  // namespace gannet::gan
