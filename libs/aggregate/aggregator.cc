#include "libs/aggregate/aggregator.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace gannet::aggregate {
namespace {

tensor::BundleSpec SpecOf(const tensor::TensorBundle& bundle) {
  tensor::BundleSpec spec;
  for (const tensor::Tensor& tensor : bundle.tensors()) spec.push_back(tensor.spec);
  return spec;
}

// Puts the tensors in the order of `spec`, which has the same names.
void Arrange(const tensor::BundleSpec& spec, tensor::TensorBundle& bundle) {
  for (size_t i = 0; i < spec.size(); ++i) {
    tensor::Tensor& in_place = bundle.mutable_tensors()[i];
    if (in_place.spec.name != spec[i].name) std::swap(in_place, *bundle.Find(spec[i].name));
  }
}

}  // namespace

absl::Status Aggregator::Check(const tensor::TensorBundle& gradient, double weight) const {
  if (!(weight > 0) || std::isinf(weight)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the weight of a gradient must be positive and finite, got ", weight));
  }
  for (const tensor::Tensor& tensor : gradient.tensors()) {
    if (tensor.spec.dtype != tensor::Dtype::kF32) {
      return absl::InvalidArgumentError(
          absl::StrCat("a gradient has a tensor that is not F32: '", tensor.spec.name, "'"));
    }
  }
  if (!is_empty_) GANNET_RETURN_IF_ERROR(gradient.CheckSpec(spec_));
  return CheckValues(gradient, weight);
}

absl::Status Aggregator::Add(tensor::TensorBundle gradient, double weight) {
  GANNET_RETURN_IF_ERROR(Check(gradient, weight));
  if (is_empty_) {
    spec_ = SpecOf(gradient);
  } else {
    Arrange(spec_, gradient);
  }
  Fold(std::move(gradient), weight, is_empty_);
  is_empty_ = false;
  return absl::OkStatus();
}

absl::StatusOr<tensor::TensorBundle> Aggregator::Finish() const {
  if (is_empty_) {
    return absl::FailedPreconditionError("no gradient was added, so there is no result: add one");
  }
  tensor::TensorBundle result;
  // Names are known to differ, so TensorBundle::Add and its search are not needed.
  result.mutable_tensors().reserve(spec_.size());
  for (const tensor::TensorSpec& spec : spec_)
    result.mutable_tensors().push_back(tensor::Tensor::Zeros(spec));
  Write(result);
  return result;
}

void Aggregator::Reset() {
  is_empty_ = true;
  Forget();
}

std::unique_ptr<Aggregator> CreateAggregator(absl::string_view name) {
#define GANNET_CREATE_AGGREGATOR(rule) \
  if (name == #rule) return rules::rule();
  GANNET_AGGREGATORS(GANNET_CREATE_AGGREGATOR)
#undef GANNET_CREATE_AGGREGATOR
  return nullptr;
}

}  // namespace gannet::aggregate
