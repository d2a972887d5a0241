#include "libs/gan/testing/reference_training.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/philox.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/round_plan.h"
#include "libs/gan/augment.h"

namespace gannet::gan {
namespace {

namespace nn = torch::nn;

nn::Sequential MakeDcganGenerator(const domain::ModelConfig& model) {
  int64_t width = int64_t{model.base_width} * model.image_size / 8;
  nn::Sequential main(
      nn::ConvTranspose2d(nn::ConvTranspose2dOptions(model.latent_dim, width, 4).bias(false)),
      nn::BatchNorm2d(width), nn::ReLU());
  for (; width > model.base_width; width /= 2) {
    main->push_back(nn::ConvTranspose2d(
        nn::ConvTranspose2dOptions(width, width / 2, 4).stride(2).padding(1).bias(false)));
    main->push_back(nn::BatchNorm2d(width / 2));
    main->push_back(nn::ReLU());
  }
  main->push_back(nn::ConvTranspose2d(
      nn::ConvTranspose2dOptions(width, 3, 4).stride(2).padding(1).bias(false)));
  main->push_back(nn::Tanh());
  return main;
}

nn::LeakyReLU MakeLeakyRelu() { return nn::LeakyReLU(nn::LeakyReLUOptions().negative_slope(0.2)); }

nn::Sequential MakeDcganDiscriminator(const domain::ModelConfig& model) {
  const int64_t last = int64_t{model.base_width} * model.image_size / 8;
  int64_t width = model.base_width;
  nn::Sequential main(nn::Conv2d(nn::Conv2dOptions(3, width, 4).stride(2).padding(1).bias(false)),
                      MakeLeakyRelu());
  for (; width < last; width *= 2) {
    main->push_back(
        nn::Conv2d(nn::Conv2dOptions(width, width * 2, 4).stride(2).padding(1).bias(false)));
    main->push_back(nn::BatchNorm2d(width * 2));
    main->push_back(MakeLeakyRelu());
  }
  main->push_back(nn::Conv2d(nn::Conv2dOptions(width, 1, 4).bias(false)));
  return main;
}

// main(x) + shortcut(x).
class ResidualImpl : public nn::Module {
 public:
  ResidualImpl(nn::Sequential main_modules, nn::Sequential shortcut_modules)
      : main(register_module("main", std::move(main_modules))),
        shortcut(register_module("shortcut", std::move(shortcut_modules))) {}

  torch::Tensor forward(const torch::Tensor& x) {
    return main->forward(x) + (shortcut->is_empty() ? x : shortcut->forward(x));
  }

  nn::Sequential main, shortcut;
};
TORCH_MODULE(Residual);

nn::Conv2d MakeConvolution(int64_t in, int64_t out, int64_t kernel, int64_t padding) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, kernel).padding(padding).bias(false));
}

nn::Sequential MakeResnetGenerator(const domain::ModelConfig& model) {
  int64_t width = int64_t{model.base_width} * model.image_size / 8;
  nn::Sequential main(
      nn::ConvTranspose2d(nn::ConvTranspose2dOptions(model.latent_dim, width, 4).bias(false)),
      nn::BatchNorm2d(width), nn::ReLU());
  for (; width > model.base_width; width /= 2) {
    const int64_t half = width / 2;
    nn::Sequential block(
        nn::ConvTranspose2d(
            nn::ConvTranspose2dOptions(width, half, 4).stride(2).padding(1).bias(false)),
        nn::BatchNorm2d(half), nn::ReLU(), MakeConvolution(half, half, 3, 1));
    nn::Sequential shortcut(
        MakeConvolution(width, half, 1, 0),
        nn::Upsample(nn::UpsampleOptions().scale_factor(std::vector<double>{2, 2})));
    main->push_back(Residual(block, shortcut));
    main->push_back(nn::BatchNorm2d(half));
    main->push_back(nn::ReLU());
  }
  main->push_back(nn::ConvTranspose2d(
      nn::ConvTranspose2dOptions(width, 3, 4).stride(2).padding(1).bias(false)));
  main->push_back(nn::Tanh());
  return main;
}

