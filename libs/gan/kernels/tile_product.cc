#include "libs/gan/kernels/tile_product.h"

namespace gannet::gan {
namespace {

// Body of both kernels; inlined into functions that are compiled for an instruction set. The
// accumulators are a two-dimensional array with constant bounds, which the compiler keeps in
// registers once every loop over them is unrolled.
template <typename T, int kBytes, int kRows, int kVectors>
struct Tile {
  typedef T Vector __attribute__((vector_size(kBytes)));
  // Memory is aligned to its values only.
  typedef T Unaligned __attribute__((vector_size(kBytes), aligned(sizeof(T)), may_alias));
  // What is read in order comes from the second-level cache, this many steps ahead: without, the
  // kernel was a fifth slower.
  static constexpr int kAhead = 8;
  static constexpr int kLanes = kBytes / static_cast<int>(sizeof(T));

  static inline __attribute__((always_inline)) void FromRows(int64_t taps, int64_t depth,
                                                             const T* const* a,
                                                             const T* const* panels, bool add,
                                                             T* const* out) {
    Vector sum[kRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Vector{};
    }
    for (int64_t t = 0; t < taps; ++t, a += kRows) {
      const T* panel = panels[t];
#pragma GCC unroll 2
      for (int64_t k = 0; k < depth; ++k, panel += kVectors * kLanes) {
        Vector b[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) {
          __builtin_prefetch(panel + (kAhead * kVectors + v) * kLanes);
          b[v] = *reinterpret_cast<const Unaligned*>(panel + v * kLanes);
        }
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
          const T value = a[r][k];
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) sum[r][v] += value * b[v];
        }
      }
    }
    Store(sum, add, out);
  }

  static inline __attribute__((always_inline)) void FromPacked(int64_t depth, const T* a,
                                                               const T* panel, bool add,
                                                               T* const* out) {
    Vector sum[kRows][kVectors];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Vector{};
    }
#pragma GCC unroll 2
    for (int64_t k = 0; k < depth; ++k, a += kRows, panel += kVectors * kLanes) {
      Vector b[kVectors];
      __builtin_prefetch(a + kAhead * kRows);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        __builtin_prefetch(panel + (kAhead * kVectors + v) * kLanes);
        b[v] = *reinterpret_cast<const Unaligned*>(panel + v * kLanes);
      }
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const T value = a[r];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) sum[r][v] += value * b[v];
      }
    }
    Store(sum, add, out);
  }

  template <int kCount>
  static inline __attribute__((always_inline)) void Pack(int64_t count, const T* from,
                                                         int64_t stride, T* to) {
    for (int64_t i = 0; i < count; ++i, from += stride, to += kCount) {
      __builtin_prefetch(from + kAhead * stride);
      __builtin_prefetch(from + kAhead * stride + kCount - 1);
      // Of known length: a few vector moves.
      __builtin_memcpy(to, from, kCount * sizeof(T));
    }
  }

  static inline __attribute__((always_inline)) void Store(const Vector (&sum)[kRows][kVectors],
                                                          bool add, T* const* out) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        Unaligned* const to = reinterpret_cast<Unaligned*>(out[r] + v * kLanes);
        *to = add ? *to + sum[r][v] : sum[r][v];
      }
    }
  }
};

// Kernels of one instruction set, with the attributes that make the compiler use it.
// clang-format off
#define GANNET_TILE_KERNELS(Name, attributes, bytes, tile_rows, vectors)                          \
  template <typename T>                                                                           \
  struct Name {                                                                                   \
    using TileOf = Tile<T, bytes, tile_rows, vectors>;                                            \
    attributes static void FromRows(int64_t taps, int64_t depth, const T* const* a,               \
                                    const T* const* panels, bool add, T* const* out) {            \
      TileOf::FromRows(taps, depth, a, panels, add, out);                                         \
    }                                                                                             \
    attributes static void FromPacked(int64_t depth, const T* a, const T* panel, bool add,        \
                                      T* const* out) {                                            \
      TileOf::FromPacked(depth, a, panel, add, out);                                              \
    }                                                                                             \
    attributes static void PackPanel(int64_t count, const T* from, int64_t stride, T* panel) {    \
      TileOf::template Pack<vectors * TileOf::kLanes>(count, from, stride, panel);                \
    }                                                                                             \
    attributes static void PackRows(int64_t count, const T* from, int64_t stride, T* a) {         \
      TileOf::template Pack<tile_rows>(count, from, stride, a);                                   \
    }                                                                                             \
    static TileKernels<T> Get() {                                                                 \
      return {tile_rows, vectors * TileOf::kLanes, FromRows, FromPacked, PackPanel, PackRows};    \
    }                                                                                             \
  };
// clang-format on

#if defined(__x86_64__)
// 24 of 32 registers hold sums; 12 of 16.
GANNET_TILE_KERNELS(Avx512, __attribute__((target("avx512f,avx512vl,fma"))), 64, 12, 2)
GANNET_TILE_KERNELS(Avx2, __attribute__((target("avx2,fma"))), 32, 6, 2)
#endif
// Whatever the compiler makes of it: SSE2, NEON.
GANNET_TILE_KERNELS(Portable, , 16, 4, 2)
#undef GANNET_TILE_KERNELS

template <typename T>
TileKernels<T> Choose() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
    return Avx512<T>::Get();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Avx2<T>::Get();
#endif
  return Portable<T>::Get();
}

}  // namespace

template <typename T>
const TileKernels<T>& GetTileKernels() {
  static const TileKernels<T> kernels = Choose<T>();
  return kernels;
}

template const TileKernels<float>& GetTileKernels<float>();
template const TileKernels<double>& GetTileKernels<double>();

}  // namespace gannet::gan
