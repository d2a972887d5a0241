#pragma once

#include <cstdint>

#include "libs/gan/kernels/packed_weight.h"

// The three directions of a convolution with kernel 4, stride 2, padding 1, no bias, as matrix
// products over tile_product.h. Nothing here includes torch.
//
// Memory orders: activations are images x side x side x channels; a weight, and its gradient, is
// narrow channels x 4 x 4 x wide channels. Sums are taken in an order that depends on the shape
// only: no thread count changes a bit. The threads are OpenMP's. T is float or double.
//
// Thread safety: functions of their arguments. They allocate; std::bad_alloc passes through.

namespace gannet::gan {

// Of the side with more pixels ("wide", 2 side x 2 side of them) and of the other ("narrow").
struct StridedShape {
  int64_t images = 0;
  int64_t side = 0;  // pixels, narrow
  int64_t wide_channels = 0;
  int64_t narrow_channels = 0;
};

template <typename T>
class StridedWeight : public PackedWeight<T> {
 public:
  StridedWeight(int64_t wide_channels, int64_t narrow_channels, const T* values);
};

// The convolution: from wide, images x 2 side x 2 side, to narrow, images x side x side.
template <typename T>
void StridedConvolve(int64_t images, int64_t side, const T* wide, const StridedWeight<T>& weight,
                     T* narrow);

// The transposed convolution, which is the gradient of the convolution by its input.
template <typename T>
void StridedConvolveTransposed(int64_t images, int64_t side, const T* narrow,
                               const StridedWeight<T>& weight, T* wide);

// The gradient of the convolution by its weight, given that by its result.
template <typename T>
void StridedWeightGradient(const StridedShape& shape, const T* narrow_gradient, const T* wide,
                           T* weight_gradient);

}  // namespace gannet::gan