nn::Sequential MakeResnetDiscriminator(const domain::ModelConfig& model) {
  const int64_t last = int64_t{model.base_width} * model.image_size / 8;
  int64_t width = model.base_width;
  nn::Sequential main(nn::Conv2d(nn::Conv2dOptions(3, width, 4).stride(2).padding(1).bias(false)),
                      MakeLeakyRelu());
  for (; width < last; width *= 2) {
    const int64_t twice = width * 2;
    nn::Sequential block(
        nn::Conv2d(nn::Conv2dOptions(width, twice, 4).stride(2).padding(1).bias(false)),
        nn::BatchNorm2d(twice), MakeLeakyRelu(), MakeConvolution(twice, twice, 3, 1));
    nn::Sequential shortcut(nn::AvgPool2d(nn::AvgPool2dOptions(2)),
                            MakeConvolution(width, twice, 1, 0));
    main->push_back(Residual(block, shortcut));
    main->push_back(nn::BatchNorm2d(twice));
    main->push_back(MakeLeakyRelu());
  }
  main->push_back(nn::Conv2d(nn::Conv2dOptions(width, 1, 4).bias(false)));
  return main;
}

// Generator and discriminator.
std::pair<nn::Sequential, nn::Sequential> MakeModules(const domain::ModelConfig& model) {
  if (model.kind == "resnet") return {MakeResnetGenerator(model), MakeResnetDiscriminator(model)};
  // Another kind belongs here as anybody would write it with these modules.
  GANNET_CHECK(model.kind == "dcgan");
  return {MakeDcganGenerator(model), MakeDcganDiscriminator(model)};
}

// Both networks with their tensors by the names that bundles use.
struct Networks {
  Networks(const domain::ModelConfig& model, const tensor::TensorBundle& weights,
           torch::ScalarType precision) {
    std::tie(generator, discriminator) = MakeModules(model);
    for (auto [prefix, network] : {std::pair{"generator.main.", generator},
                                   std::pair{"discriminator.main.", discriminator}}) {
      network->to(precision);
      network->train();
      for (const auto& item : network->named_parameters()) {
        parameters.emplace_back(absl::StrCat(prefix, item.key()), item.value());
        tensors[parameters.back().first] = item.value();
      }
      for (const auto& item : network->named_buffers()) {
        tensors[absl::StrCat(prefix, item.key())] = item.value();
      }
    }
    const torch::NoGradGuard no_grad;
    for (const gannet::tensor::Tensor& source : weights.tensors()) {
      void* data = const_cast<char*>(source.bytes.data());
      const auto dtype = source.spec.dtype == tensor::Dtype::kI64 ? torch::kInt64 : torch::kFloat32;
      tensors.at(source.spec.name).copy_(torch::from_blob(data, source.spec.shape, dtype));
    }
  }

  nn::Sequential generator{nullptr}, discriminator{nullptr};
  std::vector<std::pair<std::string, torch::Tensor>> parameters;  // generator first
  std::map<std::string, torch::Tensor> tensors;
};

gannet::tensor::Tensor ToTensor(const tensor::TensorSpec& spec, const torch::Tensor& value) {
  GANNET_CHECK(value.sizes().vec() == spec.shape);
  const torch::Tensor plain =
      value.detach()
          .to(spec.dtype == tensor::Dtype::kI64 ? torch::kInt64 : torch::kFloat32)
          .contiguous();
  gannet::tensor::Tensor tensor = gannet::tensor::Tensor::Zeros(spec);
  std::memcpy(tensor.bytes.data(), plain.data_ptr(), tensor.bytes.size());
  return tensor;
}

std::vector<ImageVariation> DrawVariations(const domain::ModelConfig& model, const UnitTask& task,
                                           int first, int count) {
  std::vector<ImageVariation> variations;
  for (int i = 0; i < count; ++i) {
    variations.push_back(DrawVariation(
        task.seed, static_cast<uint64_t>(task.round),
        static_cast<uint64_t>(task.slot) * (1u << 20) + static_cast<uint64_t>(first + i),
        task.objective.flip, ParseAugmentPolicy(task.objective.augment), model.image_size));
  }
  return variations;
}

torch::Tensor ReadImages(const domain::ModelConfig& model, const UnitTask& task, int first,
                         int count) {
  torch::Tensor images = torch::empty({count, 3, model.image_size, model.image_size});
  const size_t size = static_cast<size_t>(3 * model.image_size * model.image_size);
  for (int i = 0; i < count; ++i) {
    float* image = images.data_ptr<float>() + static_cast<size_t>(i) * size;
    GANNET_CHECK(task.read_image(first + i, absl::MakeSpan(image, size)).ok());
    if (DrawVariations(model, task, first + i, 1).front().flip) {
      images[i].copy_(images[i].flip({2}).clone());
    }
  }
  return images;
}

