#include "libs/gan/testing/unit_checks.h"

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "libs/base/philox.h"

namespace gannet::gan {

absl::Status ReadNoiseImage(int position, absl::Span<float> out) {
  base::PhiloxStream stream(99, base::RandomPurpose::kFaces, static_cast<uint64_t>(position), 0);
  for (float& value : out) value = 2 * stream.NextUniform() - 1;
  return absl::OkStatus();
}

double RelativeDistance(const tensor::Tensor& got, const tensor::Tensor& expected) {
  double squares = 0, norm = 0;
  for (size_t i = 0; i < expected.f32().size(); ++i) {
    const double e = expected.f32()[i];
    squares += (got.f32()[i] - e) * (got.f32()[i] - e);
    norm += e * e;
  }
  return std::sqrt(squares / norm);
}

bool SameBytes(const tensor::TensorBundle& a, const tensor::TensorBundle& b) {
  if (a.tensors().size() != b.tensors().size()) return false;
  for (size_t i = 0; i < a.tensors().size(); ++i) {
    if (a.tensors()[i].bytes != b.tensors()[i].bytes) return false;
  }
  return true;
}

}  // namespace gannet::gan
