#pragma once

#include "libs/domain/run_config.h"

// How fast a training step could be on this machine with every product of its convolutions done: at
// the fastest rate that anything like them reaches here. For the benchmark. Minimal filtering
// (winograd_convolution.h) does with fewer products and may be faster.

namespace gannet::gan {

// Floating-point operations (a multiplication and an addition are two) of one training step per
// real image, in its convolutions alone. Counted with everything shared that can be: one generator
// pass, D(real) and D(fake) once, the input gradient of three losses through the discriminator, no
// gradient by the real images; products with the padding included, as everybody counts them. 2.09e9
// for the default model.
double StepFlopsPerImage(const domain::ModelConfig& model);

// Which computation was the fastest, and its rate.
struct ComputeRate {
  double flops_per_second = 0;
  const char* name = "";  // "product" or a part of the network
};

// The fastest rate seen of a 2048 x 2048 product and of each strided convolution of the networks
// (forward, transposed, gradient by the weight) run alone on `micro_batch` images, the best of
// `repeats` measurements each, which last `sample_seconds`: as long as a training step, since a
// processor is faster for an instant than for long. Rates count operations that are done: not
// products with the padding. With the threads of ConfigureCompute.
ComputeRate FastestComputation(const domain::ModelConfig& model, int micro_batch, int repeats,
                               double sample_seconds);

}  // namespace gannet::gan
