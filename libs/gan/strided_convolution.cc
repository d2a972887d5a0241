#include "libs/gan/strided_convolution.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "libs/gan/tile_product.h"

namespace gannet::gan {
namespace {

constexpr int64_t kKernel = 4;
constexpr int64_t kTaps = kKernel * kKernel;
// A stride of 2 parts the pixels of the wide side into 2 x 2 classes, each reached by 2 x 2 taps.
constexpr int64_t kParities = 4;
constexpr int64_t kParityTaps = 4;

// What a block of rows reads, and a panel of weights, should stay in the second-level cache
// together.
constexpr int64_t kPanelBytes = 128 << 10;
// Tiles that share a panel before the next is read.
constexpr int64_t kBlockTiles = 8;
// Side of the squares in which weights are transposed: a cache line of floats.
constexpr int64_t kSquare = 16;
// Pixels whose products are summed in registers before they are added to the gradient.
constexpr int64_t kGradientPixels = 512;

int64_t Quotient(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

// Uninitialised memory.
template <typename T>
std::unique_ptr<T[]> Room(int64_t count) {
  return std::unique_ptr<T[]>(new T[static_cast<size_t>(count)]);
}

// Where a tile's rows go: to memory, or for those beyond the end to a row that nobody reads.
template <typename T>
struct TileOutput {
  T* rows[kMaxTileRows];
};

// One tile of the result, whose panel may be narrower than the kernel's.
template <typename T, typename Compute>
void ComputeTile(const TileKernels<T>& kernels, const TileOutput<T>& output, int64_t column,
                 int64_t columns, bool add, const Compute& compute) {
  T* to[kMaxTileRows];
  if (columns == kernels.columns) {
    for (int r = 0; r < kernels.rows; ++r) to[r] = output.rows[r] + column;
    compute(add, to);
    return;
  }
  T room[kMaxTileRows * kMaxTileColumns];
  for (int r = 0; r < kernels.rows; ++r) to[r] = room + r * kernels.columns;
  compute(false, to);
  for (int r = 0; r < kernels.rows; ++r) {
    T* const row = output.rows[r] + column;
    for (int64_t c = 0; c < columns; ++c) row[c] = add ? row[c] + to[r][c] : to[r][c];
  }
}

// A pixel of images x side x side.
struct Pixel {
  int64_t image, y, x;
};

Pixel PixelAt(int64_t number, int64_t side) {
  return {number / (side * side), number / side % side, number % side};
}

Pixel Next(Pixel p, int64_t side) {
  if (++p.x < side) return p;
  p.x = 0;
  if (++p.y < side) return p;
  return {p.image + 1, 0, 0};
}

// Along one axis: wide pixel 2 i + parity is reached by taps of the narrow pixels i + offset.
struct ParityTap {
  int64_t kernel, offset;
};

constexpr ParityTap kParityTapsOf[2][2] = {{{1, 0}, {3, -1}}, {{0, 1}, {2, 0}}};

// Calls body(panel, tap) for every pair.
template <typename Body>
void ForEachPanelAndTap(int64_t panels, int64_t taps, const Body& body) {
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < panels * taps; ++i) body(i / taps, i % taps);
}

// Calls body(first pixel, pixel count) for blocks of narrow pixels.
template <typename Body>
void ForEachBlockOfPixels(int64_t pixels, int64_t tile_rows, const Body& body) {
  const int64_t block = kBlockTiles * tile_rows;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t begin = 0; begin < pixels; begin += block) {
    body(begin, std::min(block, pixels - begin));
  }
}

// The inputs of the 16 taps of a narrow pixel, each `stride` after the one before; `zeros` in the
// padding.
template <typename T>
void FindPatch(const T* wide, const Pixel& p, int64_t side, int64_t channels, const T* zeros,
               int64_t stride, const T** taps) {
  const T* row = wide + ((p.image * 2 * side + 2 * p.y - 1) * 2 * side + 2 * p.x - 1) * channels;
  for (int64_t ky = 0; ky < kKernel; ++ky, row += 2 * side * channels) {
    const int64_t y = 2 * p.y - 1 + ky;
    const bool is_row = y >= 0 && y < 2 * side;
    for (int64_t kx = 0; kx < kKernel; ++kx, taps += stride) {
      const int64_t x = 2 * p.x - 1 + kx;
      *taps = is_row && x >= 0 && x < 2 * side ? row + kx * channels : zeros;
    }
  }
}

// The inputs of the four taps that reach wide pixels of this parity.
template <typename T>
void FindParityInputs(const T* narrow, const Pixel& p, int64_t parity, int64_t side,
                      int64_t channels, const T* zeros, int64_t stride, const T** taps) {
  for (int64_t t = 0; t < kParityTaps; ++t) {
    const int64_t y = p.y + kParityTapsOf[parity / 2][t / 2].offset;
    const int64_t x = p.x + kParityTapsOf[parity % 2][t % 2].offset;
    const bool is_inside = y >= 0 && x >= 0 && y < side && x < side;
    taps[t * stride] = is_inside ? narrow + ((p.image * side + y) * side + x) * channels : zeros;
  }
}

}  // namespace

