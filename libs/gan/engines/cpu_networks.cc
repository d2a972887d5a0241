#include <ATen/ops/empty.h>

#include <optional>
#include <utility>

#include "libs/gan/engines/dcgan.h"
#include "libs/gan/networks.h"

namespace gannet::gan {
namespace {

class CpuNetworks final : public Networks {
 public:
  explicit CpuNetworks(const domain::ModelConfig& model) : model_(model) {}

  void SetWeights(const tensor::TensorBundle& weights) override {
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

  tensor::TensorBundle Gradient(int64_t unit_images) override {
    return networks_->ToGradient(sums_, unit_images);
  }

  UnitTotals Totals() override { return sums_.totals; }

  std::string FirstLayerNotFinite(const at::Tensor& latent, const Objective& objective,
                                  at::Tensor& images) override {
    return networks_->FirstLayerNotFinite(latent, objective, images);
  }

 private:
  const domain::ModelConfig model_;
  std::optional<Dcgan> networks_;
  UnitSums sums_;
};

}  // namespace

std::unique_ptr<Networks> MakeCpuNetworks(const domain::ModelConfig& model) {
  return std::make_unique<CpuNetworks>(model);
}

}  // namespace gannet::gan
