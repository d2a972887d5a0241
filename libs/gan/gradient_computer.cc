#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/philox.h"
#include "libs/base/status_macros.h"
#include "libs/domain/gradient_limits.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/round_plan.h"
#include "libs/gan/augment.h"
#include "libs/gan/compute.h"
#include "libs/gan/gan.h"
#include "libs/gan/kernels/kernels.h"
#include "libs/gan/local_steps.h"
#include "libs/gan/losses.h"
#include "libs/gan/networks.h"

namespace gannet::gan {
namespace {

// A stream of noise is named by round and by slot and position together: 12 bits of slot above 20
// bits of position.
constexpr int kPositionBits = 20;
constexpr int64_t kMaxRound = (int64_t{1} << 48) - 1;
constexpr int kMaxSlot = (1 << (32 - kPositionBits)) - 1;
constexpr int kMaxImages = 1 << kPositionBits;

constexpr int kMaxDataThreads = 256;

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
  if (task.data_threads < 1 || task.data_threads > kMaxDataThreads) {
    return absl::InvalidArgumentError(absl::StrCat("data threads out of range 1..", kMaxDataThreads,
                                                   ": got ", task.data_threads));
  }
  GANNET_RETURN_IF_ERROR(domain::ValidateObjective(task.objective));
  if (task.local_steps < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("local steps must be at least 1: got ", task.local_steps));
  }
  if (task.local_steps > 1) {
    if (task.start == nullptr) return absl::InvalidArgumentError("local steps need their start");
    if (int64_t{task.image_count} % (int64_t{task.local_steps} * task.micro_batch) != 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "with local steps the images of a unit must be a multiple of local_steps x micro_batch: "
          "got ",
          task.image_count, ", ", task.local_steps, " and ", task.micro_batch));
    }
  }
  if (!task.read_image) return absl::InvalidArgumentError("read_image is not set");
  return absl::OkStatus();
}

