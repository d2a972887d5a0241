#include "libs/aggregate/fold.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"

namespace gannet {
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

BundleSpec SpecOf(const TensorBundle& bundle) {
  BundleSpec spec;
  for (const Tensor& tensor : bundle.tensors()) spec.push_back(tensor.spec);
  return spec;
}

}  // namespace

absl::Status WeightedMean::Add(const TensorBundle& gradient, double weight) {
  if (!(weight > 0) || std::isinf(weight)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the weight of a gradient must be positive and finite, got ", weight));
  }
  const bool first = weight_ == 0;
  if (first) {
    for (const Tensor& tensor : gradient.tensors()) {
      if (tensor.spec.dtype != Dtype::kF32) {
        return absl::InvalidArgumentError(
            absl::StrCat("a gradient has a tensor that is not F32: '", tensor.spec.name, "'"));
      }
    }
    spec_ = SpecOf(gradient);
    sums_.resize(spec_.size());
  } else if (absl::Status status = gradient.CheckSpec(spec_); !status.ok()) {
    return status;
  }
  for (size_t i = 0; i < spec_.size(); ++i) {
    const Tensor& in_place = gradient.tensors()[i];
    const Tensor& tensor =
        in_place.spec.name == spec_[i].name ? in_place : *gradient.Find(spec_[i].name);
    if (first) {
      SetScaled(tensor.f32(), weight, sums_[i]);
    } else {
      AddScaled(tensor.f32(), weight, sums_[i]);
    }
  }
  weight_ += weight;
  return absl::OkStatus();
}

absl::StatusOr<TensorBundle> WeightedMean::Finish() const {
  if (weight_ == 0) {
    return absl::FailedPreconditionError("there is no mean of no gradients: add one first");
  }
  TensorBundle mean;
  // Names are known to differ, so TensorBundle::Add and its search are not needed.
  mean.mutable_tensors().reserve(spec_.size());
  for (size_t i = 0; i < spec_.size(); ++i) {
    mean.mutable_tensors().push_back(Tensor::Zeros(spec_[i]));
    float* out = mean.mutable_tensors().back().mutable_f32().data();
    const double* in = sums_[i].data();
    for (size_t k = 0; k < sums_[i].size(); ++k) out[k] = static_cast<float>(in[k] / weight_);
  }
  return mean;
}

}  // namespace gannet