torch::Tensor DrawNoise(const domain::ModelConfig& model, const UnitTask& task, int first,
                        int count) {
  torch::Tensor noise = torch::empty({count, model.latent_dim, 1, 1});
  const size_t size = static_cast<size_t>(model.latent_dim);
  for (int i = 0; i < count; ++i) {
    base::PhiloxStream stream(
        task.seed, base::RandomPurpose::kNoise, static_cast<uint64_t>(task.round),
        static_cast<uint64_t>(task.slot) * (1u << 20) + static_cast<uint64_t>(first + i));
    base::FillNormal(stream,
                     absl::MakeSpan(noise.data_ptr<float>() + static_cast<size_t>(i) * size, size));
  }
  return noise;
}

// The smallest absolute value as a share of the root mean square. Exact zeros, which a convolution
// makes of parts of an image that were cut out, are zeros in any order of additions.
double KinkDistance(const torch::Tensor& x) {
  const torch::Tensor size = x.detach().abs();
  return size.masked_select(size > 0).min().item<double>() /
         size.square().mean().sqrt().item<double>();
}

// network->forward(x). Lowers `kink_distance` to that of the nearest activation.
torch::Tensor Forward(nn::Sequential& network, torch::Tensor x, double& kink_distance) {
  for (nn::AnyModule& layer : *network) {
    const nn::Module& module = *layer.ptr();
    if (module.as<nn::ReLU>() != nullptr || module.as<nn::LeakyReLU>() != nullptr) {
      kink_distance = std::min(kink_distance, KinkDistance(x));
    }
    if (const auto residual = std::dynamic_pointer_cast<ResidualImpl>(layer.ptr())) {
      x = Forward(residual->main, x, kink_distance) + Forward(residual->shortcut, x, kink_distance);
      continue;
    }
    x = layer.forward(x);
  }
  return x;
}

struct MicroBatchResult {
  std::vector<torch::Tensor> gradients;  // generator first
  torch::Tensor real_logits, fake_logits, discriminator_loss, generator_loss;
  double kink_distance = std::numeric_limits<double>::infinity();
  double threshold = 0;
};

// The losses as their papers and PyTorch's example write them.
struct StockLoss {
  torch::Tensor real, fake, generator;
  double threshold = 0;
};

StockLoss MakeStockLoss(const domain::ObjectiveConfig& objective, const torch::Tensor& real,
                        const torch::Tensor& fake) {
  const auto entropy = [](const torch::Tensor& logits, double target) {
    return torch::binary_cross_entropy_with_logits(logits, torch::full_like(logits, target));
  };
  const auto squares = [](const torch::Tensor& logits, double target) {
    return torch::mse_loss(logits, torch::full_like(logits, target));
  };
  if (objective.loss == "bce") {
    return {entropy(real, objective.real_label), entropy(fake, 0), entropy(fake, 1), 0};
  }
  if (objective.loss == "hinge") {
    return {torch::relu(1 - real).mean(), torch::relu(1 + fake).mean(), -fake.mean(), 0};
  }
  // Another loss belongs here as its paper writes it.
  GANNET_CHECK(objective.loss == "lsgan");
  return {squares(real, objective.real_label), squares(fake, 0), squares(fake, 1), 0.5};
}

// DiffAugment as its authors' PyTorch code has it, of one image (1, 3, side, side).
torch::Tensor StockAugment(const ImageAugmentation& image, torch::Tensor x) {
  const int64_t side = x.size(2);
  x = x + image.brightness;
  const torch::Tensor grey = x.mean(1, /*keepdim=*/true);
  x = (x - grey) * image.saturation + grey;
  const torch::Tensor mean = x.mean({1, 2, 3}, /*keepdim=*/true);
  x = (x - mean) * image.contrast + mean;
  const int64_t room = side / 2;
  x = torch::constant_pad_nd(x, {room, room, room, room});
  x = x.narrow(2, room + image.shift_y, side).narrow(3, room + image.shift_x, side);
  torch::Tensor mask = torch::ones({1, 1, side, side}, x.options());
  mask.narrow(2, image.cut_top, image.cut_bottom - image.cut_top)
      .narrow(3, image.cut_left, image.cut_right - image.cut_left)
      .zero_();
  return x * mask;
}

// Applies `which` of each image's variation.
torch::Tensor StockAugment(const torch::Tensor& images,
                           const std::vector<ImageVariation>& variations,
                           ImageAugmentation ImageVariation::*which) {
  if (variations.empty()) return images;
  std::vector<torch::Tensor> augmented;
  for (size_t i = 0; i < variations.size(); ++i) {
    augmented.push_back(
        StockAugment(variations[i].*which, images.narrow(0, static_cast<int64_t>(i), 1)));
  }
  return torch::cat(augmented);
}

