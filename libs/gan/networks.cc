#include "libs/gan/networks.h"

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/gan/engines/compute_device.h"
#include "libs/gan/engines/convolution_chain.h"
#include "libs/gan/engines/dcgan.h"

namespace gannet::gan {

void LogitGradients(const float* logits, int64_t n, const Objective& objective, float* gradients,
                    UnitTotals& totals) {
  const Loss& loss = *objective.loss;
  const double scale = 1.0 / static_cast<double>(objective.unit_images);
  for (int64_t i = 0; i < n; ++i) {
    const LossTerm real = loss.real(logits[i], objective.real_label);
    const LossTerm fake = loss.fake(logits[n + i]);
    const LossTerm generator = loss.generator(logits[n + i]);
    gradients[i] = static_cast<float>(real.derivative * scale);
    gradients[n + i] = static_cast<float>(fake.derivative * scale);
    gradients[2 * n + i] = static_cast<float>(generator.derivative * scale);
    totals.discriminator_loss += real.value + fake.value;
    totals.generator_loss += generator.value;
    totals.real_correct += logits[i] > loss.threshold ? 1 : 0;
    totals.fake_correct += logits[n + i] < loss.threshold ? 1 : 0;
  }
}

absl::Status CheckModel(const domain::ModelConfig& model) {
  if (!base::IsModelName(model.kind)) {
    return absl::InvalidArgumentError(absl::StrCat("no networks of the kind ", model.kind,
                                                   " here, only ", base::JoinModelNames(),
                                                   ": is this program older than the run's?"));
  }
  if (!base::IsModelImageSize(model.image_size)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "image_size must be one of ", base::JoinModelImageSizes(), ": got ", model.image_size));
  }
  if (model.latent_dim < 1 || model.base_width < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("latent_dim and base_width must be at least 1: got ", model.latent_dim,
                     " and ", model.base_width));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Networks>> MakeNetworks(const domain::ModelConfig& model,
                                                       const ComputeDevice& device) {
  GANNET_RETURN_IF_ERROR(CheckComputeDevice(device));
  PrepareDevice(device);
  if (!IsChain(model) || device.engine == ComputeEngine::kAutograd) {
    return MakeAutogradNetworks(model, device);
  }
  if (device.name == "cpu" && device.engine == ComputeEngine::kFastest) {
    return MakeCpuNetworks(model);
  }
  return MakeDeviceNetworks(model, device);
}

std::unique_ptr<ImageGenerator> MakeImageGenerator(const domain::ModelConfig& model,
                                                   const tensor::TensorBundle& weights) {
  if (IsChain(model)) return std::make_unique<Generator>(model, weights);
  return MakeDesignGenerator(model, weights);
}

}  // namespace gannet::gan
