#include "libs/gan/kernels/strided_convolution.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "libs/gan/kernels/aligned_buffer.h"
#include "libs/gan/kernels/edge_order.h"
#include "libs/gan/kernels/tile_product.h"

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

// Which taps of a row or column of the kernel are inside, as bits.
unsigned TapsInside(bool first, bool last) {
  return (first ? 0b1110u : 0b1111u) & (last ? 0b0111u : 0b1111u);
}

// The taps of the kernel that are inside the image, bit tap = 4 ky + kx.
unsigned InsideMask(const Edges& edges) {
  const unsigned columns = TapsInside(edges.left, edges.right);
  unsigned mask = 0;
  for (unsigned ky = 0; ky < kKernel; ++ky) {
    if ((TapsInside(edges.top, edges.bottom) >> ky & 1) != 0) mask |= columns << (kKernel * ky);
  }
  return mask;
}

// The four taps that reach wide pixels of this parity, those whose narrow pixels are inside, as
// bits.
unsigned InsideParityMask(const Edges& edges, int64_t parity) {
  const auto inside = [](const ParityTap& tap, bool first, bool last) {
    return !(first && tap.offset < 0) && !(last && tap.offset > 0);
  };
  unsigned mask = 0;
  for (int64_t t = 0; t < kParityTaps; ++t) {
    if (inside(kParityTapsOf[parity / 2][t / 2], edges.top, edges.bottom) &&
        inside(kParityTapsOf[parity % 2][t % 2], edges.left, edges.right)) {
      mask |= 1u << t;
    }
  }
  return mask;
}

// A block of narrow pixels, cut into tiles, and what each tile reads: one pointer per tap and row.
// A tile reads the taps that any of its rows needs; rows without them, and those beyond the last
// pixel, read zeros.
template <typename T, int64_t kMaxTaps>
struct Block {
  struct Tile {
    int taps = 0;
    int tap[kMaxTaps];  // ascending
    const T* inputs[kMaxTaps * kMaxTileRows];
    TileOutput<T> output;

    // The place of the first tap from `first` on.
    int PlaceOf(int64_t first) const {
      return static_cast<int>(std::lower_bound(tap, tap + taps, static_cast<int>(first)) - tap);
    }
  };

  Block(const EdgeOrder& order, int64_t begin, int64_t pixel_count, int64_t tile_rows)
      : count(pixel_count), rows(tile_rows), tiles(Quotient(pixel_count, tile_rows)) {
    int64_t i = 0;
    order.ForEachSpan(begin, count, [&](const PixelSpan& span) {
      for (int64_t x = 0; x < span.count; ++x, ++i) {
        pixels[i] = {span.first.image, span.first.y, span.first.x + x};
        edges[i] = span.edges;
      }
    });
  }

  // Finds inputs and outputs: mask(edges) has the bits of the taps inside, input(pixel, tap) is
  // where one that is inside is read, output(pixel) where the result goes.
  template <typename Mask, typename Input, typename Output>
  void Find(const T* zeros, T* unread, const Mask& mask, const Input& input, const Output& output) {
    for (int64_t t = 0; t < tiles; ++t) {
      Tile& tile = all[t];
      const int64_t first = t * rows, used = std::min(rows, count - first);
      unsigned masks[kMaxTileRows] = {}, any = 0;
      for (int64_t r = 0; r < used; ++r) any |= masks[r] = mask(edges[first + r]);
      tile.taps = 0;
      for (int k = 0; k < kMaxTaps; ++k) {
        if ((any >> k & 1) == 0) continue;
        const T** const from = tile.inputs + tile.taps * rows;
        for (int64_t r = 0; r < rows; ++r) {
          from[r] = (masks[r] >> k & 1) != 0 ? input(pixels[first + r], k) : zeros;
        }
        tile.tap[tile.taps++] = k;
      }
      for (int64_t r = 0; r < rows; ++r) {
        tile.output.rows[r] = r < used ? output(pixels[first + r]) : unread;
      }
    }
  }