MicroBatchResult Step(Networks& networks, const torch::Tensor& images, const torch::Tensor& noise,
                      const domain::ObjectiveConfig& objective,
                      const std::vector<ImageVariation>& variations) {
  MicroBatchResult result;
  const torch::Tensor fake = Forward(networks.generator, noise, result.kink_distance);
  result.real_logits =
      Forward(networks.discriminator, StockAugment(images, variations, &ImageVariation::real),
              result.kink_distance);
  result.fake_logits =
      Forward(networks.discriminator, StockAugment(fake, variations, &ImageVariation::fake),
              result.kink_distance);
  const StockLoss loss = MakeStockLoss(objective, result.real_logits, result.fake_logits);
  result.threshold = loss.threshold;
  result.discriminator_loss = loss.real + loss.fake;
  result.generator_loss = loss.generator;
  result.gradients = torch::autograd::grad(
      {result.generator_loss}, networks.generator->parameters(), {}, /*retain_graph=*/true);
  for (torch::Tensor& gradient :
       torch::autograd::grad({result.discriminator_loss}, networks.discriminator->parameters())) {
    result.gradients.push_back(std::move(gradient));
  }
  return result;
}

// The image-weighted mean gradient of `images` images of the task, from `first` on. Adds to `unit`
// what is known of the forward passes, weighted by their share of the whole unit.
std::vector<torch::Tensor> MeanGradient(const domain::ModelConfig& model, const UnitTask& task,
                                        int first, int images, Networks& networks,
                                        ReferenceUnit& unit) {
  std::vector<torch::Tensor> sums;
  for (const auto& [name, parameter] : networks.parameters)
    sums.push_back(torch::zeros_like(parameter));
  for (const int count : domain::MicroBatchSizes(images, task.micro_batch)) {
    const MicroBatchResult result =
        Step(networks, ReadImages(model, task, first, count).to(torch::kFloat64),
             DrawNoise(model, task, first, count).to(torch::kFloat64), task.objective,
             DrawVariations(model, task, first, count));
    const torch::NoGradGuard no_grad;
    const double of_gradient = static_cast<double>(count) / images;
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += of_gradient * result.gradients[i];
    const double share = static_cast<double>(count) / task.image_count;
    unit.discriminator_loss += share * result.discriminator_loss.item<double>();
    unit.generator_loss += share * result.generator_loss.item<double>();
    unit.real_accuracy +=
        share * (result.real_logits > result.threshold).to(torch::kFloat64).mean().item<double>();
    unit.fake_accuracy +=
        share * (result.fake_logits < result.threshold).to(torch::kFloat64).mean().item<double>();
    unit.kink_distance = std::min(unit.kink_distance, result.kink_distance);
    first += count;
  }
  return sums;
}

// Adam for the parameters whose names begin so.
torch::optim::Adam MakeAdam(const Networks& networks, const std::string& prefix,
                            const domain::AdamConfig& adam, double learning_rate) {
  std::vector<torch::Tensor> parameters;
  for (const auto& [name, parameter] : networks.parameters) {
    if (name.rfind(prefix, 0) == 0) parameters.push_back(parameter);
  }
  return torch::optim::Adam(
      parameters,
      torch::optim::AdamOptions(learning_rate).betas({adam.beta1, adam.beta2}).eps(adam.epsilon));
}

}  // namespace

ReferenceUnit ReferenceLocalSteps(const domain::ModelConfig& model,
                                  const tensor::TensorBundle& weights, const UnitTask& task) {
  Networks networks(model, weights, torch::kFloat64);
  const domain::AdamConfig& adam = task.local_adam;
  torch::optim::Adam generator = MakeAdam(networks, "generator.", adam, adam.GeneratorRate());
  torch::optim::Adam discriminator =
      MakeAdam(networks, "discriminator.", adam, adam.DiscriminatorRate());
  std::vector<torch::Tensor> start;
  for (const auto& [name, parameter] : networks.parameters) {
    start.push_back(parameter.detach().clone());
  }
  ReferenceUnit unit;
  const int images = task.image_count / task.local_steps;
  for (int step = 0; step < task.local_steps; ++step) {
    const std::vector<torch::Tensor> gradient =
        MeanGradient(model, task, step * images, images, networks, unit);
    for (size_t i = 0; i < gradient.size(); ++i) {
      networks.parameters[i].second.mutable_grad() = gradient[i];
    }
    generator.step();
    discriminator.step();
  }
  for (size_t i = 0; i < start.size(); ++i) {
    const auto& [name, parameter] = networks.parameters[i];
    unit.gradient.Add(ToTensor({name, tensor::Dtype::kF32, parameter.sizes().vec()},
                               start[i] - parameter.detach()));
  }
  return unit;
}

