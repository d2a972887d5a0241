#include "libs/gan/kernels/winograd_transforms.h"

#include "libs/gan/kernels/target_clones.h"

namespace gannet::gan {
namespace {

// Each body is inlined into functions that are compiled for an instruction set.
#define GANNET_INLINE static inline __attribute__((always_inline))

template <typename T>
struct Body {
  GANNET_INLINE void Wide(int64_t count, const T* const* d, T* const* v) {
    const T *d0 = d[0], *d1 = d[1], *d2 = d[2], *d3 = d[3], *d4 = d[4], *d5 = d[5], *d6 = d[6],
            *d7 = d[7], *d8 = d[8];
    T *v0 = v[0], *v1 = v[1], *v2 = v[2], *v3 = v[3], *v4 = v[4], *v5 = v[5], *v6 = v[6],
      *v7 = v[7], *v8 = v[8];
    GANNET_INDEPENDENT_ITERATIONS
    for (int64_t c = 0; c < count; ++c) {
      const T above_left = d0[c] - d1[c], above = d1[c], above_right = d2[c] - d1[c];
      const T left = d3[c] - d4[c], middle = d4[c], right = d5[c] - d4[c];
      const T below_left = d6[c] - d7[c], below = d7[c], below_right = d8[c] - d7[c];
      v0[c] = above_left - left;
      v1[c] = above - middle;
      v2[c] = above_right - right;
      v3[c] = left;
      v4[c] = middle;
      v5[c] = right;
      v6[c] = below_left - left;
      v7[c] = below - middle;
      v8[c] = below_right - right;
    }
  }

  // From 2 x 2 to 3 x 3: G and A are the same matrix.
  GANNET_INLINE void Widen(int64_t count, const T* const* from, T* const* to) {
    const T *a = from[0], *b = from[1], *c = from[2], *d = from[3];
    T *t0 = to[0], *t1 = to[1], *t2 = to[2], *t3 = to[3], *t4 = to[4], *t5 = to[5], *t6 = to[6],
      *t7 = to[7], *t8 = to[8];
    GANNET_INDEPENDENT_ITERATIONS
    for (int64_t i = 0; i < count; ++i) {
      const T above = a[i] + b[i], below = c[i] + d[i];
      t0[i] = a[i];
      t1[i] = above;
      t2[i] = b[i];
      t3[i] = a[i] + c[i];
      t4[i] = above + below;
      t5[i] = b[i] + d[i];
      t6[i] = c[i];
      t7[i] = below;
      t8[i] = d[i];
    }
  }

  // From 3 x 3 to 2 x 2: its transpose.
  GANNET_INLINE void Narrow(int64_t count, const T* const* from, T* const* to) {
    const T *f0 = from[0], *f1 = from[1], *f2 = from[2], *f3 = from[3], *f4 = from[4],
            *f5 = from[5], *f6 = from[6], *f7 = from[7], *f8 = from[8];
    T *a = to[0], *b = to[1], *c = to[2], *d = to[3];
    GANNET_INDEPENDENT_ITERATIONS
    for (int64_t i = 0; i < count; ++i) {
      const T left = f3[i] + f4[i], right = f4[i] + f5[i];
      a[i] = (f0[i] + f1[i]) + left;
      b[i] = (f1[i] + f2[i]) + right;
      c[i] = left + (f6[i] + f7[i]);
      d[i] = right + (f7[i] + f8[i]);
    }
  }

  GANNET_INLINE void ToWide(int64_t count, const T* const* v, T* const* d) {
    const T *v0 = v[0], *v1 = v[1], *v2 = v[2], *v3 = v[3], *v4 = v[4], *v5 = v[5], *v6 = v[6],
            *v7 = v[7], *v8 = v[8];
    const T *left0 = v[9], *left1 = v[10], *left2 = v[11], *above0 = v[12], *above1 = v[13],
            *above2 = v[14], *corner = v[15];
    T *d0 = d[0], *d1 = d[1], *d2 = d[2], *d3 = d[3];
    GANNET_INDEPENDENT_ITERATIONS
    for (int64_t c = 0; c < count; ++c) {
      const T row0 = v1[c] - v0[c] - v2[c], row1 = v4[c] - v3[c] - v5[c],
              row2 = v7[c] - v6[c] - v8[c];
      d0[c] = (v0[c] + left0[c]) + (above0[c] + corner[c]);
      d1[c] = row0 + (above1[c] - above0[c] - above2[c]);
      d2[c] = (v3[c] - v0[c] - v6[c]) + (left1[c] - left0[c] - left2[c]);
      d3[c] = row1 - row0 - row2;
    }
  }
};

#undef GANNET_INLINE

}  // namespace

#define GANNET_TRANSFORM(T, Name, Which)                                                         \
  GANNET_TARGET_CLONES static void Name##Of(int64_t count, const T* const* from, T* const* to) { \
    Body<T>::Which(count, from, to);                                                             \
  }                                                                                              \
  template <>                                                                                    \
  void WinogradTransforms<T>::Name(int64_t count, const T* const* from, T* const* to) {          \
    Name##Of(count, from, to);                                                                   \
  }
#define GANNET_TRANSFORMS(T)            \
  GANNET_TRANSFORM(T, Wide, Wide)       \
  GANNET_TRANSFORM(T, Weight, Widen)    \
  GANNET_TRANSFORM(T, ToNarrow, Narrow) \
  GANNET_TRANSFORM(T, Narrow, Widen)    \
  GANNET_TRANSFORM(T, ToWide, ToWide)   \
  GANNET_TRANSFORM(T, ToWeight, Narrow)
GANNET_TRANSFORMS(float)
GANNET_TRANSFORMS(double)
#undef GANNET_TRANSFORMS
#undef GANNET_TRANSFORM

}  // namespace gannet::gan
