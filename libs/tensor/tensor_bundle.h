#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace gannet::tensor {

enum class Dtype { kF32, kF16, kI64, kF64 };

// Bytes of one element.
size_t DtypeBytes(Dtype dtype);

// Name, dtype and shape of a tensor. A scalar has the shape {}.
struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;

  int64_t element_count() const;
  friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

// The tensors a bundle must have, in any order.
using BundleSpec = std::vector<TensorSpec>;

// A tensor in C order, little-endian.
struct Tensor {
  TensorSpec spec;
  std::string bytes;

  // The elements. Only for the matching dtype.
  absl::Span<const float> f32() const;
  absl::Span<float> mutable_f32();
  absl::Span<const double> f64() const;
  int64_t i64_scalar() const;

  // Zeros.
  static Tensor Zeros(TensorSpec spec);
  static Tensor FromF32(std::string name, std::vector<int64_t> shape,
                        absl::Span<const float> values);
  static Tensor FromF64(std::string name, std::vector<int64_t> shape,
                        absl::Span<const double> values);
  static Tensor FromI64Scalar(std::string name, int64_t value);
};

// Named tensors in a fixed order: weights, gradients, moments.
//
// Thread safety: as a value.
class TensorBundle {
 public:
  TensorBundle() = default;

  // Adds a tensor. The name must be new (checked).
  void Add(Tensor tensor);

  const std::vector<Tensor>& tensors() const { return tensors_; }
  std::vector<Tensor>& mutable_tensors() { return tensors_; }

  // The tensor of that name, or null.
  const Tensor* Find(absl::string_view name) const;
  Tensor* Find(absl::string_view name);

  // INVALID_ARGUMENT - a name is missing or surplus, or a shape or dtype differs; the message names
  // up to three of them with expected and got.
  absl::Status CheckSpec(const BundleSpec& spec) const;

  // INVALID_ARGUMENT - an F32 or F16 value (no others are looked at) is NaN or infinite; the
  // message names tensor and position.
  absl::Status CheckFinite() const;

 private:
  std::vector<Tensor> tensors_;
};

}  // namespace gannet::tensor
