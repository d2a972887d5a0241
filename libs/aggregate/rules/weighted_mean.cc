#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "libs/aggregate/aggregator.h"

namespace gannet::aggregate {
namespace {

void SetScaled(absl::Span<const float> values, double weight, std::vector<double>& sums) {
  sums.resize(values.size());
  double* out = sums.data();
  const float* in = values.data();
  for (size_t i = 0; i < values.size(); ++i) out[i] = weight * static_cast<double>(in[i]);
}

void AddScaled(absl::Span<const float> values, double weight, std::vector<double>& sums) {
  double* out = sums.data();
  const float* in = values.data();
  for (size_t i = 0; i < values.size(); ++i) out[i] += weight * static_cast<double>(in[i]);
}

// Accumulates in double, in the order in which gradients are added.
class WeightedMean final : public Aggregator {
 public:
  bool needs_all() const override { return false; }

 private:
  void Fold(tensor::TensorBundle gradient, double weight, bool is_first) override {
    const std::vector<tensor::Tensor>& tensors = gradient.tensors();
    sums_.resize(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      if (is_first) {
        SetScaled(tensors[i].f32(), weight, sums_[i]);
      } else {
        AddScaled(tensors[i].f32(), weight, sums_[i]);
      }
    }
    weight_ = is_first ? weight : weight_ + weight;
  }

  void Write(tensor::TensorBundle& out) const override {
    for (size_t i = 0; i < sums_.size(); ++i) {
      float* values = out.mutable_tensors()[i].mutable_f32().data();
      const double* in = sums_[i].data();
      for (size_t k = 0; k < sums_[i].size(); ++k) {
        values[k] = static_cast<float>(in[k] / weight_);
      }
    }
  }

  std::vector<std::vector<double>> sums_;  // parallel to the tensors
  double weight_ = 0;
};

}  // namespace

// The mean, each gradient counted by its weight: with images for weights exactly the gradient of
// the mean loss over all images of the round.
std::unique_ptr<Aggregator> rules::weighted_mean() { return std::make_unique<WeightedMean>(); }

}  // namespace gannet::aggregate
