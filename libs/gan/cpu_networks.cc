#include <ATen/ops/empty.h>

#include <optional>
#include <utility>

#include "libs/gan/dcgan.h"
#include "libs/gan/networks.h"

namespace gannet::gan {
namespace {

class CpuNetworks final : public Networks {
 public:
  explicit CpuNetworks(const ModelConfig& model) : model_(model) {}

  void SetWeights(const TensorBundle& weights) override {
    networks_.reset();
    networks_.emplace(model_, weights);
  }

  // The second half is for the generated images.
  at::Tensor NewHostBatch(int64_t count) const override {
    return at::empty({2 * count, 3, model_.image_size, model_.image_size},
                     at::TensorOptions(at::kFloat).memory_format(at::MemoryFormat::ChannelsLast));
  }

  void BeginUnit() override { sums_ = networks_->MakeSums(); }

  void Add(const at::Tensor& latent, const Objective& objective, at::Tensor& images) override {
    networks_->AddGradient(latent, objective, images, sums_);
  }

  TensorBundle Gradient(int64_t unit_images) override {
    return networks_->ToGradient(sums_, unit_images);
  }

  UnitTotals Totals() override { return sums_.totals; }

  std::string FirstLayerNotFinite(const at::Tensor& latent, const Objective& objective,
                                  at::Tensor& images) override {
    return networks_->FirstLayerNotFinite(latent, objective, images);
  }

 private:
  const ModelConfig model_;
  std::optional<Dcgan> networks_;
  UnitSums sums_;
};

}  // namespace

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

std::unique_ptr<Networks> MakeCpuNetworks(const ModelConfig& model) {
  return std::make_unique<CpuNetworks>(model);
}

}  // namespace gannet::gan