ReferenceUnit ReferenceGradient(const domain::ModelConfig& model,
                                const tensor::TensorBundle& weights, const UnitTask& task) {
  Networks networks(model, weights, torch::kFloat64);
  ReferenceUnit unit;
  const std::vector<torch::Tensor> sums =
      MeanGradient(model, task, 0, task.image_count, networks, unit);
  for (size_t i = 0; i < sums.size(); ++i) {
    unit.gradient.Add(ToTensor(
        {networks.parameters[i].first, tensor::Dtype::kF32, sums[i].sizes().vec()}, sums[i]));
  }
  for (const tensor::TensorSpec& spec : domain::WeightsSpec(model)) {
    unit.weights.Add(ToTensor(spec, networks.tensors.at(spec.name)));
  }
  return unit;
}

tensor::TensorBundle ReferenceAdam(const domain::ModelConfig& model, const domain::AdamConfig& adam,
                                   const tensor::TensorBundle& weights,
                                   const tensor::TensorBundle& gradient, int steps) {
  Networks networks(model, weights, torch::kFloat32);
  torch::optim::Adam generator = MakeAdam(networks, "generator.", adam, adam.GeneratorRate());
  torch::optim::Adam discriminator =
      MakeAdam(networks, "discriminator.", adam, adam.DiscriminatorRate());
  for (int step = 1; step <= steps; ++step) {
    for (auto& [name, parameter] : networks.parameters) {
      const gannet::tensor::Tensor* source = gradient.Find(name);
      void* data = const_cast<char*>(source->bytes.data());
      parameter.mutable_grad() =
          torch::from_blob(data, source->spec.shape, torch::kFloat32) / static_cast<double>(step);
    }
    generator.step();
    discriminator.step();
  }
  tensor::TensorBundle result;
  for (const auto& [name, parameter] : networks.parameters) {
    result.Add(ToTensor({name, tensor::Dtype::kF32, parameter.sizes().vec()}, parameter));
  }
  return result;
}

void ReferenceBatchNorm(int64_t rows, int64_t channels, const std::vector<float>& input,
                        std::vector<float>& running_mean, std::vector<float>& running_var) {
  nn::BatchNorm2d layer(channels);
  layer->train();
  const torch::NoGradGuard no_grad;
  layer->running_mean.copy_(torch::from_blob(running_mean.data(), {channels}));
  layer->running_var.copy_(torch::from_blob(running_var.data(), {channels}));
  torch::Tensor pixels = torch::from_blob(const_cast<float*>(input.data()), {rows, 1, 1, channels})
                             .permute({0, 3, 1, 2});
  layer->forward(pixels.contiguous());
  std::memcpy(running_mean.data(), layer->running_mean.data_ptr(),
              running_mean.size() * sizeof(float));
  std::memcpy(running_var.data(), layer->running_var.data_ptr(),
              running_var.size() * sizeof(float));
}

struct StockTrainingStep::State {
  Networks networks;
  torch::Tensor images, noise;
};

StockTrainingStep::StockTrainingStep(const domain::ModelConfig& model,
                                     const tensor::TensorBundle& weights, int micro_batch,
                                     const std::string& device)
    : state_(std::make_unique<State>(
          State{Networks(model, weights, torch::kFloat32),
                torch::rand({micro_batch, 3, model.image_size, model.image_size}) * 2 - 1,
                torch::randn({micro_batch, model.latent_dim, 1, 1})})) {
  state_->networks.generator->to(torch::Device(device));
  state_->networks.discriminator->to(torch::Device(device));
  state_->images = state_->images.to(torch::Device(device));
  state_->noise = state_->noise.to(torch::Device(device));
}

StockTrainingStep::~StockTrainingStep() = default;

void StockTrainingStep::Run() {
  const auto backward = [](const torch::Tensor& logits, double target) {
    torch::binary_cross_entropy_with_logits(logits, torch::full_like(logits, target)).backward();
  };
  nn::Sequential& generator = state_->networks.generator;
  nn::Sequential& discriminator = state_->networks.discriminator;
  discriminator->zero_grad();
  backward(discriminator->forward(state_->images), 1);
  const torch::Tensor fake = generator->forward(state_->noise);
  backward(discriminator->forward(fake.detach()), 0);
  generator->zero_grad();
  backward(discriminator->forward(fake), 1);
  if (state_->images.is_cuda()) torch::cuda::synchronize();
}

}  // namespace gannet::gan
