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

tensor::TensorBundle Zeros(const domain::ModelConfig& model) {
  tensor::TensorBundle bundle;
  for (const tensor::TensorSpec& spec : domain::WeightsSpec(model))
    bundle.Add(tensor::Tensor::Zeros(spec));
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
  for (const domain::ModelConfig& model :
       {domain::ModelConfig{32, 100, 8}, domain::ModelConfig{64, 16, 4},
        domain::ModelConfig{32, 7, 8, "resnet"}, domain::ModelConfig{128, 16, 3, "resnet"}}) {
    ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                         ReadWeightsFile(Write(tensor::EncodeSafetensors(Zeros(model)))));

    EXPECT_EQ(file.model, model);
    EXPECT_OK(file.weights.CheckSpec(domain::WeightsSpec(model)));
  }
}

// Every kind, whatever its widths happen to look like, with a file that says nothing of itself.
TEST_F(WeightsFileTest, TheModelFollowsFromTheShapesOfEveryKind) {
  for (const absl::string_view kind : base::kModelNames) {
    for (const int image_size : base::kModelImageSizes) {
      for (const int width : {1, 2, 3, 5, 6, 8}) {
        const domain::ModelConfig model{image_size, 7, width, std::string(kind)};
        SCOPED_TRACE(testing::Message() << kind << " " << image_size << " " << width);

        const tensor::TensorBundle whole = Zeros(model);
        EXPECT_THAT(ModelOf(whole), base::IsOkAndHolds(model));
        tensor::TensorBundle generator;
        for (tensor::Tensor tensor : whole.tensors()) {
          if (tensor.spec.name.rfind("generator.", 0) != 0) continue;
          tensor.spec.name.erase(0, std::string("generator.").size());
          generator.Add(tensor);
        }
        ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                             ReadWeightsFile(Write(tensor::EncodeSafetensors(generator))));
        EXPECT_EQ(file.model, model);
      }
    }
  }
}

TEST_F(WeightsFileTest, WhatTheFileSaysOfItselfCountsIfItCanBe) {
  const domain::ModelConfig model{32, 7, 8, "resnet"};
  const domain::ModelConfig other{64, 7, 8, "dcgan"};
  for (const domain::ModelConfig& named : {model, other}) {
    domain::RunConfig run;
    run.model = named;
    ASSERT_OK_AND_ASSIGN(
        const WeightsFile file,
        ReadWeightsFile(Write(tensor::EncodeSafetensors(
            Zeros(model), checkpoint::WeightsMetadata(run, base::WeightsVersion(3))))));

    EXPECT_EQ(file.model, model);
  }
  // What could break whoever believes it.
  for (const auto& [key, value] :
       std::map<std::string, std::string>{{"image_size", "0"},
                                          {"image_size", "-64"},
                                          {"base_width", "2000000000"},
                                          {"latent_dim", "many"},
                                          {"model_kind", "transformer"}}) {
    domain::RunConfig run;
    run.model = model;
    std::map<std::string, std::string> metadata =
        checkpoint::WeightsMetadata(run, base::WeightsVersion(3));
    metadata[key] = value;
    ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                         ReadWeightsFile(Write(tensor::EncodeSafetensors(Zeros(model), metadata))));
    EXPECT_EQ(file.model, model) << key << " = " << value;
  }
}

TEST_F(WeightsFileTest, AFlagThatSaysOtherwiseIsRefused) {
  const domain::ModelConfig model{32, 7, 8, "resnet"};
  config::Config config;
  config.run.model.kind = "dcgan";
  config.run.model.image_size = 32;

  EXPECT_OK(CheckModelFlags({"", {"run.seed=3"}}, config, model));
  EXPECT_OK(CheckModelFlags({"", {"model.image_size=32"}}, config, model));
  EXPECT_THAT(
      CheckModelFlags({"", {"model.kind=dcgan"}}, config, model),
      base::StatusIs(kInvalid, AllOf(HasSubstr("--model.kind dcgan"), HasSubstr("resnet"))));
}

