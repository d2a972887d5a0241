#include "libs/gan/testing/compute_bound.h"

#include <ATen/ops/mm.h>
#include <ATen/ops/rand.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "libs/gan/compute.h"
#include "libs/gan/engines/dcgan.h"
#include "libs/gan/kernels/convolution.h"
#include "libs/gan/kernels/strided_convolution.h"

namespace gannet::gan {
namespace {

constexpr int64_t kKernel = 4;
constexpr double kKernelArea = 16;
constexpr int64_t kProductSide = 2048;
// Fewer do not fill a vector: images.
constexpr int64_t kVectorChannels = 16;

// Of one application of the layer to one image, in either direction or for the gradient.
double LayerFlops(const Layer& layer) {
  // The side with the fewer pixels has one 4 x 4 window per pixel.
  const double windows = static_cast<double>(std::min(layer.in_side, layer.out_side)) *
                         static_cast<double>(std::min(layer.in_side, layer.out_side));
  return 2 * windows * kKernelArea * static_cast<double>(layer.in_channels) *
         static_cast<double>(layer.out_channels);
}

// The share of these operations whose input is inside the image: of 4 `side` taps along an axis two
// reach into the padding. The others need not be done, and are not: a rate that counted them would
// be that of nothing.
double InsideShare(int64_t side) {
  const double axis = 1 - 2.0 / (static_cast<double>(kKernel) * static_cast<double>(side));
  return axis * axis;
}

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of one call, the best of `repeats` measurements that last `sample_seconds`.
double BestSeconds(int repeats, double sample_seconds, const std::function<void()>& compute) {
  compute();  // arranges weights, builds oneDNN's kernels
  const int calls = std::max(1, static_cast<int>(std::lround(sample_seconds / Seconds(compute))));
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeats; ++i) {
    best = std::min(best, Seconds([&] {
                            for (int call = 0; call < calls; ++call) compute();
                          }) / calls);
  }
  return best;
}

at::Tensor RandomNhwc(int64_t count, int64_t channels, int64_t side) {
  return at::rand({count, channels, side, side}, at::kFloat)
      .contiguous(at::MemoryFormat::ChannelsLast);
}

class Race {
 public:
  Race(int images, int repeats, double sample_seconds)
      : images_(images), repeats_(repeats), sample_seconds_(sample_seconds) {}

  void Enter(const char* name, double flops, const std::function<void()>& compute) {
    const double rate = flops / BestSeconds(repeats_, sample_seconds_, compute);
    if (rate > fastest_.flops_per_second) fastest_ = {rate, name};
  }

  // The three computations of a convolution that halves `side`.
  void EnterLayer(const Layer& layer, int64_t wide_channels, int64_t narrow_channels,
                  int64_t side) {
    const at::Tensor wide = RandomNhwc(images_, wide_channels, side);
    const at::Tensor narrow = RandomNhwc(images_, narrow_channels, side / 2);
    const at::Tensor values = RandomNhwc(narrow_channels, wide_channels, 4);
    const double flops = LayerFlops(layer) * InsideShare(side / 2) * images_;
    if (wide_channels < kVectorChannels) {
      const ConvolutionWeight weight(values);
      Enter("convolution", flops, [&] { Convolve(wide, weight); });
      Enter("transposed convolution", flops, [&] { ConvolveTransposed(narrow, weight); });
      Enter("gradient by a weight", flops,
            [&] { ConvolutionWeightGradient(narrow, wide, weight); });
      return;
    }
    // Those that do every product, not those that do with fewer: a rate of the processor is wanted.
    const StridedWeight<float> weight(wide_channels, narrow_channels, values.data_ptr<float>());
    Enter("convolution", flops, [&] {
      StridedConvolve(images_, side / 2, wide.data_ptr<float>(), weight, narrow.data_ptr<float>());
    });
    Enter("transposed convolution", flops, [&] {
      StridedConvolveTransposed(images_, side / 2, narrow.data_ptr<float>(), weight,
                                wide.data_ptr<float>());
    });
    Enter("gradient by a weight", flops, [&] {
      StridedWeightGradient<float>({.images = images_,
                                    .side = side / 2,
                                    .wide_channels = wide_channels,
                                    .narrow_channels = narrow_channels},
                                   narrow.data_ptr<float>(), wide.data_ptr<float>(),
                                   values.data_ptr<float>());
    });
  }

  ComputeRate fastest() const { return fastest_; }

 private:
  const int images_;
  const int repeats_;
  const double sample_seconds_;
  ComputeRate fastest_;
};

}  // namespace

double StepFlopsPerImage(const domain::ModelConfig& model) {
  double flops = 0;
  const std::vector<Layer> generator = GeneratorLayers(model);
  for (size_t i = 0; i < generator.size(); ++i) {
    // Forward, gradient by the weight, and by the input where that is no latent vector.
    flops += (i == 0 ? 2 : 3) * LayerFlops(generator[i]);
  }
  const std::vector<Layer> discriminator = DiscriminatorLayers(model);
  for (size_t i = 0; i < discriminator.size(); ++i) {
    // Forward and gradient by the weight for real and fake; by the input for three losses, of
    // which only the generator's needs that by the images.
    flops += (i == 0 ? 5 : 7) * LayerFlops(discriminator[i]);
  }
  return flops;
}

ComputeRate FastestComputation(const domain::ModelConfig& model, int micro_batch, int repeats,
                               double sample_seconds) {
  PrepareComputeThread();
  Race race(2 * micro_batch, repeats, sample_seconds);
  {
    const at::Tensor a = at::rand({kProductSide, kProductSide}, at::kFloat);
    const at::Tensor b = at::rand({kProductSide, kProductSide}, at::kFloat);
    const double side = static_cast<double>(kProductSide);
    race.Enter("product", 2 * side * side * side, [&] { at::mm(a, b); });
  }
  // The generator's are the same convolutions with the roles changed, but for its last layer's.
  for (const Layer& layer : DiscriminatorLayers(model)) {
    if (layer.out_side == 1) continue;
    race.EnterLayer(layer, layer.in_channels, layer.out_channels, layer.in_side);
  }
  return race.fastest();
}

}  // namespace gannet::gan
