#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "libs/domain/run_config.h"
#include "libs/tensor/tensor_bundle.h"

// Training step, optimizer and sampling. No header of this library includes torch.

namespace gannet::gan {

// Sets the threads of OpenMP for this process, one of BLAS (they oversubscribe each other
// otherwise), and malloc (TuneMalloc). Call first in main.
void ConfigureCompute(int threads);

// "LibTorch 1.13.1, OpenBLAS, 2 threads", for logs; and whether the BLAS is the slow reference one.
struct ComputeDescription {
  std::string text;
  bool reference_blas = false;
};
ComputeDescription DescribeCompute();

// Weights of version 0: convolutions N(0, 0.02), BatchNorm gamma N(1, 0.02), beta 0, from the
// Philox streams (seed, kWeights, i, 0) with i = the tensor's place in ParameterSpec. Layout
// WeightsSpec.
tensor::TensorBundle InitialWeights(const domain::ModelConfig& model, uint64_t seed);

// Adam's zero state. Layout AdamStateSpec. The generator's average, if one is kept, begins as the
// parameters in `weights` (layout WeightsSpec).
tensor::TensorBundle InitialAdamState(const domain::ModelConfig& model,
                                      const domain::AdamConfig& adam,
                                      const tensor::TensorBundle& weights);

// What to compute the gradient of. The noise of image `position` is the stream (seed, kNoise,
// round, slot << 20 | position), whatever the micro-batch and the attempt: a round is below 2^48, a
// slot below 4,096, a position below 2^20.
struct UnitTask {
  int64_t round = 0;
  int slot = 0;
  uint64_t seed = 0;
  int micro_batch = 32;
  domain::ObjectiveConfig objective;
  int image_count = 0;
  // More than 1: the images are cut into so many parts, in order, each a step of Adam for both
  // networks (libs/gan/local_steps.h), and the gradient is how far the parameters have moved. Then
  // image_count is a multiple of local_steps x micro_batch, and `start` the weights that SetWeights
  // was given, which outlive the call.
  int local_steps = 1;
  domain::AdamConfig local_adam = {};
  const tensor::TensorBundle* start = nullptr;
  // Writes image `position` (0 .. image_count-1 of the unit) as 3 x size x size floats in [-1, 1].
  // An error ends the computation with that status. Called from threads that read a micro-batch
  // ahead: in order and one call at a time when data_threads is 1, otherwise side by side.
  std::function<absl::Status(int position, absl::Span<float> out)> read_image;
  int data_threads = 1;
  // Called after each micro-batch with the number done. May be empty.
  std::function<void(int done)> on_progress;
  // When it turns true the computation ends with CANCELLED at the next micro-batch. May be null.
  const std::atomic<bool>* cancelled = nullptr;
};

struct UnitGradient {
  tensor::TensorBundle gradient;  // layout GradientSpec
  int micro_batch_count = 0;
  double discriminator_loss = 0;
  double generator_loss = 0;
  double real_accuracy = 0;
  double fake_accuracy = 0;
  double compute_seconds = 0;  // without data_seconds
  double data_seconds = 0;     // waiting for read_image
};

// Computes gradients of both networks for one unit, at given weights (docs: "Training, exactly" in
// docs/training.md), or by how far several steps move them.
//
// Thread safety: none; one per worker. Ownership: keeps its own copy of the weights.
class GradientComputer {
 public:
  virtual ~GradientComputer() = default;

  // Takes weights of layout WeightsSpec; they stay until the next call. Buffers are reset before
  // every unit.
  //
  // Returns: INVALID_ARGUMENT - another layout, or a value that is not finite.
  virtual absl::Status SetWeights(const tensor::TensorBundle& weights) = 0;

