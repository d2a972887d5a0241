#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>

#include "libs/gan/kernels/aligned_buffer.h"
#include "libs/gan/kernels/tile_product.h"

// A convolution's weight as the products read it (tile_product.h). Nothing here includes torch.

namespace gannet::gan {

// Parts of a weight, each a matrix of depth x columns, cut into panels as wide as a tile:
// [depth][columns of the tile], zeros beyond the last column.
template <typename T>
struct WeightPanels {
  // What lies side by side: the parts of a panel, or the panels of a part.
  enum class Order { kPartsOfAPanel, kPanelsOfAPart };

  WeightPanels(Order order, int64_t parts, int64_t depth_in, int64_t columns_in)
      : width(GetTileKernels<T>().columns),
        depth(depth_in),
        columns(columns_in),
        panels((columns + width - 1) / width),
        panel_step((order == Order::kPartsOfAPanel ? parts : 1) * depth * width),
        part_step((order == Order::kPartsOfAPanel ? 1 : panels) * depth * width),
        values(AllocateAligned<T>(parts * panels * depth * width)) {}

  T* At(int64_t panel, int64_t part) const {
    return values.get() + panel * panel_step + part * part_step;
  }
  int64_t ColumnsOf(int64_t panel) const { return std::min(width, columns - panel * width); }

  const int64_t width, depth, columns, panels, panel_step, part_step;
  const AlignedBuffer<T> values;
};

// A weight, narrow channels x 4 x 4 x wide channels, arranged for a direction when that first needs
// it.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the values outlive it, unchanged.
template <typename T>
class PackedWeight {
 public:
  int64_t wide_channels() const { return wide_channels_; }
  int64_t narrow_channels() const { return narrow_channels_; }
  const T* values() const { return values_; }

  // For the implementation of the products.
  const WeightPanels<T>& ForConvolve() const { return convolve_.Get(*this); }
  const WeightPanels<T>& ForTransposed() const { return transposed_.Get(*this); }

 protected:
  using Arrange = std::unique_ptr<const WeightPanels<T>> (*)(const PackedWeight& weight);

  PackedWeight(int64_t wide_channels, int64_t narrow_channels, const T* values, Arrange convolve,
               Arrange transposed)
      : wide_channels_(wide_channels),
        narrow_channels_(narrow_channels),
        values_(values),
        convolve_(convolve),
        transposed_(transposed) {}
  ~PackedWeight() = default;

 private:
  class Lazy {
   public:
    explicit Lazy(Arrange arrange) : arrange_(arrange) {}

    const WeightPanels<T>& Get(const PackedWeight& weight) const {
      std::call_once(once_, [&] { panels_ = arrange_(weight); });
      return *panels_;
    }

   private:
    const Arrange arrange_;
    mutable std::once_flag once_;
    mutable std::unique_ptr<const WeightPanels<T>> panels_;
  };

  const int64_t wide_channels_;
  const int64_t narrow_channels_;
  const T* const values_;
  const Lazy convolve_, transposed_;
};

}  // namespace gannet::gan