// In panels: [panel][tap][depth][columns of the kernel], zeros beyond the last column. For the
// transposed direction the taps are those of one parity after the other.
template <typename T>
struct StridedWeight<T>::Arranged {
  Arranged(int64_t depth_in, int64_t columns_in)
      : depth(depth_in),
        columns(columns_in),
        panels(Quotient(columns, width)),
        values(Room<T>(panels * kTaps * depth * width)) {}

  T* At(int64_t panel, int64_t tap) const {
    return values.get() + (panel * kTaps + tap) * depth * width;
  }
  int64_t ColumnsOf(int64_t panel) const { return std::min(width, columns - panel * width); }

  const int64_t width = GetTileKernels<T>().columns;
  const int64_t depth, columns, panels;
  const std::unique_ptr<T[]> values;
};

template <typename T>
StridedWeight<T>::StridedWeight(int64_t wide_channels, int64_t narrow_channels, const T* values)
    : wide_channels_(wide_channels), narrow_channels_(narrow_channels), values_(values) {}

template <typename T>
StridedWeight<T>::~StridedWeight() = default;

// Columns are narrow channels: a transposition, in squares that stay in the first-level cache.
template <typename T>
const typename StridedWeight<T>::Arranged& StridedWeight<T>::ForConvolve() const {
  std::call_once(convolve_once_, [this] {
    auto arranged = std::make_unique<Arranged>(wide_channels_, narrow_channels_);
    const int64_t depth = wide_channels_, row = kTaps * depth, width = arranged->width;
    ForEachPanelAndTap(arranged->panels, kTaps, [&](int64_t panel, int64_t tap) {
      const int64_t columns = arranged->ColumnsOf(panel);
      const T* const from = values_ + panel * width * row + tap * depth;
      T* const to = arranged->At(panel, tap);
      for (int64_t begin = 0; begin < depth; begin += kSquare) {
        const int64_t end = std::min(depth, begin + kSquare);
        for (int64_t c = 0; c < width; ++c) {
          for (int64_t k = begin; k < end; ++k) {
            to[k * width + c] = c < columns ? from[c * row + k] : T{0};
          }
        }
      }
    });
    convolve_ = std::move(arranged);
  });
  return *convolve_;
}