  // Returns: CANCELLED; FAILED_PRECONDITION - no weights; INVALID_ARGUMENT - a number or name of
  // the task is out of range; RESOURCE_EXHAUSTED - not enough memory; INTERNAL - a diverged run:
  // the result is not finite, or a loss is above 10,000, naming round, slot and layer; what
  // read_image returned.
  virtual absl::StatusOr<UnitGradient> Compute(const UnitTask& task) = 0;
};

// By what, of what can compute these networks on a device. All but the first are there to compare
// with.
enum class ComputeEngine {
  kFastest,
  kOperations,  // LibTorch's operations instead of this library's kernels
  kAutograd,    // LibTorch's operations, and its autograd instead of a backward pass by hand
};

// Where gradients are computed.
struct ComputeDevice {
  std::string name = "cpu";        // "cpu", "cuda" or "cuda:1"
  std::string precision = "fp32";  // of convolutions on a GPU: "fp32", "tf32" or "bf16"
  ComputeEngine engine = ComputeEngine::kFastest;
};

// On the CPU. Returns: INVALID_ARGUMENT - a network this library cannot build.
absl::StatusOr<std::unique_ptr<GradientComputer>> MakeGradientComputer(
    const domain::ModelConfig& model);

// Whether one can compute there. Returns: INVALID_ARGUMENT - no such name or precision;
// FAILED_PRECONDITION - this LibTorch or this machine has no such device.
absl::Status CheckComputeDevice(const ComputeDevice& device);

// Returns: as both above.
absl::StatusOr<std::unique_ptr<GradientComputer>> MakeGradientComputerOn(
    const ComputeDevice& device, const domain::ModelConfig& model);

// One optimizer update, in place, given the round's gradient (layout GradientSpec, means already
// image-weighted over the round) and the round's micro-batches k: BatchNorm buffers pass by pass r'
// = (1-m)^k r + (1-(1-m)^k) s with m = 0.1, the counter adds k per pass; then Adam as PyTorch
// computes it (torch.optim.Adam, amsgrad off, no weight decay), each network at its own learning
// rate; then, if the generator's average is kept, a = d a + (1-d) p at update t with d =
// min(ema_decay, (1+t)/(10+t)), so that a young average forgets the initial weights.
// Deterministic: no thread count changes a bit.
//
// Returns: INVALID_ARGUMENT - a layout differs, or k < 1; then nothing has changed.
absl::Status ApplyRound(const domain::ModelConfig& model, const domain::AdamConfig& adam,
                        const tensor::TensorBundle& round_gradient, int64_t micro_batches,
                        tensor::TensorBundle& weights, tensor::TensorBundle& adam_state);

// The weights to draw samples from: `weights` with the generator's parameters replaced by their
// average, where `adam_state` (layout AdamStateSpec) has one. Buffers stay those of the generator.
tensor::TensorBundle AveragedWeights(const tensor::TensorBundle& weights,
                                     const tensor::TensorBundle& adam_state);

// Images in planar RGB, 3 x image_size x image_size floats in [-1, 1] each.
struct ImageBatch {
  int image_size = 0;
  std::vector<std::vector<float>> images;
};

// The images of a batch, one after the other.
std::vector<float> Flattened(const ImageBatch& batch);

enum class SampleMode { kEval, kBatchStatistics };

// A point of the latent space: latent_dim numbers.
using Latent = std::vector<float>;

// Point `index` of a seed: the noise stream (seed, kSampleNoise, 0, index). Standard normal.
Latent SampleLatent(const domain::ModelConfig& model, uint64_t seed, uint64_t index);

// Generates an image per point. kEval uses the running averages; kBatchStatistics those of this
// batch (for comparison).
//
// Returns: INVALID_ARGUMENT - another layout, or a point of another dimension; RESOURCE_EXHAUSTED -
// not enough memory.
absl::StatusOr<ImageBatch> GenerateImages(const domain::ModelConfig& model,
                                          const tensor::TensorBundle& weights,
                                          absl::Span<const Latent> latents,
                                          SampleMode mode = SampleMode::kEval);

// Generates `count` images, image i from SampleLatent(model, seed, i): the same faces at every
// version.
//
// Returns: as above; INVALID_ARGUMENT - a negative count.
absl::StatusOr<ImageBatch> GenerateImages(const domain::ModelConfig& model,
                                          const tensor::TensorBundle& weights, uint64_t seed,
                                          int count, SampleMode mode = SampleMode::kEval);

}  // namespace gannet::gan
