#pragma once

#include <cstdint>

// The innermost loop of every convolution here: a tile of a matrix product that stays in vector
// registers while it is summed up, after K. Goto and R. van de Geijn, "Anatomy of High-Performance
// Matrix Multiplication", ACM TOMS 34 (2008). Compiled for several instruction sets; the first call
// picks one. Nothing here includes torch.

namespace gannet::gan {

// What one tile needs. `columns` values lie side by side in a vector; `rows` values are broadcast.
template <typename T>
struct TileKernels {
  int rows = 0;     // of a full tile
  int columns = 0;  // of a full tile; panels are this wide

  // out[r][c] (+)= sum over t and k of a[t * rows + r][k] * panels[t][k * columns + c], with `taps`
  // values of t and `depth` of k: each row is read through one pointer per tap (M. Dukhan, "The
  // Indirect Convolution Algorithm", arXiv 1907.02129), so that no patch is ever copied. `out`
  // holds a pointer per row. `add`: to what is there already.
  void (*from_rows)(int64_t taps, int64_t depth, const T* const* a, const T* const* panels,
                    bool add, T* const* out) = nullptr;

  // out[r][c] (+)= sum over k of a[k][r] * panel[k][c]: both sides packed, `a` with `rows` values
  // for each k.
  void (*from_packed)(int64_t depth, const T* a, const T* panel, bool add, T* const* out) = nullptr;

  // Copies `count` times `columns` values, each time `stride` further, into a panel; and `rows`
  // values, into an `a`.
  void (*pack_panel)(int64_t count, const T* from, int64_t stride, T* panel) = nullptr;
  void (*pack_rows)(int64_t count, const T* from, int64_t stride, T* a) = nullptr;
};

// The best for this machine. T is float or double.
template <typename T>
const TileKernels<T>& GetTileKernels();

// The largest tile of any instruction set.
inline constexpr int kMaxTileRows = 12;
inline constexpr int kMaxTileColumns = 32;

}  // namespace gannet::gan
