#include "cli/weights_file.h"

#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/base/training_choices.h"
#include "libs/checkpoint/weights_metadata.h"
#include "libs/domain/model_layout.h"
#include "libs/tensor/safetensors.h"

namespace gannet::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TensorBundle Zeros(const ModelConfig& model) {
  TensorBundle bundle;
  for (const TensorSpec& spec : WeightsSpec(model)) bundle.Add(Tensor::Zeros(spec));
  return bundle;
}

class WeightsFileTest : public ::testing::Test {
 protected:
  WeightsFileTest() {
    std::string name = ::testing::TempDir() + "/gannet_weights_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~WeightsFileTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& bytes) const {
    std::string path = folder_ + "/weights.safetensors";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

 private:
  std::string folder_;
};

TEST_F(WeightsFileTest, TheModelFollowsFromTheShapes) {
  for (const ModelConfig& model :
       {ModelConfig{32, 100, 8}, ModelConfig{64, 16, 4}, ModelConfig{32, 7, 8, "resnet"},
        ModelConfig{128, 16, 3, "resnet"}}) {
    ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                         ReadWeightsFile(Write(EncodeSafetensors(Zeros(model)))));

    EXPECT_EQ(file.model, model);
    EXPECT_OK(file.weights.CheckSpec(WeightsSpec(model)));
  }
}

// Every kind, whatever its widths happen to look like, with a file that says nothing of itself.
TEST_F(WeightsFileTest, TheModelFollowsFromTheShapesOfEveryKind) {
  for (const absl::string_view kind : kModelNames) {
    for (const int image_size : kModelImageSizes) {
      for (const int width : {1, 2, 3, 5, 6, 8}) {
        const ModelConfig model{image_size, 7, width, std::string(kind)};
        SCOPED_TRACE(testing::Message() << kind << " " << image_size << " " << width);

        const TensorBundle whole = Zeros(model);
        EXPECT_THAT(ModelOf(whole), IsOkAndHolds(model));
        TensorBundle generator;
        for (Tensor tensor : whole.tensors()) {
          if (tensor.spec.name.rfind("generator.", 0) != 0) continue;
          tensor.spec.name.erase(0, std::string("generator.").size());
          generator.Add(tensor);
        }
        ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                             ReadWeightsFile(Write(EncodeSafetensors(generator))));
        EXPECT_EQ(file.model, model);
      }
    }
  }
}

TEST_F(WeightsFileTest, WhatTheFileSaysOfItselfCountsIfItCanBe) {
  const ModelConfig model{32, 7, 8, "resnet"};
  const ModelConfig other{64, 7, 8, "dcgan"};
  for (const ModelConfig& named : {model, other}) {
    RunConfig run;
    run.model = named;
    ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                         ReadWeightsFile(Write(EncodeSafetensors(
                             Zeros(model), WeightsMetadata(run, WeightsVersion(3))))));

    EXPECT_EQ(file.model, model);
  }
  // What could break whoever believes it.
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"image_size", "0"},
                                          {"image_size", "-64"},
                                          {"base_width", "2000000000"},
                                          {"latent_dim", "many"},
                                          {"model_kind", "transformer"}}) {
    RunConfig run;
    run.model = model;
    std::map<std::string, std::string> metadata = WeightsMetadata(run, WeightsVersion(3));
    metadata[key] = value;
    ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                         ReadWeightsFile(Write(EncodeSafetensors(Zeros(model), metadata))));
    EXPECT_EQ(file.model, model) << key << " = " << value;
  }
}

TEST_F(WeightsFileTest, AFlagThatSaysOtherwiseIsRefused) {
  const ModelConfig model{32, 7, 8, "resnet"};
  Config config;
  config.run.model.kind = "dcgan";
  config.run.model.image_size = 32;

  EXPECT_OK(CheckModelFlags({"", {"run.seed=3"}}, config, model));
  EXPECT_OK(CheckModelFlags({"", {"model.image_size=32"}}, config, model));
  EXPECT_THAT(CheckModelFlags({"", {"model.kind=dcgan"}}, config, model),
              StatusIs(kInvalid, AllOf(HasSubstr("--model.kind dcgan"), HasSubstr("resnet"))));
}

