#include "libs/gan/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "libs/base/check.h"
#include "libs/gan/kernels/profile.h"
#include "libs/gan/kernels/target_clones.h"

namespace gannet::gan {
namespace {

// 8,192 floats are 32 KiB: a block of one array stays in the first-level cache while it is read
// twice.
constexpr int64_t kBlockFloats = 8192;

int64_t RowsPerBlock(int64_t channels) { return std::max<int64_t>(8, kBlockFloats / channels); }

int64_t BlockCount(int64_t rows, int64_t rows_per_block) {
  return (rows + rows_per_block - 1) / rows_per_block;
}

// Below this many floats a parallel region costs more than it saves.
constexpr int64_t kParallelFloats = 32768;

// Calls body(block) for every block, on OpenMP's threads when `floats` makes it worth while.
template <typename Body>
void ForEachBlock(int64_t blocks, int64_t floats, const Body& body) {
#pragma omp parallel for schedule(static) if (floats >= kParallelFloats && blocks > 1)
  for (int64_t block = 0; block < blocks; ++block) body(block);
}

// Calls body(begin, count) for pieces of `count` floats.
template <typename Body>
void ForEachPiece(int64_t count, const Body& body) {
  ForEachBlock(BlockCount(count, kBlockFloats), count, [&](int64_t block) {
    const int64_t begin = block * kBlockFloats;
    body(begin, std::min(kBlockFloats, count - begin));
  });
}

// Mean of each column, then the sum of squared deviations from it.
GANNET_TARGET_CLONES void BlockMoments(const float* x, int64_t rows, int64_t channels,
                                       float* __restrict mean, float* __restrict squares) {
  for (int64_t c = 0; c < channels; ++c) mean[c] = squares[c] = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * channels;
    for (int64_t c = 0; c < channels; ++c) mean[c] += row[c];
  }
  const float scale = 1.0f / static_cast<float>(rows);
  for (int64_t c = 0; c < channels; ++c) mean[c] *= scale;
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float deviation = row[c] - mean[c];
      squares[c] += deviation * deviation;
    }
  }
}

GANNET_TARGET_CLONES void BlockNormalizeActivate(const float* x, float* y, int64_t rows,
                                                 int64_t channels, const float* __restrict mean,
                                                 const float* __restrict scale,
                                                 const float* __restrict beta, float slope) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* in = x + r * channels;
    float* out = y + r * channels;
    GANNET_INDEPENDENT_ITERATIONS
    for (int64_t c = 0; c < channels; ++c) {
      const float value = (in[c] - mean[c]) * scale[c] + beta[c];
      out[c] = value > 0 ? value : slope * value;
    }
  }
}

// Sums of the gradient behind the activation, and of that times the centred input.
GANNET_TARGET_CLONES void BlockBackwardSums(const float* x, const float* gradient, int64_t rows,
                                            int64_t channels, const float* __restrict mean,
                                            const float* __restrict scale,
                                            const float* __restrict beta, float slope,
                                            float* __restrict sum, float* __restrict product) {
  for (int64_t c = 0; c < channels; ++c) sum[c] = product[c] = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const float* in = x + r * channels;
    const float* out = gradient + r * channels;
    for (int64_t c = 0; c < channels; ++c) {
      const float centred = in[c] - mean[c];
      // The same expression as in the forward pass, so that the sign is the same.
      const float value = centred * scale[c] + beta[c];
      const float g = value > 0 ? out[c] : slope * out[c];
      sum[c] += g;
      product[c] += g * centred;
    }
  }
}

// gradient = scale (g - offset - centred x factor)
GANNET_TARGET_CLONES void BlockBackward(const float* x, float* gradient, int64_t rows,
                                        int64_t channels, const float* __restrict mean,
                                        const float* __restrict scale, const float* __restrict beta,
                                        float slope, const float* __restrict offset,
                                        const float* __restrict factor) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* in = x + r * channels;
    float* out = gradient + r * channels;
    GANNET_INDEPENDENT_ITERATIONS
    for (int64_t c = 0; c < channels; ++c) {
      const float centred = in[c] - mean[c];
      const float value = centred * scale[c] + beta[c];
      const float g = value > 0 ? out[c] : slope * out[c];
      out[c] = scale[c] * (g - offset[c] - centred * factor[c]);
    }
  }
}

GANNET_TARGET_CLONES void PieceLeakyRelu(float* x, int64_t count, float slope) {
  for (int64_t i = 0; i < count; ++i) x[i] = x[i] > 0 ? x[i] : slope * x[i];
}

