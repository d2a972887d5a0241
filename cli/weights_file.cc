#include "cli/weights_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/domain/dcgan_layout.h"
#include "libs/tensor/safetensors.h"

namespace gannet {
namespace {

constexpr const char* kFirstLayer = "generator.main.0.weight";

// The weight of the generator's last convolution: the one with the highest number.
const Tensor* LastLayer(const TensorBundle& weights) {
  const Tensor* last = nullptr;
  for (const Tensor& tensor : weights.tensors()) {
    if (absl::StartsWith(tensor.spec.name, "generator.main.") && tensor.spec.shape.size() == 4) {
      last = &tensor;
    }
  }
  return last;
}

absl::Status NotWeights(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "not the weights of a whole run (generator and discriminator, weights.safetensors): ", why));
}

}  // namespace

absl::StatusOr<ModelConfig> ModelOf(const TensorBundle& weights) {
  const Tensor* first = weights.Find(kFirstLayer);
  if (first == nullptr) return NotWeights(absl::StrCat("no tensor ", kFirstLayer));
  const Tensor* last = LastLayer(weights);
  if (first->spec.shape.size() != 4 || last == nullptr || last->spec.shape[0] <= 0 ||
      first->spec.shape[1] > (1 << 20) || first->spec.shape[0] > (1 << 20)) {
    return NotWeights("unexpected shapes");
  }
  // The first layer makes latent_dim values into base_width * image_size / 8 channels, and the last
  // one has base_width (see dcgan_layout.h).
  ModelConfig model;
  model.latent_dim = static_cast<int>(first->spec.shape[0]);
  model.base_width = static_cast<int>(last->spec.shape[0]);
  model.image_size = static_cast<int>(first->spec.shape[1] * 8 / last->spec.shape[0]);
  if (model.image_size != 32 && model.image_size != 64) {
    return NotWeights(absl::StrCat("shapes of images of ", model.image_size, " pixels"));
  }
  GANNET_RETURN_IF_ERROR(weights.CheckSpec(WeightsSpec(model)));
  return model;
}

absl::StatusOr<WeightsFile> ReadWeightsFile(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  // Reading a folder would throw.
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::NotFoundError(absl::StrCat("cannot read the weights, this is a folder: ", path));
  }
  std::string bytes;
  if (in) bytes.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  if (!in || bytes.empty()) {
    return absl::NotFoundError(absl::StrCat("cannot read the weights ", path, ": ",
                                            errno == 0 ? "empty" : std::strerror(errno)));
  }
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
  };
  WeightsFile file;
  absl::StatusOr<TensorBundle> weights = DecodeSafetensors(bytes);
  if (!weights.ok()) return named(weights.status());
  const absl::StatusOr<ModelConfig> model = ModelOf(*weights);
  if (!model.ok()) return named(model.status());
  if (const absl::Status finite = weights->CheckFinite(); !finite.ok()) return named(finite);
  file.model = *model;
  file.weights = *std::move(weights);
  return file;
}

}  // namespace gannet