// Columns are wide channels, which lie side by side.
template <typename T>
const typename StridedWeight<T>::Arranged& StridedWeight<T>::ForTransposed() const {
  std::call_once(transposed_once_, [this] {
    auto arranged = std::make_unique<Arranged>(narrow_channels_, wide_channels_);
    const int64_t width = arranged->width;
    ForEachPanelAndTap(arranged->panels, kTaps, [&](int64_t panel, int64_t place) {
      const int64_t parity = place / kParityTaps, t = place % kParityTaps;
      const int64_t tap = kParityTapsOf[parity / 2][t / 2].kernel * kKernel +
                          kParityTapsOf[parity % 2][t % 2].kernel;
      const int64_t columns = arranged->ColumnsOf(panel);
      const T* from = values_ + tap * wide_channels_ + panel * width;
      T* to = arranged->At(panel, place);
      for (int64_t k = 0; k < narrow_channels_; ++k, from += kTaps * wide_channels_, to += width) {
        std::copy(from, from + columns, to);
        std::fill(to + columns, to + width, T{0});
      }
    });
    transposed_ = std::move(arranged);
  });
  return *transposed_;
}

template <typename T>
void StridedConvolve(int64_t images, int64_t side, const T* wide, const StridedWeight<T>& weight,
                     T* narrow) {
  const TileKernels<T>& kernels = GetTileKernels<T>();
  const typename StridedWeight<T>::Arranged& panels = weight.ForConvolve();
  const int64_t depth = weight.wide_channels(), channels = weight.narrow_channels();
  const int64_t rows = kernels.rows;
  const std::vector<T> zeros(static_cast<size_t>(depth));
  const int64_t tap_bytes = depth * kernels.columns * static_cast<int64_t>(sizeof(T));
  const int64_t taps_per_pass = std::clamp<int64_t>(kPanelBytes / tap_bytes, 1, kTaps);

  ForEachBlockOfPixels(images * side * side, rows, [&](int64_t begin, int64_t count) {
    const int64_t tiles = Quotient(count, rows);
    const T* inputs[kBlockTiles * kTaps * kMaxTileRows];
    TileOutput<T> outputs[kBlockTiles];
    std::vector<T> unread(static_cast<size_t>(channels));
    Pixel p = PixelAt(begin, side);
    for (int64_t i = 0; i < tiles * rows; ++i, p = Next(p, side)) {
      const T** const taps = inputs + i / rows * kTaps * rows + i % rows;
      if (i < count) {
        FindPatch(wide, p, side, depth, zeros.data(), rows, taps);
      } else {
        for (int64_t tap = 0; tap < kTaps; ++tap) taps[tap * rows] = zeros.data();
      }
      outputs[i / rows].rows[i % rows] =
          i < count ? narrow + (begin + i) * channels : unread.data();
    }
    for (int64_t tap = 0; tap < kTaps; tap += taps_per_pass) {
      const int64_t taps = std::min(taps_per_pass, kTaps - tap);
      for (int64_t panel = 0; panel < panels.panels; ++panel) {
        for (int64_t tile = 0; tile < tiles; ++tile) {
          ComputeTile(kernels, outputs[tile], panel * kernels.columns, panels.ColumnsOf(panel),
                      tap > 0, [&](bool add, T* const* out) {
                        kernels.from_rows(taps, depth, inputs + (tile * kTaps + tap) * rows,
                                          panels.At(panel, tap), add, out);
                      });
        }
      }
    }
  });
}

