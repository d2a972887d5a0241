#pragma once

#include <cstdint>

#include "libs/gan/kernels/packed_weight.h"
#include "libs/gan/kernels/strided_convolution.h"

// The three directions of strided_convolution.h with 9 multiplications where those take 16, by
// minimal filtering F(2x2, 2x2): S. Winograd, "Arithmetic Complexity of Computations", SIAM (1980);
// A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308. A
// stride of 2 parts kernel and wide side into 2 x 2 phases; each is a convolution of 2 x 2 taps
// with stride 1, and their sum costs nothing: it is part of the depth of the products. The
// transforms add and subtract only, so that results are as exact as those of the plain products.
//
// Memory orders, order of sums, threads, T, thread safety and allocation: as there.

namespace gannet::gan {

// Whether these functions can be used for a shape, and are faster: at 4 x 4 pixels the padding,
// which the plain products leave out, is as much as is saved here; the gradient by the weight gains
// even there.
template <typename T>
bool WinogradPays(const StridedShape& shape);
template <typename T>
bool WinogradWeightGradientPays(const StridedShape& shape);

// Here the panels hold the transformed weight.
template <typename T>
class WinogradWeight : public PackedWeight<T> {
 public:
  WinogradWeight(int64_t wide_channels, int64_t narrow_channels, const T* values);
};

// All three: side is even, and wide channels are a multiple of the columns of a tile
// (tile_product.h).
template <typename T>
void WinogradConvolve(int64_t images, int64_t side, const T* wide, const WinogradWeight<T>& weight,
                      T* narrow);

template <typename T>
void WinogradConvolveTransposed(int64_t images, int64_t side, const T* narrow,
                                const WinogradWeight<T>& weight, T* wide);

template <typename T>
void WinogradWeightGradient(const StridedShape& shape, const T* narrow_gradient, const T* wide,
                            T* weight_gradient);

}  // namespace gannet::gan
