#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "libs/tensor/tensor_bundle.h"

// What tests of a unit's computation feed it with, and compare its results by.

namespace gannet::gan {

// UnitTask::read_image: uniform noise in [-1, 1] that depends on the position alone.
absl::Status ReadNoiseImage(int position, absl::Span<float> out);

// The norm of the difference over the norm of `expected`; both F32 and of one shape.
double RelativeDistance(const tensor::Tensor& got, const tensor::Tensor& expected);

// Whether both have the same tensors in the same order, bit for bit.
bool SameBytes(const tensor::TensorBundle& a, const tensor::TensorBundle& b);

}  // namespace gannet::gan