template <typename T>
void StridedConvolveTransposed(int64_t images, int64_t side, const T* narrow,
                               const StridedWeight<T>& weight, T* wide) {
  const TileKernels<T>& kernels = GetTileKernels<T>();
  const typename StridedWeight<T>::Arranged& panels = weight.ForTransposed();
  const int64_t depth = weight.narrow_channels(), channels = weight.wide_channels();
  const int64_t rows = kernels.rows;
  const std::vector<T> zeros(static_cast<size_t>(depth));

  ForEachBlockOfPixels(images * side * side, rows, [&](int64_t begin, int64_t count) {
    const int64_t tiles = Quotient(count, rows);
    const T* inputs[kBlockTiles * kParityTaps * kMaxTileRows];
    TileOutput<T> outputs[kBlockTiles];
    std::vector<T> unread(static_cast<size_t>(channels));
    for (int64_t parity = 0; parity < kParities; ++parity) {
      Pixel p = PixelAt(begin, side);
      for (int64_t i = 0; i < tiles * rows; ++i, p = Next(p, side)) {
        const T** const taps = inputs + i / rows * kParityTaps * rows + i % rows;
        T*& output = outputs[i / rows].rows[i % rows];
        if (i < count) {
          FindParityInputs(narrow, p, parity, side, depth, zeros.data(), rows, taps);
          const int64_t wide_row = (p.image * side + p.y) * 2 + parity / 2;
          output = wide + (wide_row * 2 * side + 2 * p.x + parity % 2) * channels;
        } else {
          for (int64_t t = 0; t < kParityTaps; ++t) taps[t * rows] = zeros.data();
          output = unread.data();
        }
      }
      for (int64_t panel = 0; panel < panels.panels; ++panel) {
        for (int64_t tile = 0; tile < tiles; ++tile) {
          ComputeTile(kernels, outputs[tile], panel * kernels.columns, panels.ColumnsOf(panel),
                      false, [&](bool add, T* const* out) {
                        kernels.from_rows(kParityTaps, depth, inputs + tile * kParityTaps * rows,
                                          panels.At(panel, parity * kParityTaps), add, out);
                      });
        }
      }
    }
  });
}

namespace {

// The channels of a tile, for each of `count` pixels side by side.
template <typename T>
void PackGradient(const TileKernels<T>& kernels, int64_t channels, const T* gradient, int64_t count,
                  int64_t tile, T* to) {
  const int64_t rows = kernels.rows, channel = tile * rows;
  const T* from = gradient + channel;
  if (channel + rows <= channels) {
    kernels.pack_rows(count, from, channels, to);
    return;
  }
  for (int64_t i = 0; i < count; ++i, from += channels, to += rows) {
    std::copy_n(from, channels - channel, to);
    std::fill(to + channels - channel, to + rows, T{0});
  }
}

// A part of a patch: channels of one tap, side by side.
struct PatchRun {
  int64_t tap, channel, count, place;
};

// The columns column .. column + columns of taps x wide channels.
std::vector<PatchRun> RunsOf(int64_t column, int64_t columns, int64_t channels) {
  std::vector<PatchRun> runs;
  for (int64_t place = 0; place < columns;) {
    const int64_t channel = (column + place) % channels;
    const int64_t count = std::min(columns - place, channels - channel);
    runs.push_back({(column + place) / channels, channel, count, place});
    place += count;
  }
  return runs;
}

// Copies a run for pixels first .. first + count into the rows of a panel.
template <typename T>
void PackRun(const TileKernels<T>& kernels, const StridedShape& shape, const T* wide, int64_t first,
             int64_t count, const PatchRun& run, T* to) {
  const int64_t side = shape.side, channels = shape.wide_channels, width = kernels.columns;
  to += run.place;
  Pixel p = PixelAt(first, side);
  const int64_t kx = run.tap % kKernel;
  while (count > 0) {
    // The pixels up to the end of the row: outside, inside and outside the image.
    const int64_t pixels = std::min(count, side - p.x);
    const int64_t y = 2 * p.y - 1 + run.tap / kKernel;
    const bool is_row = y >= 0 && y < 2 * side;
    const int64_t before = !is_row ? pixels : kx == 0 && p.x == 0 ? 1 : 0;
    const int64_t after = is_row && kx == kKernel - 1 && p.x + pixels == side ? 1 : 0;
    const int64_t inside = std::max<int64_t>(0, pixels - before - after);
    const int64_t x = 2 * (p.x + before) - 1 + kx;
    const T* const from = wide + ((p.image * 2 * side + y) * 2 * side + x) * channels + run.channel;
    for (int64_t i = 0; i < before; ++i) std::fill_n(to + i * width, run.count, T{0});
    if (run.count == width) {
      kernels.pack_panel(inside, from, 2 * channels, to + before * width);
    } else {
      for (int64_t i = 0; i < inside; ++i) {
        std::copy_n(from + i * 2 * channels, run.count, to + (before + i) * width);
      }
    }
    for (int64_t i = pixels - after; i < pixels; ++i) std::fill_n(to + i * width, run.count, T{0});
    to += pixels * width;
    count -= pixels;
    p = {p.image + (p.y + 1 == side ? 1 : 0), (p.y + 1) % side, 0};
  }
}

// The columns of `runs` of the patches of pixels first .. first + count; zeros beyond them.
template <typename T>
void PackPatches(const TileKernels<T>& kernels, const StridedShape& shape, const T* wide,
                 int64_t first, int64_t count, const std::vector<PatchRun>& runs, T* to) {
  for (const PatchRun& run : runs) PackRun(kernels, shape, wide, first, count, run, to);
  const int64_t used = runs.back().place + runs.back().count, width = kernels.columns;
  for (int64_t i = 0; used < width && i < count; ++i) {
    std::fill(to + i * width + used, to + (i + 1) * width, T{0});
  }
}

}  // namespace

