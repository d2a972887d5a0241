#include "cli/weights_file.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/tensor/safetensors.h"

namespace gannet {
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
    const std::string path = folder_ + "/weights.safetensors";
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
}  // namespace gannet