TEST_F(WeightsFileTest, AMissingOrEmptyFileIsNotFound) {
  EXPECT_THAT(ReadWeightsFile("/nonexistent/w"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/w")));
  EXPECT_THAT(ReadWeightsFile(Write("")), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadWeightsFile(::testing::TempDir()), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(WeightsFileTest, WhatIsNoSafetensorsIsRefusedWithItsName) {
  EXPECT_THAT(ReadWeightsFile(Write("not a safetensors file")),
              StatusIs(kInvalid, HasSubstr("weights.safetensors: ")));
}

// As Hugging Face and PyTorch have them: the generator alone, in halves, out of DataParallel.
TEST_F(WeightsFileTest, WeightsOfOtherProgramsAreRead) {
  const ModelConfig model{32, 16, 4};
  const TensorBundle zeros = Zeros(model);
  for (const bool in_halves : {false, true}) {
    TensorBundle generator;
    for (Tensor tensor : zeros.tensors()) {
      std::string& name = tensor.spec.name;
      if (name.rfind("generator.", 0) != 0 || name.ends_with("num_batches_tracked")) continue;
      name.replace(0, std::string("generator").size(), "module");
      if (in_halves) tensor = Tensor::Zeros({name, Dtype::kF16, tensor.spec.shape});
      generator.Add(std::move(tensor));
    }

    ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                         ReadWeightsFile(Write(EncodeSafetensors(generator))));

    EXPECT_EQ(file.model, model);
    EXPECT_OK(file.weights.CheckSpec(WeightsSpec(model)));
  }
}

TEST_F(WeightsFileTest, WhatIsGivenInsteadIsNamedWithWhatToDo) {
  EXPECT_THAT(
      ReadWeightsFile(Write("version https://git-lfs.github.com/spec/v1\noid sha256:…\n")),
      StatusIs(kInvalid, AllOf(HasSubstr("weights.safetensors: "), HasSubstr("git lfs pull"))));
}

TEST_F(WeightsFileTest, AGeneratorAloneIsRefused) {
  TensorBundle generator;
  for (const TensorSpec& spec : WeightsSpec({32, 16, 4})) {
    if (spec.name.rfind("generator.", 0) == 0) generator.Add(Tensor::Zeros(spec));
  }

  EXPECT_THAT(ReadWeightsFile(Write(EncodeSafetensors(generator))),
              StatusIs(kInvalid, HasSubstr("discriminator")));
}

TEST_F(WeightsFileTest, OtherShapesAreRefused) {
  TensorBundle bundle;
  bundle.Add(Tensor::Zeros({"generator.main.0.weight", Dtype::kF32, {4, 4}}));
  EXPECT_THAT(ModelOf(bundle), StatusIs(kInvalid, HasSubstr("shapes")));

  TensorBundle huge;
  huge.Add(Tensor::Zeros({"generator.main.0.weight", Dtype::kF32, {1, 1, 4, 4}}));
  EXPECT_THAT(ModelOf(huge), StatusIs(kInvalid, HasSubstr("8 pixels")));

  EXPECT_THAT(ModelOf(TensorBundle()), StatusIs(kInvalid, HasSubstr("no tensor")));
}

TEST_F(WeightsFileTest, ValuesThatAreNotFiniteAreRefused) {
  TensorBundle bundle = Zeros({32, 16, 4});
  bundle.mutable_tensors()[0].mutable_f32()[3] = std::numeric_limits<float>::quiet_NaN();

  EXPECT_THAT(ReadWeightsFile(Write(EncodeSafetensors(bundle))),
              StatusIs(kInvalid, AllOf(HasSubstr("weights.safetensors"),
                                       HasSubstr("generator.main.0.weight"))));
}

}  // namespace
}  // namespace gannet::cli