template <typename T>
void StridedWeightGradient(const StridedShape& shape, const T* narrow_gradient, const T* wide,
                           T* weight_gradient) {
  const TileKernels<T>& kernels = GetTileKernels<T>();
  const int64_t rows = kernels.rows, panel_columns = kernels.columns;
  const int64_t pixels = shape.images * shape.side * shape.side;
  const int64_t columns = kTaps * shape.wide_channels;
  const int64_t tiles = Quotient(shape.narrow_channels, rows);
  const int64_t panels = Quotient(columns, panel_columns);
  const std::unique_ptr<T[]> gradients = Room<T>(tiles * kGradientPixels * rows);

#pragma omp parallel
  {
    const std::unique_ptr<T[]> patches = Room<T>(kGradientPixels * panel_columns);
    std::vector<T> unread(static_cast<size_t>(columns));
    for (int64_t first = 0; first < pixels; first += kGradientPixels) {
      const int64_t count = std::min(kGradientPixels, pixels - first);
      // Both loops end with a barrier: nobody reads what is not written, or writes what is read.
#pragma omp for schedule(static)
      for (int64_t tile = 0; tile < tiles; ++tile) {
        PackGradient(kernels, shape.narrow_channels,
                     narrow_gradient + first * shape.narrow_channels, count, tile,
                     gradients.get() + tile * kGradientPixels * rows);
      }
#pragma omp for schedule(dynamic, 1)
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t column = panel * panel_columns;
        const int64_t used = std::min(panel_columns, columns - column);
        PackPatches(kernels, shape, wide, first, count, RunsOf(column, used, shape.wide_channels),
                    patches.get());
        for (int64_t tile = 0; tile < tiles; ++tile) {
          TileOutput<T> output;
          for (int64_t r = 0; r < rows; ++r) {
            const int64_t channel = tile * rows + r;
            output.rows[r] = channel < shape.narrow_channels ? weight_gradient + channel * columns
                                                             : unread.data();
          }
          ComputeTile(kernels, output, column, used, first > 0, [&](bool add, T* const* out) {
            kernels.from_packed(count, gradients.get() + tile * kGradientPixels * rows,
                                patches.get(), add, out);
          });
        }
      }
    }
  }
}

#define GANNET_INSTANTIATE(T)                                                                     \
  template class StridedWeight<T>;                                                                \
  template void StridedConvolve<T>(int64_t, int64_t, const T*, const StridedWeight<T>&, T*);      \
  template void StridedConvolveTransposed<T>(int64_t, int64_t, const T*, const StridedWeight<T>&, \
                                             T*);                                                 \
  template void StridedWeightGradient<T>(const StridedShape&, const T*, const T*, T*);
GANNET_INSTANTIATE(float)
GANNET_INSTANTIATE(double)
#undef GANNET_INSTANTIATE

}  // namespace gannet::gan
