#include "cli/weights_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/checkpoint/weights_metadata.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/run_settings.h"
#include "libs/gan/gan.h"
#include "libs/tensor/foreign_file.h"
#include "libs/tensor/safetensors.h"

namespace gannet::cli {
namespace {

constexpr const char* kFirstLayer = "generator.main.0.weight";
constexpr const char* kGenerator = "generator.";
constexpr const char* kDiscriminator = "discriminator.";
constexpr int kMaxWidth = 1 << 20;

// The weight of the generator's last convolution: the one with the highest number.
const tensor::Tensor* LastLayer(const tensor::TensorBundle& weights) {
  const tensor::Tensor* last = nullptr;
  for (const tensor::Tensor& tensor : weights.tensors()) {
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

// Whether these are the weights of that model, or, where there is no discriminator, those of its
// generator: no tensor more, none less.
bool IsOf(const tensor::TensorBundle& weights, const domain::ModelConfig& model) {
  tensor::BundleSpec spec = domain::WeightsSpec(model);
  const bool is_whole = std::any_of(weights.tensors().begin(), weights.tensors().end(),
                                    [](const tensor::Tensor& tensor) {
                                      return absl::StartsWith(tensor.spec.name, kDiscriminator);
                                    });
  if (!is_whole) {
    std::erase_if(spec, [](const tensor::TensorSpec& tensor) {
      return !absl::StartsWith(tensor.name, kGenerator);
    });
  }
  return !spec.empty() && weights.CheckSpec(spec).ok();
}

// What the generator's shapes say. Its width is one of the numbers in them.
absl::StatusOr<domain::ModelConfig> ModelOfShapes(const tensor::TensorBundle& weights) {
  const tensor::Tensor* first = weights.Find(kFirstLayer);
  if (first == nullptr) return NotWeights(absl::StrCat("no tensor ", kFirstLayer));
  const tensor::Tensor* last = LastLayer(weights);
  if (first->spec.shape.size() != 4 || last == nullptr || last->spec.shape[0] <= 0 ||
      first->spec.shape[1] > (1 << 20) || first->spec.shape[0] > (1 << 20)) {
    return NotWeights("unexpected shapes");
  }
  std::set<int64_t> widths;
  for (const tensor::Tensor& tensor : weights.tensors()) {
    widths.insert(tensor.spec.shape.begin(), tensor.spec.shape.end());
  }
  domain::ModelConfig model;
  model.latent_dim = static_cast<int>(first->spec.shape[0]);
  for (const absl::string_view kind : base::kModelNames) {
    for (const int image_size : base::kModelImageSizes) {
      for (const int64_t width : widths) {
        if (width < 1 || width > first->spec.shape[1]) continue;
        model.kind = std::string(kind);
        model.image_size = image_size;
        model.base_width = static_cast<int>(width);
        if (IsOf(weights, model)) return model;
      }
    }
  }
  // Not quite those of any. As what a dcgan would be, so that the caller can say what differs: its
  // first layer makes base_width * image_size / 8 channels, and the last one has base_width.
  model.kind = domain::ModelConfig().kind;
  model.base_width = static_cast<int>(last->spec.shape[0]);
  model.image_size = static_cast<int>(first->spec.shape[1] * 8 / last->spec.shape[0]);
  if (!base::IsModelImageSize(model.image_size)) {
    return NotWeights(absl::StrCat("shapes of images of ", model.image_size, " pixels"));
  }
  return model;
}

// Names a generator's tensors as those of both networks do.
tensor::TensorBundle WithPrefix(tensor::TensorBundle generator) {
  for (tensor::Tensor& tensor : generator.mutable_tensors()) {
    tensor.spec.name = absl::StrCat("generator.", tensor.spec.name);
  }
  return generator;
}

// What the file says of itself, unless no networks could be so.
std::optional<domain::ModelConfig> NamedModel(absl::string_view bytes) {
  const absl::StatusOr<std::map<std::string, std::string>> metadata =
      tensor::ReadSafetensorsMetadata(bytes);
  if (!metadata.ok()) return std::nullopt;
  std::optional<domain::ModelConfig> model = checkpoint::ModelOfMetadata(*metadata);
  if (!model.has_value() || !base::IsModelName(model->kind) ||
      !base::IsModelImageSize(model->image_size) || model->base_width < 1 ||
      model->base_width > kMaxWidth || model->latent_dim < 1 || model->latent_dim > kMaxWidth) {
    return std::nullopt;
  }
  return model;
}

// `named` if these can be its weights, or else what the shapes say.
absl::StatusOr<domain::ModelConfig> NamedOrOfShapes(
    const tensor::TensorBundle& weights, const std::optional<domain::ModelConfig>& named) {
  if (named.has_value() && IsOf(weights, *named)) return *named;
  return ModelOfShapes(weights);
}

// What a generator alone lacks, if it is known what that is.
void AddDiscriminator(const std::optional<domain::ModelConfig>& named,
                      tensor::TensorBundle& weights) {
  const absl::StatusOr<domain::ModelConfig> model = NamedOrOfShapes(weights, named);
  if (!model.ok()) return;
  const tensor::TensorBundle initial = gan::InitialWeights(*model, 0);
  for (const tensor::Tensor& tensor : initial.tensors()) {
    if (absl::StartsWith(tensor.spec.name, "discriminator.")) weights.Add(tensor);
  }
}

// The weights in a checkpoint, or around a generator; any other bundle as it is.
tensor::TensorBundle WeightsAmong(tensor::TensorBundle bundle,
                                  const std::optional<domain::ModelConfig>& named) {
  if (bundle.Find("main.0.weight") != nullptr) {
    tensor::TensorBundle weights = WithPrefix(std::move(bundle));
    AddDiscriminator(named, weights);
    return weights;
  }
  if (bundle.Find("step") == nullptr) return bundle;
  tensor::TensorBundle weights;
  for (const tensor::Tensor& tensor : bundle.tensors()) {
    const std::string& name = tensor.spec.name;
    const bool is_weight =
        absl::StartsWith(name, "generator.") || absl::StartsWith(name, "discriminator.");
    const bool is_moment = absl::EndsWith(name, ".exp_avg") ||
                           absl::EndsWith(name, ".exp_avg_sq") ||
                           absl::EndsWith(name, domain::kAverageSuffix);
    if (is_weight && !is_moment) weights.mutable_tensors().push_back(tensor);
  }
  return gan::AveragedWeights(weights, bundle);
}

}  // namespace

absl::StatusOr<domain::ModelConfig> ModelOf(const tensor::TensorBundle& weights,
                                            const std::optional<domain::ModelConfig>& named) {
  GANNET_ASSIGN_OR_RETURN(const domain::ModelConfig model, NamedOrOfShapes(weights, named));
  GANNET_RETURN_IF_ERROR(weights.CheckSpec(domain::WeightsSpec(model)));
  return model;
}

absl::Status CheckModelFlags(const config::CommandLine& command_line, const config::Config& config,
                             const domain::ModelConfig& model) {
  domain::RunConfig is;
  is.model = model;
  for (const std::string& override : command_line.overrides) {
    const domain::RunSetting* row = domain::FindRunSetting(override.substr(0, override.find('=')));
    if (row == nullptr || !absl::StartsWith(row->name, "model.")) continue;
    if (row->get(config.run) == row->get(is)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", row->name, " ", base::SettingText(*row, row->get(config.run)),
                     " is not what the weights are of: ", base::SettingText(*row, row->get(is))));
  }
  return absl::OkStatus();
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
  absl::StatusOr<tensor::TensorBundle> bundle = tensor::DecodeForeignWeights(bytes);
  if (!bundle.ok()) return named(bundle.status());
  const std::optional<domain::ModelConfig> own = NamedModel(bytes);
  file.weights = WeightsAmong(*std::move(bundle), own);
  const absl::StatusOr<domain::ModelConfig> model = ModelOf(file.weights, own);
  if (!model.ok()) return named(model.status());
  if (const absl::Status finite = file.weights.CheckFinite(); !finite.ok()) return named(finite);
  file.model = *model;
  return file;
}

}  // namespace gannet::cli
