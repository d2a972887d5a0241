#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include <chrono>
#include <future>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"
#include "libs/domain/dcgan_layout.h"
#include "libs/domain/round_plan.h"
#include "libs/gan/compute.h"
#include "libs/gan/dcgan.h"
#include "libs/gan/gan.h"
#include "libs/gan/kernels.h"

namespace gannet {
namespace {

// A stream of noise is named by round and by slot and position together: 12 bits of slot above 20
// bits of position.
constexpr int kPositionBits = 20;
constexpr int64_t kMaxRound = (int64_t{1} << 48) - 1;
constexpr int kMaxSlot = (1 << (32 - kPositionBits)) - 1;
constexpr int kMaxImages = 1 << kPositionBits;

absl::Status CheckTask(const UnitTask& task) {
  if (task.round < 0 || task.round > kMaxRound) {
    return absl::InvalidArgumentError(
        absl::StrCat("round out of range 0..", kMaxRound, ": got ", task.round));
  }
  if (task.slot < 0 || task.slot > kMaxSlot) {
    return absl::InvalidArgumentError(
        absl::StrCat("slot out of range 0..", kMaxSlot, ": got ", task.slot));
  }
  if (task.image_count < 1 || task.image_count > kMaxImages) {
    return absl::InvalidArgumentError(absl::StrCat("image count of a unit out of range 1..",
                                                   kMaxImages, ": got ", task.image_count));
  }
  if (task.micro_batch < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("micro-batch must be at least 1: got ", task.micro_batch));
  }
  if (!task.read_image) return absl::InvalidArgumentError("read_image is not set");
  return absl::OkStatus();
}

// Intervals only: how long the computation took decides nothing.
class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Real images in the first half of `images`, once `read` says so; the second is for the generated
// ones. Destroying it waits for the reading.
struct MicroBatch {
  at::Tensor images;
  std::future<absl::Status> read;
};

class CpuGradientComputer final : public GradientComputer {
 public:
  explicit CpuGradientComputer(const ModelConfig& model)
      : model_(model),
        pixels_(int64_t{model.image_size} * model.image_size),
        planar_(static_cast<size_t>(3 * pixels_)) {}

  absl::Status SetWeights(const TensorBundle& weights) override {
    GANNET_RETURN_IF_ERROR(weights.CheckSpec(WeightsSpec(model_)));
    GANNET_RETURN_IF_ERROR(weights.CheckFinite());
    gan::PrepareComputeThread();
    const c10::InferenceMode inference;
    try {
      networks_.reset();
      networks_.emplace(model_, weights);
    } catch (...) {
      networks_.reset();
      return gan::StatusFromException("taking over weights");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<UnitGradient> Compute(const UnitTask& task) override {
    if (!networks_) return absl::FailedPreconditionError("no weights: call SetWeights first");
    GANNET_RETURN_IF_ERROR(CheckTask(task));
    gan::PrepareComputeThread();
    const c10::InferenceMode inference;
    try {
      return ComputeChecked(task);
    } catch (...) {
      return gan::StatusFromException("computing a gradient");
    }
  }

 private:
  absl::StatusOr<UnitGradient> ComputeChecked(const UnitTask& task) {
    const Stopwatch total;
    UnitGradient result;
    gan::UnitSums sums = networks_->MakeSums();
    const std::vector<int> counts = MicroBatchSizes(task.image_count, task.micro_batch);
    int position = 0;
    MicroBatch next = StartReading(task, position, counts.front());
    for (size_t i = 0; i < counts.size(); ++i) {
      if (task.cancelled != nullptr && task.cancelled->load(std::memory_order_relaxed)) {
        return absl::CancelledError(
            absl::StrCat("cancelled after ", result.micro_batch_count, " micro-batches"));
      }
      const int count = counts[i];
      const Stopwatch waiting;
      GANNET_RETURN_IF_ERROR(next.read.get());
      result.data_seconds += waiting.Seconds();
      at::Tensor images = std::move(next.images);
      if (i + 1 < counts.size()) next = StartReading(task, position + count, counts[i + 1]);
      networks_->AddGradient(DrawNoise(task, position, count), task.real_label, task.image_count,
                             images, sums);
      position += count;
      ++result.micro_batch_count;
      if (task.on_progress) task.on_progress(result.micro_batch_count);
    }

    result.gradient = networks_->ToGradient(sums, task.image_count);
    if (const absl::Status finite = result.gradient.CheckFinite(); !finite.ok()) {
      return absl::InternalError(
          absl::StrCat("the gradient is not finite, the run has diverged: ", finite.message()));
    }
    const double images = task.image_count;
    result.discriminator_loss = sums.discriminator_loss / images;
    result.generator_loss = sums.generator_loss / images;
    result.real_accuracy = static_cast<double>(sums.real_correct) / images;
    result.fake_accuracy = static_cast<double>(sums.fake_correct) / images;
    result.compute_seconds = total.Seconds() - result.data_seconds;
    return result;
  }

  // Reads a micro-batch from a thread of its own, so that it is there when the one before has been
  // computed. One at a time.
  MicroBatch StartReading(const UnitTask& task, int position, int count) {
    MicroBatch batch;
    batch.images =
        at::empty({2 * count, 3, model_.image_size, model_.image_size},
                  at::TensorOptions(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast));
    float* const out = batch.images.data_ptr<float>();
    batch.read = std::async(std::launch::async, [this, &task, position, count, out] {
      return ReadImages(task, position, count, out);
    });
    return batch;
  }

  absl::Status ReadImages(const UnitTask& task, int position, int count, float* interleaved) {
    for (int i = 0; i < count; ++i) {
      GANNET_RETURN_IF_ERROR(task.read_image(position + i, absl::MakeSpan(planar_)));
      gan::PlanarToInterleaved(planar_.data(), interleaved + i * 3 * pixels_, 3, pixels_);
    }
    return absl::OkStatus();
  }

  at::Tensor DrawNoise(const UnitTask& task, int position, int count) const {
    at::Tensor latent = at::empty({count, model_.latent_dim}, at::kFloat);
    const size_t dim = static_cast<size_t>(model_.latent_dim);
    for (int i = 0; i < count; ++i) {
      const uint64_t slot_and_position =
          static_cast<uint64_t>(task.slot) << kPositionBits | static_cast<uint64_t>(position + i);
      PhiloxStream stream(task.seed, RandomPurpose::kNoise, static_cast<uint64_t>(task.round),
                          slot_and_position);
      FillNormal(stream,
                 absl::MakeSpan(latent.data_ptr<float>() + static_cast<size_t>(i) * dim, dim));
    }
    return latent;
  }

  const ModelConfig model_;
  const int64_t pixels_;
  std::vector<float> planar_;
  std::optional<gan::Dcgan> networks_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GradientComputer>> MakeGradientComputer(const ModelConfig& model) {
  GANNET_RETURN_IF_ERROR(gan::CheckModel(model));
  return std::make_unique<CpuGradientComputer>(model);
}

}  // namespace gannet
