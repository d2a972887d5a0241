#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/gan/compute.h"
#include "libs/quality/feature_batches.h"
#include "libs/quality/features.h"

namespace gannet::quality {
namespace {

class TorchScriptNetwork final : public FeatureNetwork {
 public:
  explicit TorchScriptNetwork(torch::jit::Module module) : module_(std::move(module)) {}

  absl::StatusOr<Features> Extract(absl::Span<const float> images, int image_size) override {
    return ExtractInBatches(images, image_size, [this](const at::Tensor& batch) {
      const c10::IValue result = module_.forward({batch});
      return result.isTensor() ? result.toTensor() : at::Tensor();
    });
  }

 private:
  torch::jit::Module module_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<FeatureNetwork>> LoadTorchScriptNetwork(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat("no such feature network: ", path));
  }
  gan::PrepareComputeThread();
  try {
    torch::jit::Module module = torch::jit::load(path, at::kCPU);
    module.eval();
    return std::make_unique<TorchScriptNetwork>(std::move(module));
  } catch (...) {
    const absl::Status status = gan::StatusFromException("loading a feature network");
    return absl::InvalidArgumentError(
        absl::StrCat("not a TorchScript file (torch.jit.save): ", path, ": ",
                     status.message().substr(0, status.message().find('\n'))));
  }
}

}  // namespace gannet::quality