  const int64_t count, rows, tiles;
  Pixel pixels[kBlockTiles * kMaxTileRows];
  Edges edges[kBlockTiles * kMaxTileRows];
  Tile all[kBlockTiles];
};

// Columns are narrow channels: a transposition, in squares that stay in the first-level cache.
template <typename T>
std::unique_ptr<const WeightPanels<T>> ArrangeForConvolve(const PackedWeight<T>& weight) {
  const int64_t depth = weight.wide_channels(), row = kTaps * depth;
  auto arranged = std::make_unique<WeightPanels<T>>(WeightPanels<T>::Order::kPartsOfAPanel, kTaps,
                                                    depth, weight.narrow_channels());
  const int64_t width = arranged->width;
  ForEachPanelAndTap(arranged->panels, kTaps, [&](int64_t panel, int64_t tap) {
    const int64_t columns = arranged->ColumnsOf(panel);
    const T* const from = weight.values() + panel * width * row + tap * depth;
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
  return arranged;
}

// Columns are wide channels, which lie side by side. The taps are those of one parity after the
// other.
template <typename T>
std::unique_ptr<const WeightPanels<T>> ArrangeForTransposed(const PackedWeight<T>& weight) {
  const int64_t channels = weight.wide_channels(), depth = weight.narrow_channels();
  auto arranged = std::make_unique<WeightPanels<T>>(WeightPanels<T>::Order::kPartsOfAPanel, kTaps,
                                                    depth, channels);
  const int64_t width = arranged->width;
  ForEachPanelAndTap(arranged->panels, kTaps, [&](int64_t panel, int64_t place) {
    const int64_t parity = place / kParityTaps, t = place % kParityTaps;
    const int64_t tap =
        kParityTapsOf[parity / 2][t / 2].kernel * kKernel + kParityTapsOf[parity % 2][t % 2].kernel;
    const int64_t columns = arranged->ColumnsOf(panel);
    const T* from = weight.values() + tap * channels + panel * width;
    T* to = arranged->At(panel, place);
    for (int64_t k = 0; k < depth; ++k, from += kTaps * channels, to += width) {
      std::copy(from, from + columns, to);
      std::fill(to + columns, to + width, T{0});
    }
  });
  return arranged;
}

}  // namespace

template <typename T>
StridedWeight<T>::StridedWeight(int64_t wide_channels, int64_t narrow_channels, const T* values)
    : PackedWeight<T>(wide_channels, narrow_channels, values, ArrangeForConvolve<T>,
                      ArrangeForTransposed<T>) {}

template <typename T>
void StridedConvolve(int64_t images, int64_t side, const T* wide, const StridedWeight<T>& weight,
                     T* narrow) {
  const TileKernels<T>& kernels = GetTileKernels<T>();
  const WeightPanels<T>& panels = weight.ForConvolve();
  const int64_t depth = weight.wide_channels(), channels = weight.narrow_channels();
  const std::vector<T> zeros(static_cast<size_t>(depth));
  const int64_t tap_bytes = depth * kernels.columns * static_cast<int64_t>(sizeof(T));
  const int64_t taps_per_pass = std::clamp<int64_t>(kPanelBytes / tap_bytes, 1, kTaps);
  const EdgeOrder order(images, side);

  ForEachBlockOfPixels(order.size(), kernels.rows, [&](int64_t begin, int64_t count) {
    std::vector<T> unread(static_cast<size_t>(channels));
    Block<T, kTaps> block(order, begin, count, kernels.rows);
    block.Find(
        zeros.data(), unread.data(), InsideMask,
        [&](const Pixel& p, int tap) {
          const int64_t y = 2 * p.y - 1 + tap / kKernel, x = 2 * p.x - 1 + tap % kKernel;
          return wide + ((p.image * 2 * side + y) * 2 * side + x) * depth;
        },
        [&](const Pixel& p) { return narrow + ((p.image * side + p.y) * side + p.x) * channels; });
    for (int64_t tap = 0; tap < kTaps; tap += taps_per_pass) {
      for (int64_t panel = 0; panel < panels.panels; ++panel) {
        for (int64_t t = 0; t < block.tiles; ++t) {
          const auto& tile = block.all[t];
          const int from = tile.PlaceOf(tap), to = tile.PlaceOf(tap + taps_per_pass);
          if (from == to && tap > 0) continue;
          const T* panels_of[kTaps];
          for (int k = from; k < to; ++k) panels_of[k - from] = panels.At(panel, tile.tap[k]);
          ComputeTile(kernels, tile.output, panel * kernels.columns, panels.ColumnsOf(panel),
                      tap > 0, [&](bool add, T* const* out) {
                        kernels.from_rows(to - from, depth, tile.inputs + from * kernels.rows,
                                          panels_of, add, out);
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
  const WeightPanels<T>& panels = weight.ForTransposed();
  const int64_t depth = weight.narrow_channels(), channels = weight.wide_channels();
  const std::vector<T> zeros(static_cast<size_t>(depth));
  const EdgeOrder order(images, side);

  ForEachBlockOfPixels(order.size(), kernels.rows, [&](int64_t begin, int64_t count) {
    std::vector<T> unread(static_cast<size_t>(channels));
    Block<T, kParityTaps> block(order, begin, count, kernels.rows);
    for (int64_t parity = 0; parity < kParities; ++parity) {
      block.Find(
          zeros.data(), unread.data(),
          [&](const Edges& edges) { return InsideParityMask(edges, parity); },
          [&](const Pixel& p, int t) {
            const int64_t y = p.y + kParityTapsOf[parity / 2][t / 2].offset;
            const int64_t x = p.x + kParityTapsOf[parity % 2][t % 2].offset;
            return narrow + ((p.image * side + y) * side + x) * depth;
          },
          [&](const Pixel& p) {
            const int64_t wide_row = (p.image * side + p.y) * 2 + parity / 2;
            return wide + (wide_row * 2 * side + 2 * p.x + parity % 2) * channels;
          });
      for (int64_t panel = 0; panel < panels.panels; ++panel) {
        for (int64_t t = 0; t < block.tiles; ++t) {
          const auto& tile = block.all[t];
          const T* panels_of[kParityTaps];
          for (int k = 0; k < tile.taps; ++k) {
            panels_of[k] = panels.At(panel, parity * kParityTaps + tile.tap[k]);
          }
          ComputeTile(kernels, tile.output, panel * kernels.columns, panels.ColumnsOf(panel), false,
                      [&](bool add, T* const* out) {
                        kernels.from_rows(tile.taps, depth, tile.inputs, panels_of, add, out);
                      });
        }
      }
    }
  });
}

namespace {

// The channels of a tile, for each pixel of a span.
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

// Copies a run for the pixels of a span into the rows of a panel.
template <typename T>
void PackRun(const TileKernels<T>& kernels, const StridedShape& shape, const T* wide,
             const PixelSpan& span, const PatchRun& run, T* to) {
  const int64_t side = shape.side, channels = shape.wide_channels, width = kernels.columns;
  to += run.place;
  if ((InsideMask(span.edges) >> run.tap & 1) == 0) {
    for (int64_t i = 0; i < span.count; ++i) std::fill_n(to + i * width, run.count, T{0});
    return;
  }
  const int64_t y = 2 * span.first.y - 1 + run.tap / kKernel;
  const int64_t x = 2 * span.first.x - 1 + run.tap % kKernel;
  const T* const from =
      wide + ((span.first.image * 2 * side + y) * 2 * side + x) * channels + run.channel;
  if (run.count == width) {
    kernels.pack_panel(span.count, from, 2 * channels, to);
    return;
  }
  for (int64_t i = 0; i < span.count; ++i) {
    std::copy_n(from + i * 2 * channels, run.count, to + i * width);
  }
}

// Pixels first .. last of a chunk that are summed.
struct PixelRange {
  int64_t first, last;
};

// Packs the columns of `runs` of the patches of `count` pixels from `begin` on: of those pixels
// only for which a run is inside the image; zeros beyond the runs. Returns what to sum.
template <typename T>
std::vector<PixelRange> PackPatches(const TileKernels<T>& kernels, const StridedShape& shape,
                                    const EdgeOrder& order, const T* wide, int64_t begin,
                                    int64_t count, const std::vector<PatchRun>& runs, T* to) {
  const int64_t used = runs.back().place + runs.back().count, width = kernels.columns;
  std::vector<PixelRange> ranges;
  int64_t at = 0;
  order.ForEachSpan(begin, count, [&](const PixelSpan& span) {
    const unsigned inside = InsideMask(span.edges);
    const bool is_read = std::any_of(runs.begin(), runs.end(), [&](const PatchRun& run) {
      return (inside >> run.tap & 1) != 0;
    });
    if (is_read) {
      for (const PatchRun& run : runs) PackRun(kernels, shape, wide, span, run, to + at * width);
      for (int64_t i = at; used < width && i < at + span.count; ++i) {
        std::fill(to + i * width + used, to + (i + 1) * width, T{0});
      }
      if (ranges.empty() || ranges.back().last != at) ranges.push_back({at, at});
      ranges.back().last = at + span.count;
    }
    at += span.count;
  });
  return ranges;
}

}  // namespace

template <typename T>
void StridedWeightGradient(const StridedShape& shape, const T* narrow_gradient, const T* wide,
                           T* weight_gradient) {
  const TileKernels<T>& kernels = GetTileKernels<T>();
  const int64_t rows = kernels.rows, panel_columns = kernels.columns, side = shape.side;
  const int64_t columns = kTaps * shape.wide_channels;
  const int64_t tiles = Quotient(shape.narrow_channels, rows);
  const int64_t panels = Quotient(columns, panel_columns);
  const EdgeOrder order(shape.images, side);
  const AlignedBuffer<T> gradients = AllocateAligned<T>(tiles * kGradientPixels * rows);

#pragma omp parallel
  {
    const AlignedBuffer<T> patches = AllocateAligned<T>(kGradientPixels * panel_columns);
    std::vector<T> unread(static_cast<size_t>(columns));
    for (int64_t first = 0; first < order.size(); first += kGradientPixels) {
      const int64_t count = std::min(kGradientPixels, order.size() - first);
      // Both loops end with a barrier: nobody reads what is not written, or writes what is read.
#pragma omp for schedule(static)
      for (int64_t tile = 0; tile < tiles; ++tile) {
        T* to = gradients.get() + tile * kGradientPixels * rows;
        order.ForEachSpan(first, count, [&](const PixelSpan& span) {
          const Pixel& p = span.first;
          PackGradient(
              kernels, shape.narrow_channels,
              narrow_gradient + ((p.image * side + p.y) * side + p.x) * shape.narrow_channels,
              span.count, tile, to);
          to += span.count * rows;
        });
      }
      // The same panels to the same thread, whose cache has their sums.
#pragma omp for schedule(static)
      for (int64_t panel = 0; panel < panels; ++panel) {
        const int64_t column = panel * panel_columns;
        const int64_t used = std::min(panel_columns, columns - column);
        std::vector<PixelRange> ranges =
            PackPatches(kernels, shape, order, wide, first, count,
                        RunsOf(column, used, shape.wide_channels), patches.get());
        // The first chunk must write, also where it has nothing to add.
        if (ranges.empty() && first == 0) ranges.push_back({0, 0});
        for (int64_t tile = 0; tile < tiles; ++tile) {
          TileOutput<T> output;
          for (int64_t r = 0; r < rows; ++r) {
            const int64_t channel = tile * rows + r;
            output.rows[r] = channel < shape.narrow_channels ? weight_gradient + channel * columns
                                                             : unread.data();
          }
          for (const PixelRange& range : ranges) {
            const bool add_to_it = first > 0 || range.first != ranges.front().first;
            ComputeTile(kernels, output, column, used, add_to_it, [&](bool add, T* const* out) {
              kernels.from_packed(range.last - range.first,
                                  gradients.get() + (tile * kGradientPixels + range.first) * rows,
                                  patches.get() + range.first * panel_columns, add, out);
            });
          }
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