TEST_F(WeightsFileTest, AMissingOrEmptyFileIsNotFound) {
  EXPECT_THAT(ReadWeightsFile("/nonexistent/w"),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/w")));
  EXPECT_THAT(ReadWeightsFile(Write("")), base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadWeightsFile(::testing::TempDir()), base::StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(WeightsFileTest, WhatIsNoSafetensorsIsRefusedWithItsName) {
  EXPECT_THAT(ReadWeightsFile(Write("not a safetensors file")),
              base::StatusIs(kInvalid, HasSubstr("weights.safetensors: ")));
}

// As Hugging Face and PyTorch have them: the generator alone, in halves, out of DataParallel.
TEST_F(WeightsFileTest, WeightsOfOtherProgramsAreRead) {
  const domain::ModelConfig model{32, 16, 4};
  const tensor::TensorBundle zeros = Zeros(model);
  for (const bool in_halves : {false, true}) {
    tensor::TensorBundle generator;
    for (tensor::Tensor tensor : zeros.tensors()) {
      std::string& name = tensor.spec.name;
      if (name.rfind("generator.", 0) != 0 || name.ends_with("num_batches_tracked")) continue;
      name.replace(0, std::string("generator").size(), "module");
      if (in_halves) tensor = tensor::Tensor::Zeros({name, tensor::Dtype::kF16, tensor.spec.shape});
      generator.Add(std::move(tensor));
    }

    ASSERT_OK_AND_ASSIGN(const WeightsFile file,
                         ReadWeightsFile(Write(tensor::EncodeSafetensors(generator))));

    EXPECT_EQ(file.model, model);
    EXPECT_OK(file.weights.CheckSpec(domain::WeightsSpec(model)));
  }
}

TEST_F(WeightsFileTest, WhatIsGivenInsteadIsNamedWithWhatToDo) {
  EXPECT_THAT(ReadWeightsFile(Write("version https://git-lfs.github.com/spec/v1\noid sha256:…\n")),
              base::StatusIs(kInvalid,
                             AllOf(HasSubstr("weights.safetensors: "), HasSubstr("git lfs pull"))));
}

TEST_F(WeightsFileTest, AGeneratorAloneIsRefused) {
  tensor::TensorBundle generator;
  for (const tensor::TensorSpec& spec : domain::WeightsSpec({32, 16, 4})) {
    if (spec.name.rfind("generator.", 0) == 0) generator.Add(tensor::Tensor::Zeros(spec));
  }

  EXPECT_THAT(ReadWeightsFile(Write(tensor::EncodeSafetensors(generator))),
              base::StatusIs(kInvalid, HasSubstr("discriminator")));
}

TEST_F(WeightsFileTest, OtherShapesAreRefused) {
  tensor::TensorBundle bundle;
  bundle.Add(tensor::Tensor::Zeros({"generator.main.0.weight", tensor::Dtype::kF32, {4, 4}}));
  EXPECT_THAT(ModelOf(bundle), base::StatusIs(kInvalid, HasSubstr("shapes")));

  tensor::TensorBundle huge;
  huge.Add(tensor::Tensor::Zeros({"generator.main.0.weight", tensor::Dtype::kF32, {1, 1, 4, 4}}));
  EXPECT_THAT(ModelOf(huge), base::StatusIs(kInvalid, HasSubstr("8 pixels")));

  EXPECT_THAT(ModelOf(tensor::TensorBundle()), base::StatusIs(kInvalid, HasSubstr("no tensor")));
}

TEST_F(WeightsFileTest, ValuesThatAreNotFiniteAreRefused) {
  tensor::TensorBundle bundle = Zeros({32, 16, 4});
  bundle.mutable_tensors()[0].mutable_f32()[3] = std::numeric_limits<float>::quiet_NaN();

  EXPECT_THAT(ReadWeightsFile(Write(tensor::EncodeSafetensors(bundle))),
              base::StatusIs(kInvalid, AllOf(HasSubstr("weights.safetensors"),
                                             HasSubstr("generator.main.0.weight"))));
}

}  // namespace
}  // namespace gannet::cli