GANNET_TARGET_CLONES void PieceLeakyReluBackward(const float* __restrict y,
                                                 float* __restrict gradient, int64_t count,
                                                 float slope) {
  for (int64_t i = 0; i < count; ++i) gradient[i] *= y[i] > 0 ? 1.0f : slope;
}

GANNET_TARGET_CLONES void PieceTanhBackward(const float* __restrict y, float* __restrict gradient,
                                            int64_t count) {
  for (int64_t i = 0; i < count; ++i) gradient[i] *= 1.0f - y[i] * y[i];
}

// Input pixel (y, x) reaches output rows 2y - 1 .. 2y + 2 and as many columns.
GANNET_TARGET_CLONES void ImageAddTaps(const float* taps, float* out, int64_t side,
                                       int64_t channels) {
  const int64_t out_row = 2 * side * channels;
  const int64_t tap_row = 4 * channels;
  std::fill(out, out + 2 * side * out_row, 0.0f);
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t ky = 0; ky < 4; ++ky) {
      const int64_t row = 2 * y - 1 + ky;
      if (row < 0 || row >= 2 * side) continue;
      for (int64_t x = 0; x < side; ++x) {
        const float* from = taps + ((y * side + x) * 4 + ky) * tap_row;
        // The first and the last column of taps of the outermost pixels fall into the padding.
        const int64_t begin = x == 0 ? channels : 0;
        const int64_t end = x == side - 1 ? 3 * channels : tap_row;
        float* to = out + row * out_row + (2 * x - 1) * channels;
        for (int64_t i = begin; i < end; ++i) to[i] += from[i];
      }
    }
  }
}

std::vector<float> Scales(const NormalizedActivation& layer) {
  std::vector<float> scale(static_cast<size_t>(layer.channels));
  for (size_t c = 0; c < scale.size(); ++c) scale[c] = layer.gamma[c] * layer.inverse_std[c];
  return scale;
}

}  // namespace

void BatchStatistics(const float* x, int64_t rows, int64_t channels, double epsilon, float* mean,
                     float* inverse_std, float* unbiased_variance) {
  const ProfileScope scope("batch statistics", {.images = rows, .channels_in = channels}, 0);
  GANNET_CHECK(rows >= 2);
  const int64_t rows_per_block = RowsPerBlock(channels);
  const int64_t blocks = BlockCount(rows, rows_per_block);
  std::vector<float> moments(static_cast<size_t>(blocks * 2 * channels));
  ForEachBlock(blocks, rows * channels, [&](int64_t block) {
    const int64_t begin = block * rows_per_block;
    float* out = moments.data() + block * 2 * channels;
    BlockMoments(x + begin * channels, std::min(rows_per_block, rows - begin), channels, out,
                 out + channels);
  });

  // Joins the blocks in order (Chan, Golub and LeVeque 1979): free of the cancellation of a plain
  // sum of squares.
  std::vector<double> total_mean(static_cast<size_t>(channels)), total_squares(total_mean.size());
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = block * rows_per_block;
    const double before = static_cast<double>(begin);
    const double count = static_cast<double>(std::min(rows_per_block, rows - begin));
    const double share = count / (before + count);
    const float* block_mean = moments.data() + block * 2 * channels;
    const float* block_squares = block_mean + channels;
    for (size_t c = 0; c < total_mean.size(); ++c) {
      const double delta = block_mean[c] - total_mean[c];
      total_mean[c] += delta * share;
      total_squares[c] += block_squares[c] + delta * delta * before * share;
    }
  }
  for (size_t c = 0; c < total_mean.size(); ++c) {
    const double n = static_cast<double>(rows);
    mean[c] = static_cast<float>(total_mean[c]);
    inverse_std[c] = static_cast<float>(1.0 / std::sqrt(total_squares[c] / n + epsilon));
    unbiased_variance[c] = static_cast<float>(total_squares[c] / (n - 1));
  }
}

void NormalizeActivate(const NormalizedActivation& layer, const float* x, float* y, int64_t rows) {
  const ProfileScope scope("normalize", {.images = rows, .channels_in = layer.channels}, 0);
  const int64_t rows_per_block = RowsPerBlock(layer.channels);
  const std::vector<float> scale = Scales(layer);
  ForEachBlock(BlockCount(rows, rows_per_block), rows * layer.channels, [&](int64_t block) {
    const int64_t begin = block * rows_per_block;
    BlockNormalizeActivate(x + begin * layer.channels, y + begin * layer.channels,
                           std::min(rows_per_block, rows - begin), layer.channels, layer.mean,
                           scale.data(), layer.beta, layer.slope);
  });
}