uint64_t SlotAndPosition(const UnitTask& task, int position) {
  return static_cast<uint64_t>(task.slot) << kPositionBits | static_cast<uint64_t>(position);
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

class NetworkGradientComputer final : public GradientComputer {
 public:
  NetworkGradientComputer(const domain::ModelConfig& model, std::unique_ptr<Networks> networks)
      : model_(model),
        networks_(std::move(networks)),
        pixels_(int64_t{model.image_size} * model.image_size) {}

  absl::Status SetWeights(const tensor::TensorBundle& weights) override {
    GANNET_RETURN_IF_ERROR(weights.CheckSpec(domain::WeightsSpec(model_)));
    GANNET_RETURN_IF_ERROR(weights.CheckFinite());
    PrepareComputeThread();
    const c10::InferenceMode inference;
    try {
      has_weights_ = false;
      networks_->SetWeights(weights);
      has_weights_ = true;
    } catch (...) {
      return StatusFromException("taking over weights");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<UnitGradient> Compute(const UnitTask& task) override {
    if (!has_weights_) return absl::FailedPreconditionError("no weights: call SetWeights first");
    GANNET_RETURN_IF_ERROR(CheckTask(task));
    PrepareComputeThread();
    const c10::InferenceMode inference;
    try {
      if (task.local_steps == 1) return ComputeChecked(task);
      // The networks move; an exception leaves them without weights.
      has_weights_ = false;
      absl::StatusOr<UnitGradient> result = ComputeChecked(task);
      networks_->SetWeights(*task.start);
      has_weights_ = true;
      return result;
    } catch (...) {
      return StatusFromException("computing a gradient");
    }
  }

 private:
  absl::StatusOr<UnitGradient> ComputeChecked(const UnitTask& task) {
    const Stopwatch total;
    UnitGradient result;
    const std::vector<int> counts = domain::MicroBatchSizes(task.image_count, task.micro_batch);
    const size_t counts_of_step = counts.size() / static_cast<size_t>(task.local_steps);
    std::optional<LocalSteps> local;
    if (task.local_steps > 1) local.emplace(model_, task.local_adam, *task.start);
    UnitTotals sums;
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
      if (i % counts_of_step == 0) networks_->BeginUnit();
      const auto augmentations = DrawAugmentations(task, position, count);
      networks_->Add(DrawNoise(task, position, count), ObjectiveOf(task, augmentations), images);
      position += count;
      ++result.micro_batch_count;
      if (task.on_progress) task.on_progress(result.micro_batch_count);
      if ((i + 1) % counts_of_step != 0) continue;

      result.gradient = networks_->Gradient(ImagesOfStep(task));
      if (const absl::Status finite = result.gradient.CheckFinite(); !finite.ok()) {
        const size_t first = i + 1 - counts_of_step;
        return Diverged(task, absl::MakeSpan(counts).subspan(first, counts_of_step),
                        position - ImagesOfStep(task), finite);
      }
      sums += networks_->Totals();
      if (!local.has_value()) continue;
      local->Step(result.gradient);
      // Not after the last step: there is nothing to compute at what it gives.
      if (i + 1 < counts.size()) networks_->SetWeights(local->weights());
    }

    if (local.has_value()) result.gradient = local->PseudoGradient();
    const double images = task.image_count;
    result.discriminator_loss = sums.discriminator_loss / images;
    result.generator_loss = sums.generator_loss / images;
    result.real_accuracy = static_cast<double>(sums.real_correct) / images;
    result.fake_accuracy = static_cast<double>(sums.fake_correct) / images;
    result.compute_seconds = total.Seconds() - result.data_seconds;
    GANNET_RETURN_IF_ERROR(CheckLosses(task, result));
    return result;
  }

  // Reads a micro-batch from a thread of its own, so that it is there when the one before has been
  // computed. One at a time.
  MicroBatch StartReading(const UnitTask& task, int position, int count) {
    MicroBatch batch;
    batch.images = networks_->NewHostBatch(count);
    float* const out = batch.images.data_ptr<float>();
    batch.read = std::async(std::launch::async, [this, &task, position, count, out] {
      return ReadImages(task, position, count, out);
    });
    return batch;
  }

  absl::Status ReadImages(const UnitTask& task, int position, int count, float* interleaved) const {
    const int threads = std::min(task.data_threads, count);
    if (threads == 1) return ReadEveryNth(task, position, count, 0, 1, interleaved);
    std::vector<std::future<absl::Status>> readers;
    for (int t = 0; t < threads; ++t) {
      readers.push_back(std::async(std::launch::async, [&, t] {
        return ReadEveryNth(task, position, count, t, threads, interleaved);
      }));
    }
    absl::Status status;
    for (std::future<absl::Status>& reader : readers) status.Update(reader.get());
    return status;
  }

  absl::Status ReadEveryNth(const UnitTask& task, int position, int count, int first, int step,
                            float* interleaved) const {
    std::vector<float> planar(static_cast<size_t>(3 * pixels_));
    for (int i = first; i < count; i += step) {
      GANNET_RETURN_IF_ERROR(task.read_image(position + i, absl::MakeSpan(planar)));
      if (task.objective.flip && VariationOf(task, position + i, {}).flip) {
        MirrorRows(absl::MakeSpan(planar));
      }
      PlanarToInterleaved(planar.data(), interleaved + int64_t{i} * 3 * pixels_, 3, pixels_);
    }
    return absl::OkStatus();
  }

  void MirrorRows(absl::Span<float> planar) const {
    const size_t side = static_cast<size_t>(model_.image_size);
    for (size_t row = 0; row < planar.size(); row += side) {
      std::reverse(planar.begin() + static_cast<std::ptrdiff_t>(row),
                   planar.begin() + static_cast<std::ptrdiff_t>(row + side));
    }
  }

  ImageVariation VariationOf(const UnitTask& task, int position,
                             const AugmentPolicy& policy) const {
    return DrawVariation(task.seed, static_cast<uint64_t>(task.round),
                         SlotAndPosition(task, position), task.objective.flip, policy,
                         model_.image_size);
  }

  // Of a micro-batch: the real images' first, then those of the generated ones.
  std::vector<ImageAugmentation> DrawAugmentations(const UnitTask& task, int position,
                                                   int count) const {
    const AugmentPolicy policy = ParseAugmentPolicy(task.objective.augment);
    std::vector<ImageAugmentation> augmentations;
    if (!policy.any()) return augmentations;
    augmentations.resize(2 * static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      const ImageVariation variation = VariationOf(task, position + i, policy);
      augmentations[static_cast<size_t>(i)] = variation.real;
      augmentations[static_cast<size_t>(count) + static_cast<size_t>(i)] = variation.fake;
    }
    return augmentations;
  }

  static Objective ObjectiveOf(const UnitTask& task,
                               const std::vector<ImageAugmentation>& augmentations) {
    return {.loss = FindLoss(task.objective.loss),
            .real_label = task.objective.real_label,
            .augmentations = augmentations,
            .unit_images = ImagesOfStep(task)};
  }

  static int ImagesOfStep(const UnitTask& task) { return task.image_count / task.local_steps; }

  // INTERNAL when a loss is finite but without bounds, naming the layer with the steepest gradient.
  static absl::Status CheckLosses(const UnitTask& task, const UnitGradient& unit) {
    if (std::max(std::abs(unit.discriminator_loss), std::abs(unit.generator_loss)) <=
        domain::kDivergedLoss) {
      return absl::OkStatus();
    }
    std::string steepest;
    double most = -1;
    for (const tensor::Tensor& tensor : unit.gradient.tensors()) {
      // Not the buffers.
      if (!tensor.spec.name.ends_with("weight") && !tensor.spec.name.ends_with("bias")) continue;
      double squares = 0;
      for (const float value : tensor.f32()) squares += double{value} * value;
      if (squares > most) {
        most = squares;
        steepest = tensor.spec.name;
      }
    }
    return absl::InternalError(absl::StrCat(
        "the run has diverged: round ", task.round, ", slot ", task.slot,
        ": the losses of discriminator and generator are ", unit.discriminator_loss, " and ",
        unit.generator_loss, ", above ", domain::kDivergedLoss, "; the gradient is steepest in ",
        steepest, "; a smaller learning rate may help"));
  }

  // Says where a result that is not finite began, by computing the forward passes again.
  // `counts` are the micro-batches of the step, whose first image is at `position`.
  absl::Status Diverged(const UnitTask& task, absl::Span<const int> counts, int position,
                        const absl::Status& finite) {
    std::string where = absl::StrCat("round ", task.round, ", slot ", task.slot);
    if (task.local_steps > 1) {
      absl::StrAppend(&where, ", local step ", position / ImagesOfStep(task) + 1);
    }
    for (size_t i = 0; i < counts.size(); ++i) {
      MicroBatch batch = StartReading(task, position, counts[i]);
      GANNET_RETURN_IF_ERROR(batch.read.get());
      const auto augmentations = DrawAugmentations(task, position, counts[i]);
      const std::string layer = networks_->FirstLayerNotFinite(
          DrawNoise(task, position, counts[i]), ObjectiveOf(task, augmentations), batch.images);
      if (!layer.empty()) {
        return absl::InternalError(absl::StrCat(
            "the run has diverged: ", where, ", micro-batch ", i + 1, ": the output of ", layer,
            " is not finite (its weights are); a smaller learning rate may help"));
      }
      position += counts[i];
    }
    return absl::InternalError(absl::StrCat("the run has diverged: ", where,
                                            ": all layers' outputs are finite, but not the "
                                            "gradient: ",
                                            finite.message()));
  }

  at::Tensor DrawNoise(const UnitTask& task, int position, int count) const {
    at::Tensor latent = at::empty({count, model_.latent_dim}, at::kFloat);
    const size_t dim = static_cast<size_t>(model_.latent_dim);
    for (int i = 0; i < count; ++i) {
      base::PhiloxStream stream(task.seed, base::RandomPurpose::kNoise,
                                static_cast<uint64_t>(task.round),
                                SlotAndPosition(task, position + i));
      base::FillNormal(
          stream, absl::MakeSpan(latent.data_ptr<float>() + static_cast<size_t>(i) * dim, dim));
    }
    return latent;
  }

  const domain::ModelConfig model_;
  const std::unique_ptr<Networks> networks_;
  const int64_t pixels_;
  bool has_weights_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GradientComputer>> MakeGradientComputer(
    const domain::ModelConfig& model) {
  return MakeGradientComputerOn({}, model);
}

absl::StatusOr<std::unique_ptr<GradientComputer>> MakeGradientComputerOn(
    const ComputeDevice& device, const domain::ModelConfig& model) {
  GANNET_RETURN_IF_ERROR(CheckModel(model));
  GANNET_ASSIGN_OR_RETURN(std::unique_ptr<Networks> networks, MakeNetworks(model, device));
  return std::make_unique<NetworkGradientComputer>(model, std::move(networks));
}

}  // namespace gannet::gan
