#include "libs/gan/kernels/winograd_convolution.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "libs/gan/kernels/aligned_buffer.h"
#include "libs/gan/kernels/tile_product.h"
#include "libs/gan/kernels/winograd_transforms.h"

namespace gannet::gan {
namespace {

constexpr int64_t kKernel = 4;
constexpr int64_t kTaps = kKernel * kKernel;
constexpr int64_t kPositions = kWinogradPositions;
// A stride of 2 parts the pixels of the wide side into 2 x 2 phases, each reached by 2 x 2 taps.
constexpr int64_t kPhases = 4;
constexpr int64_t kPhaseTaps = 4;

// What is transformed, multiplied and transformed back in one go, near the size of the second-level
// cache: this many tiles of 2 x 2 narrow pixels, or whole images of them.
constexpr int64_t kBlockTiles = 96;
constexpr int64_t kBlockImageTiles = 128;
// Smaller ones rather than fewer than this many: there are several threads.
constexpr int64_t kLeastBlocks = 4;
// Tiles whose products are summed in registers before they are added to the gradient.
constexpr int64_t kGradientTiles = 512;
// With fewer pixels the padding is a quarter of all products, and the transformed weights are most
// of what is read; the gradient by the weight gains even there.
constexpr int64_t kLeastSide = 8;
constexpr int64_t kLeastGradientSide = 4;
// Values between what is written for one position and for the next: multiples of a page would
// compete for the same places of the first-level cache.
constexpr int64_t kGap = 80;
// How many tiles ahead the pixels of a panel are fetched: they are too far apart for the processor
// to foresee.
constexpr int64_t kTilesAhead = 4;
// Side of the squares in which weights are transposed: a cache line of floats.
constexpr int64_t kSquare = 16;

int64_t Quotient(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

// Columns of a panel, as a number of values.
template <typename T>
int64_t PanelWidth() {
  return GetTileKernels<T>().columns;
}

// The tap of the kernel that is tap (a, b) of a phase.
int64_t TapOf(int64_t phase, int64_t a, int64_t b) {
  return (2 * a + phase / 2) * kKernel + 2 * b + phase % 2;
}

// Where the four taps of a phase begin, for a narrow channel and the wide ones from `begin` on.
template <typename T>
void FindTaps(const PackedWeight<T>& weight, int64_t narrow_channel, int64_t phase, int64_t begin,
              const T** taps) {
  for (int64_t t = 0; t < kPhaseTaps; ++t) {
    taps[t] = weight.values() +
              (narrow_channel * kTaps + TapOf(phase, t / 2, t % 2)) * weight.wide_channels() +
              begin;
  }
}

// Tiles of 2 x 2 narrow pixels: image by image, in rows.
class Tiling {
 public:
  Tiling(int64_t images, int64_t side)
      : side_(side), per_row_(side / 2), count_(images * per_row_ * per_row_) {}

  int64_t count() const { return count_; }
  int64_t per_row() const { return per_row_; }
  int64_t per_image() const { return per_row_ * per_row_; }

  struct Place {
    int64_t image, y, x;  // in tiles
  };
  Place PlaceOf(int64_t tile) const {
    return {tile / per_image(), tile % per_image() / per_row_, tile % per_row_};
  }

  // The four narrow pixels of a tile, with this many channels.
  template <typename T>
  void NarrowPixels(const Place& p, T* narrow, int64_t channels, T** pixels) const {
    for (int64_t i = 0; i < 4; ++i) {
      pixels[i] =
          narrow + ((p.image * side_ + 2 * p.y + i / 2) * side_ + 2 * p.x + i % 2) * channels;
    }
  }

  // A wide pixel of a phase, or `outside` for one in the padding. Along an axis grid point i of
  // phase p is pixel 2 i - 1 + p.
  template <typename T>
  T* WidePixel(int64_t image, int64_t phase, int64_t grid_y, int64_t grid_x, T* wide,
               int64_t channels, T* outside) const {
    const int64_t y = 2 * grid_y - 1 + phase / 2, x = 2 * grid_x - 1 + phase % 2;
    if (y < 0 || x < 0 || y >= 2 * side_ || x >= 2 * side_) return outside;
    return wide + ((image * 2 * side_ + y) * 2 * side_ + x) * channels;
  }

  // The 3 x 3 pixels of a phase that reach the tile.
  template <typename T>
  void WidePixels(const Place& p, int64_t phase, T* wide, int64_t channels, T* outside,
                  T** pixels) const {
    for (int64_t i = 0; i < kPositions; ++i) {
      pixels[i] =
          WidePixel(p.image, phase, 2 * p.y + i / 3, 2 * p.x + i % 3, wide, channels, outside);
    }
  }

 private:
  const int64_t side_, per_row_, count_;
};

// out[tile][column] = sum over k of in[tile][k] panels[k][column], for `count` tiles with `depth`
// values and `panels.columns` columns each.
template <typename T>
struct Product {
  int64_t count, depth, columns;
  const T* in;
  const T* panels;  // [panel][depth][width]
  T* out;
};

template <typename T>
void Multiply(const Product<T>& p, T* unread) {
  const TileKernels<T>& kernels = GetTileKernels<T>();
  const int64_t width = kernels.columns, rows = kernels.rows;
  T room[kMaxTileRows * kMaxTileColumns];
  for (int64_t column = 0; column < p.columns; column += width) {
    const T* const panel = p.panels + column * p.depth;
    const int64_t used = std::min(width, p.columns - column);
    for (int64_t first = 0; first < p.count; first += rows) {
      const T* inputs[kMaxTileRows];
      T* outputs[kMaxTileRows];
      const int64_t real = std::min(rows, p.count - first);
      for (int64_t r = 0; r < rows; ++r) {
        inputs[r] = p.in + (first + std::min(r, real - 1)) * p.depth;
        outputs[r] = used < width ? room + r * width
                     : r < real   ? p.out + (first + r) * p.columns + column
                                  : unread;
      }
      kernels.from_rows(1, p.depth, inputs, &panel, false, outputs);
      if (used == width) continue;
      for (int64_t r = 0; r < real; ++r) {
        std::copy_n(room + r * width, used, p.out + (first + r) * p.columns + column);
      }
    }
  }
}

template <typename T>
bool Fits(const StridedShape& shape, int64_t least_side) {
  return shape.side % 2 == 0 && shape.side >= least_side &&
         shape.wide_channels % PanelWidth<T>() == 0 && shape.narrow_channels >= PanelWidth<T>();
}

// Columns are narrow channels, the depth is phases x wide channels: a transposition, in squares
// that stay in the first-level cache.
template <typename T>
std::unique_ptr<const WeightPanels<T>> TransformForConvolve(const PackedWeight<T>& weight) {
  const int64_t wide_channels = weight.wide_channels();
  auto transformed =
      std::make_unique<WeightPanels<T>>(WeightPanels<T>::Order::kPanelsOfAPart, kPositions,
                                        kPhases * wide_channels, weight.narrow_channels());
  const int64_t width = transformed->width;
  const int64_t squares = Quotient(wide_channels, kSquare), per_panel = kPhases * squares;
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < transformed->panels * per_panel; ++i) {
    const int64_t panel = i / per_panel, phase = i % per_panel / squares;
    const int64_t begin = i % squares * kSquare;
    const int64_t count = std::min(kSquare, wide_channels - begin);
    const int64_t columns = transformed->ColumnsOf(panel);
    T square[kPositions][kMaxTileColumns][kSquare];
    for (int64_t c = 0; c < width; ++c) {
      T* to[kPositions];
      for (int64_t p = 0; p < kPositions; ++p) to[p] = square[p][c];
      if (c >= columns) {
        for (T* row : to) std::fill_n(row, count, T{0});
        continue;
      }
      const T* taps[kPhaseTaps];
      FindTaps(weight, panel * width + c, phase, begin, taps);
      WinogradTransforms<T>::Weight(count, taps, to);
    }
    for (int64_t p = 0; p < kPositions; ++p) {
      T* const to = transformed->At(panel, p) + (phase * wide_channels + begin) * width;
      for (int64_t k = 0; k < count; ++k) {
        for (int64_t c = 0; c < width; ++c) to[k * width + c] = square[p][c][k];
      }
    }
  }
  return transformed;
}

// Columns are phases x wide channels, which lie side by side; the depth is narrow channels.
template <typename T>
std::unique_ptr<const WeightPanels<T>> TransformForTransposed(const PackedWeight<T>& weight) {
  const int64_t wide_channels = weight.wide_channels();
  auto transformed =
      std::make_unique<WeightPanels<T>>(WeightPanels<T>::Order::kPanelsOfAPart, kPositions,
                                        weight.narrow_channels(), kPhases * wide_channels);
  const int64_t width = transformed->width;
#pragma omp parallel for schedule(static)
  for (int64_t panel = 0; panel < transformed->panels; ++panel) {
    const int64_t phase = panel * width / wide_channels, begin = panel * width % wide_channels;
    T* to[kPositions];
    for (int64_t p = 0; p < kPositions; ++p) to[p] = transformed->At(panel, p);
    for (int64_t k = 0; k < weight.narrow_channels(); ++k) {
      const T* taps[kPhaseTaps];
      FindTaps(weight, k, phase, begin, taps);
      WinogradTransforms<T>::Weight(width, taps, to);
      for (T*& row : to) row += width;
    }
  }
  return transformed;
}

}  // namespace

template <typename T>
bool WinogradPays(const StridedShape& shape) {
  return Fits<T>(shape, kLeastSide);
}

template <typename T>
bool WinogradWeightGradientPays(const StridedShape& shape) {
  return Fits<T>(shape, kLeastGradientSide);
}

template <typename T>
WinogradWeight<T>::WinogradWeight(int64_t wide_channels, int64_t narrow_channels, const T* values)
    : PackedWeight<T>(wide_channels, narrow_channels, values, TransformForConvolve<T>,
                      TransformForTransposed<T>) {}

template <typename T>
void WinogradConvolve(int64_t images, int64_t side, const T* wide, const WinogradWeight<T>& weight,
                      T* narrow) {
  const WeightPanels<T>& panels = weight.ForConvolve();
  const int64_t wide_channels = weight.wide_channels(), channels = weight.narrow_channels();
  const int64_t depth = kPhases * wide_channels;
  const Tiling tiling(images, side);
  const int64_t block = std::min(kBlockTiles, Quotient(tiling.count(), kLeastBlocks));
  const int64_t input_step = block * depth + kGap, product_step = block * channels + kGap;
  const std::vector<T> zeros(static_cast<size_t>(wide_channels));

#pragma omp parallel
  {
    const AlignedBuffer<T> inputs = AllocateAligned<T>(kPositions * input_step);
    const AlignedBuffer<T> products = AllocateAligned<T>(kPositions * product_step);
    T unread[kMaxTileColumns];
#pragma omp for schedule(dynamic, 1)
    for (int64_t begin = 0; begin < tiling.count(); begin += block) {
      const int64_t count = std::min(block, tiling.count() - begin);
      for (int64_t t = 0; t < count; ++t) {
        const Tiling::Place place = tiling.PlaceOf(begin + t);
        for (int64_t phase = 0; phase < kPhases; ++phase) {
          const T* pixels[kPositions];
          T* to[kPositions];
          tiling.WidePixels(place, phase, wide, wide_channels, zeros.data(), pixels);
          for (int64_t p = 0; p < kPositions; ++p) {
            to[p] = inputs.get() + p * input_step + t * depth + phase * wide_channels;
          }
          WinogradTransforms<T>::Wide(wide_channels, pixels, to);
        }
      }
      for (int64_t p = 0; p < kPositions; ++p) {
        Multiply<T>({count, depth, channels, inputs.get() + p * input_step, panels.At(0, p),
                     products.get() + p * product_step},
                    unread);
      }
      for (int64_t t = 0; t < count; ++t) {
        const T* from[kPositions];
        T* pixels[4];
        for (int64_t p = 0; p < kPositions; ++p) {
          from[p] = products.get() + p * product_step + t * channels;
        }
        tiling.NarrowPixels(tiling.PlaceOf(begin + t), narrow, channels, pixels);
        WinogradTransforms<T>::ToNarrow(channels, from, pixels);
      }
    }
  }
}

template <typename T>
void WinogradConvolveTransposed(int64_t images, int64_t side, const T* narrow,
                                const WinogradWeight<T>& weight, T* wide) {
  const WeightPanels<T>& panels = weight.ForTransposed();
  const int64_t depth = weight.narrow_channels(), channels = weight.wide_channels();
  const int64_t columns = kPhases * channels;
  const Tiling tiling(images, side);
  // Tiles overlap on the wide side, images do not.
  const int64_t block_images = std::min(std::max<int64_t>(1, kBlockImageTiles / tiling.per_image()),
                                        Quotient(images, kLeastBlocks));
  const int64_t block = block_images * tiling.per_image(), per_row = tiling.per_row();
  const int64_t input_step = block * depth + kGap, product_step = block * columns + kGap;
  const std::vector<T> zeros(static_cast<size_t>(channels));

#pragma omp parallel
  {
    const AlignedBuffer<T> inputs = AllocateAligned<T>(kPositions * input_step);
    const AlignedBuffer<T> products = AllocateAligned<T>(kPositions * product_step);
    std::vector<T> unread(static_cast<size_t>(std::max<int64_t>(channels, kMaxTileColumns)));
#pragma omp for schedule(dynamic, 1)
    for (int64_t first = 0; first < images; first += block_images) {
      const int64_t block_count = std::min(block_images, images - first);
      const int64_t count = block_count * tiling.per_image();
      for (int64_t t = 0; t < count; ++t) {
        const T* pixels[4];
        T* to[kPositions];
        tiling.NarrowPixels(tiling.PlaceOf(first * tiling.per_image() + t), narrow, depth, pixels);
        for (int64_t p = 0; p < kPositions; ++p) to[p] = inputs.get() + p * input_step + t * depth;
        WinogradTransforms<T>::Narrow(depth, pixels, to);
      }
      for (int64_t p = 0; p < kPositions; ++p) {
        Multiply<T>({count, depth, columns, inputs.get() + p * input_step, panels.At(0, p),
                     products.get() + p * product_step},
                    unread.data());
      }
      // Of every 2 x 2 grid points of a phase, with one tile more than there are: the last points
      // of the last tiles are nobody else's.
      for (int64_t image = 0; image < block_count; ++image) {
        for (int64_t y = 0; y <= per_row; ++y) {
          for (int64_t x = 0; x <= per_row; ++x) {
            for (int64_t phase = 0; phase < kPhases; ++phase) {
              const auto at = [&](int64_t tile_y, int64_t tile_x, int64_t position) -> const T* {
                if (tile_y < 0 || tile_x < 0 || tile_y == per_row || tile_x == per_row) {
                  return zeros.data();
                }
                const int64_t tile = image * tiling.per_image() + tile_y * per_row + tile_x;
                return products.get() + position * product_step + tile * columns + phase * channels;
              };
              const T* from[kWinogradOverlap];
              for (int64_t p = 0; p < kPositions; ++p) from[p] = at(y, x, p);
              for (int64_t i = 0; i < 3; ++i) {
                from[9 + i] = at(y, x - 1, 3 * i + 2);
                from[12 + i] = at(y - 1, x, 6 + i);
              }
              from[15] = at(y - 1, x - 1, 8);
              T* to[4];
              for (int64_t i = 0; i < 4; ++i) {
                to[i] = tiling.WidePixel(first + image, phase, 2 * y + i / 2, 2 * x + i % 2, wide,
                                         channels, unread.data());
              }
              WinogradTransforms<T>::ToWide(channels, from, to);
            }
          }
        }
      }
    }
  }
}

template <typename T>
void WinogradWeightGradient(const StridedShape& shape, const T* narrow_gradient, const T* wide,
                            T* weight_gradient) {
  const TileKernels<T>& kernels = GetTileKernels<T>();
  const int64_t rows = kernels.rows, width = kernels.columns;
  const int64_t narrow_channels = shape.narrow_channels, wide_channels = shape.wide_channels;
  const int64_t columns = kPhases * wide_channels, panels = columns / width;
  const int64_t row_tiles = Quotient(narrow_channels, rows), padded = row_tiles * rows;
  const Tiling tiling(shape.images, shape.side);
  const int64_t chunk = std::min(kGradientTiles, tiling.count());
  const int64_t gradient_step = chunk * rows + kGap, input_step = chunk * width + kGap;
  const std::vector<T> zeros(static_cast<size_t>(wide_channels));
  const AlignedBuffer<T> gradients = AllocateAligned<T>(kPositions * row_tiles * gradient_step);
  const AlignedBuffer<T> sums = AllocateAligned<T>(kPositions * padded * columns);

#pragma omp parallel
  {
    const AlignedBuffer<T> row = AllocateAligned<T>(kPositions * padded);
    std::fill_n(row.get(), kPositions * padded, T{0});
    const AlignedBuffer<T> inputs = AllocateAligned<T>(kPositions * input_step);
    for (int64_t begin = 0; begin < tiling.count(); begin += chunk) {
      const int64_t count = std::min(chunk, tiling.count() - begin);
      // Both loops end with a barrier: nobody reads what is not written, or writes what is read.
#pragma omp for schedule(static)
      for (int64_t t = 0; t < count; ++t) {
        const T* from[4];
        T* to[kPositions];
        tiling.NarrowPixels(tiling.PlaceOf(begin + t), narrow_gradient, narrow_channels, from);
        for (int64_t p = 0; p < kPositions; ++p) to[p] = row.get() + p * padded;
        WinogradTransforms<T>::Narrow(narrow_channels, from, to);
        for (int64_t p = 0; p < kPositions; ++p) {
          for (int64_t tile = 0; tile < row_tiles; ++tile) {
            kernels.pack_rows(1, to[p] + tile * rows, 0,
                              gradients.get() + (p * row_tiles + tile) * gradient_step + t * rows);
          }
        }
      }
      // The same panels to the same thread, whose cache has their sums.
#pragma omp for schedule(static)
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t phase = panel * width / wide_channels;
        const int64_t channel = panel * width % wide_channels;
        for (int64_t t = 0; t < count; ++t) {
          const T* from[kPositions];
          T* to[kPositions];
          tiling.WidePixels(tiling.PlaceOf(begin + std::min(t + kTilesAhead, count - 1)), phase,
                            wide + channel, wide_channels, zeros.data(), from);
          for (const T* pixel : from) {
            __builtin_prefetch(pixel);
            __builtin_prefetch(pixel + width / 2);
          }
          tiling.WidePixels(tiling.PlaceOf(begin + t), phase, wide + channel, wide_channels,
                            zeros.data(), from);
          for (int64_t p = 0; p < kPositions; ++p)
            to[p] = inputs.get() + p * input_step + t * width;
          WinogradTransforms<T>::Wide(width, from, to);
        }
        for (int64_t p = 0; p < kPositions; ++p) {
          for (int64_t tile = 0; tile < row_tiles; ++tile) {
            T* outputs[kMaxTileRows];
            for (int64_t r = 0; r < rows; ++r) {
              outputs[r] = sums.get() + (p * padded + tile * rows + r) * columns + panel * width;
            }
            kernels.from_packed(count, gradients.get() + (p * row_tiles + tile) * gradient_step,
                                inputs.get() + p * input_step, begin > 0, outputs);
          }
        }
      }
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < narrow_channels * kPhases; ++i) {
      const int64_t channel = i / kPhases, phase = i % kPhases;
      const T* from[kPositions];
      T* to[kPhaseTaps];
      for (int64_t p = 0; p < kPositions; ++p) {
        from[p] = sums.get() + (p * padded + channel) * columns + phase * wide_channels;
      }
      for (int64_t t = 0; t < kPhaseTaps; ++t) {
        to[t] = weight_gradient + (channel * kTaps + TapOf(phase, t / 2, t % 2)) * wide_channels;
      }
      WinogradTransforms<T>::ToWeight(wide_channels, from, to);
    }
  }
}

#define GANNET_INSTANTIATE(T)                                                                  \
  template bool WinogradPays<T>(const StridedShape&);                                          \
  template bool WinogradWeightGradientPays<T>(const StridedShape&);                            \
  template class WinogradWeight<T>;                                                            \
  template void WinogradConvolve<T>(int64_t, int64_t, const T*, const WinogradWeight<T>&, T*); \
  template void WinogradConvolveTransposed<T>(int64_t, int64_t, const T*,                      \
                                              const WinogradWeight<T>&, T*);                   \
  template void WinogradWeightGradient<T>(const StridedShape&, const T*, const T*, T*);
GANNET_INSTANTIATE(float)
GANNET_INSTANTIATE(double)
#undef GANNET_INSTANTIATE

}  // namespace gannet::gan