void NormalizeActivateBackward(const NormalizedActivation& layer, const float* x, float* gradient,
                               int64_t rows, double* gamma_gradient, double* beta_gradient) {
  const ProfileScope scope("normalize backward", {.images = rows, .channels_in = layer.channels},
                           0);
  const int64_t channels = layer.channels;
  const int64_t rows_per_block = RowsPerBlock(channels);
  const int64_t blocks = BlockCount(rows, rows_per_block);
  const std::vector<float> scale = Scales(layer);
  std::vector<float> sums(static_cast<size_t>(blocks * 2 * channels));
  ForEachBlock(blocks, rows * channels, [&](int64_t block) {
    const int64_t begin = block * rows_per_block;
    float* out = sums.data() + block * 2 * channels;
    BlockBackwardSums(x + begin * channels, gradient + begin * channels,
                      std::min(rows_per_block, rows - begin), channels, layer.mean, scale.data(),
                      layer.beta, layer.slope, out, out + channels);
  });

  std::vector<double> total(static_cast<size_t>(channels)), total_product(total.size());
  for (int64_t block = 0; block < blocks; ++block) {
    const float* sum = sums.data() + block * 2 * channels;
    const float* product = sum + channels;
    for (size_t c = 0; c < total.size(); ++c) {
      total[c] += sum[c];
      total_product[c] += product[c];
    }
  }
  // With h = (x - mean) inverse_std:  dx = scale (g - mean(g) - h mean(g h)).
  std::vector<float> offset(total.size()), factor(total.size());
  for (size_t c = 0; c < total.size(); ++c) {
    const double n = static_cast<double>(rows);
    const double inverse_std = layer.inverse_std[c];
    offset[c] = static_cast<float>(total[c] / n);
    factor[c] = static_cast<float>(total_product[c] / n * inverse_std * inverse_std);
    if (beta_gradient != nullptr) beta_gradient[c] += total[c];
    if (gamma_gradient != nullptr) gamma_gradient[c] += total_product[c] * inverse_std;
  }
  ForEachBlock(blocks, rows * channels, [&](int64_t block) {
    const int64_t begin = block * rows_per_block;
    BlockBackward(x + begin * channels, gradient + begin * channels,
                  std::min(rows_per_block, rows - begin), channels, layer.mean, scale.data(),
                  layer.beta, layer.slope, offset.data(), factor.data());
  });
}

void LeakyRelu(float* x, int64_t count, float slope) {
  const ProfileScope scope("leaky relu", {.images = count, .channels_in = 1}, 0);
  ForEachPiece(count, [&](int64_t begin, int64_t n) { PieceLeakyRelu(x + begin, n, slope); });
}

void LeakyReluBackward(const float* y, float* gradient, int64_t count, float slope) {
  const ProfileScope scope("leaky relu backward", {.images = count, .channels_in = 1}, 0);
  ForEachPiece(count, [&](int64_t begin, int64_t n) {
    PieceLeakyReluBackward(y + begin, gradient + begin, n, slope);
  });
}

void TanhBackward(const float* y, float* gradient, int64_t count) {
  const ProfileScope scope("tanh backward", {.images = count, .channels_in = 1}, 0);
  ForEachPiece(
      count, [&](int64_t begin, int64_t n) { PieceTanhBackward(y + begin, gradient + begin, n); });
}

void AddTaps(const float* taps, float* out, int64_t images, int64_t side, int64_t channels) {
  const int64_t taps_per_image = side * side * 16 * channels;
  const int64_t out_per_image = 4 * side * side * channels;
  ForEachBlock(images, images * taps_per_image, [&](int64_t image) {
    ImageAddTaps(taps + image * taps_per_image, out + image * out_per_image, side, channels);
  });
}

void PlanarToInterleaved(const float* planar, float* interleaved, int64_t channels,
                         int64_t pixels) {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p) interleaved[p * channels + c] = planar[c * pixels + p];
  }
}

void InterleavedToPlanar(const float* interleaved, float* planar, int64_t channels,
                         int64_t pixels) {
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p) planar[c * pixels + p] = interleaved[p * channels + c];
  }
}

}  // namespace gannet::gan
