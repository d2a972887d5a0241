#include "libs/gan/engines/compute_device.h"

#include <ATen/Context.h>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace gannet::gan {

at::ScalarType PrecisionOf(const ComputeDevice& device) {
  return device.precision == "bf16" ? at::kBFloat16 : at::kFloat;
}

void PrepareDevice(const ComputeDevice& device) {
  if (device.name == "cpu") return;
  // Of cuBLAS and of cuDNN; bf16 has no use for it, and fp32 means what it says.
  const bool tf32 = device.precision == "tf32";
  at::globalContext().setAllowTF32CuBLAS(tf32);
  at::globalContext().setAllowTF32CuDNN(tf32);
  at::globalContext().setBenchmarkCuDNN(true);
}

absl::Status CheckComputeDevice(const ComputeDevice& device) {
  if (device.precision != "fp32" && device.precision != "tf32" && device.precision != "bf16") {
    return absl::InvalidArgumentError(
        absl::StrCat("precision must be fp32, tf32 or bf16, got '", device.precision, "'"));
  }
  if (device.name == "cpu") return absl::OkStatus();
  absl::string_view number = device.name;
  int index = 0;
  if (!absl::ConsumePrefix(&number, "cuda") ||
      !(number.empty() ||
        (absl::ConsumePrefix(&number, ":") && absl::SimpleAtoi(number, &index) && index >= 0))) {
    return absl::InvalidArgumentError(
        absl::StrCat("device must be cpu, cuda or cuda:NUMBER, got '", device.name, "'"));
  }
  if (!at::globalContext().hasCUDA()) {
    return absl::FailedPreconditionError(
        "this LibTorch has no CUDA, or this machine no GPU that it can use: build with an official "
        "LibTorch (CMAKE_PREFIX_PATH, docs/cuda.md), or compute on the CPU (worker.device cpu)");
  }
  const auto count = static_cast<int>(at::getNumGPUs());
  if (index < count) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("this machine has ", count, " GPUs, counted from cuda:0, got '", device.name,
                   "': choose one of them, or compute on the CPU (worker.device cpu)"));
}

}  // namespace gannet::gan
