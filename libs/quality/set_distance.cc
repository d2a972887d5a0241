#include "libs/quality/set_distance.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/matmul.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/gan/compute.h"

namespace gannet::quality {
namespace {

absl::Status CheckPair(const Features& a, const Features& b, int64_t least) {
  if (a.count < least || b.count < least || a.dimensions != b.dimensions || a.dimensions < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("two sets of at least ", least, " images and equal dimensions expected, got ",
                     a.count, " of ", a.dimensions, " and ", b.count, " of ", b.dimensions));
  }
  return absl::OkStatus();
}

at::Tensor AsDouble(const Features& features) {
  auto* data = const_cast<float*>(features.values.data());
  return at::from_blob(data, {features.count, features.dimensions}, at::kFloat).to(at::kDouble);
}

at::Tensor Covariance(const at::Tensor& rows) {
  const at::Tensor centred = rows - rows.mean(0, /*keepdim=*/true);
  return at::matmul(centred.t(), centred) / static_cast<double>(rows.size(0) - 1);
}

// The symmetric root of a covariance; eigenvalues that rounding made negative are zero.
at::Tensor Root(const at::Tensor& covariance) {
  const auto [values, vectors] = at::linalg_eigh(covariance);
  return at::matmul(vectors * values.clamp_min(0).sqrt(), vectors.t());
}

at::Tensor Kernel(const at::Tensor& x, const at::Tensor& y) {
  return (at::matmul(x, y.t()) / static_cast<double>(x.size(1)) + 1).pow(3);
}

double MeanOffDiagonal(const at::Tensor& kernel) {
  const auto n = static_cast<double>(kernel.size(0));
  return (kernel.sum() - kernel.diagonal().sum()).item<double>() / (n * (n - 1));
}

}  // namespace

absl::StatusOr<double> FrechetDistance(const Features& a, const Features& b) {
  GANNET_RETURN_IF_ERROR(CheckPair(a, b, 2));
  gan::PrepareComputeThread();
  const c10::InferenceMode inference;
  try {
    const at::Tensor x = AsDouble(a), y = AsDouble(b);
    const at::Tensor cx = Covariance(x), cy = Covariance(y);
    const at::Tensor root = Root(cx);
    // (C1 C2)^1/2 has the eigenvalues of (C1^1/2 C2 C1^1/2)^1/2, which is symmetric.
    const double shared = at::linalg_eigvalsh(at::matmul(at::matmul(root, cy), root))
                              .clamp_min(0)
                              .sqrt()
                              .sum()
                              .item<double>();
    const double means = (x.mean(0) - y.mean(0)).square().sum().item<double>();
    const double traces = (cx.trace() + cy.trace()).item<double>();
    return std::max(0.0, means + traces - 2 * shared);
  } catch (...) {
    return gan::StatusFromException("computing a Frechet distance");
  }
}

absl::StatusOr<double> KernelDistance(const Features& a, const Features& b) {
  GANNET_RETURN_IF_ERROR(CheckPair(a, b, 2));
  gan::PrepareComputeThread();
  const c10::InferenceMode inference;
  try {
    const at::Tensor x = AsDouble(a), y = AsDouble(b);
    return MeanOffDiagonal(Kernel(x, x)) + MeanOffDiagonal(Kernel(y, y)) -
           2 * Kernel(x, y).mean().item<double>();
  } catch (...) {
    return gan::StatusFromException("computing a kernel distance");
  }
}

absl::StatusOr<std::vector<int64_t>> NearestRows(const Features& a, const Features& b) {
  GANNET_RETURN_IF_ERROR(CheckPair(a, b, 1));
  gan::PrepareComputeThread();
  const c10::InferenceMode inference;
  try {
    const at::Tensor nearest = at::cdist(AsDouble(a), AsDouble(b)).argmin(1).contiguous();
    const int64_t* values = nearest.data_ptr<int64_t>();
    return std::vector<int64_t>(values, values + nearest.numel());
  } catch (...) {
    return gan::StatusFromException("searching nearest images");
  }
}

}  // namespace gannet::quality
