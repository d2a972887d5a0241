#pragma once

#include <cstdint>

// The transforms of F(2x2, 2x2), for `count` channels side by side: rows of memory are added and
// subtracted. Compiled for several instruction sets, with the same bits. T is float or double.
// Nothing here includes torch.

namespace gannet::gan {

// Multiplications of a tile, 3 x 3 of them in rows, instead of 2 x 2 pixels times 2 x 2 taps.
inline constexpr int64_t kWinogradPositions = 9;

// The pixels of a phase where tiles overlap: its own 3 x 3, of the tile to the left the last
// column, of that above the last row, and of that above to the left the last.
inline constexpr int64_t kWinogradOverlap = 16;

template <typename T>
struct WinogradTransforms {
  // B' d B: 3 x 3 pixels of a phase of the wide side.
  static void Wide(int64_t count, const T* const* d, T* const* v);
  // G g G': 2 x 2 taps of a phase of the weight.
  static void Weight(int64_t count, const T* const* g, T* const* u);
  // A' m A: products to 2 x 2 pixels of the narrow side.
  static void ToNarrow(int64_t count, const T* const* m, T* const* y);

  // The transposed ones, for gradients.
  // A y A'.
  static void Narrow(int64_t count, const T* const* y, T* const* m);
  // B v B', summed with what the neighbours have for the same pixels: the first 2 x 2.
  static void ToWide(int64_t count, const T* const* v, T* const* d);
  // G' u G.
  static void ToWeight(int64_t count, const T* const* u, T* const* g);
};

}  // namespace gannet::gan
