#include "libs/domain/model_layout.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::domain {
namespace {

using ::testing::ElementsAre;

// "NAME DTYPE[SHAPE]" of each tensor.
std::vector<std::string> Lines(const tensor::BundleSpec& spec) {
  std::vector<std::string> lines;
  for (const tensor::TensorSpec& tensor : spec) {
    std::string line = tensor.name + (tensor.dtype == tensor::Dtype::kI64 ? " I64[" : " F32[");
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      line += (i > 0 ? "," : "") + std::to_string(tensor.shape[i]);
    }
    lines.push_back(line + "]");
  }
  return lines;
}

int64_t Elements(const tensor::BundleSpec& spec) {
  int64_t count = 0;
  for (const tensor::TensorSpec& tensor : spec) count += tensor.element_count();
  return count;
}

TEST(ModelLayoutTest, ParametersAreThoseOfTheOriginalAt64) {
  EXPECT_THAT(
      Lines(ParameterSpec({64, 100, 64})),
      ElementsAre(
          "generator.main.0.weight F32[100,512,4,4]", "generator.main.1.weight F32[512]",
          "generator.main.1.bias F32[512]", "generator.main.3.weight F32[512,256,4,4]",
          "generator.main.4.weight F32[256]", "generator.main.4.bias F32[256]",
          "generator.main.6.weight F32[256,128,4,4]", "generator.main.7.weight F32[128]",
          "generator.main.7.bias F32[128]", "generator.main.9.weight F32[128,64,4,4]",
          "generator.main.10.weight F32[64]", "generator.main.10.bias F32[64]",
          "generator.main.12.weight F32[64,3,4,4]", "discriminator.main.0.weight F32[64,3,4,4]",
          "discriminator.main.2.weight F32[128,64,4,4]", "discriminator.main.3.weight F32[128]",
          "discriminator.main.3.bias F32[128]", "discriminator.main.5.weight F32[256,128,4,4]",
          "discriminator.main.6.weight F32[256]", "discriminator.main.6.bias F32[256]",
          "discriminator.main.8.weight F32[512,256,4,4]", "discriminator.main.9.weight F32[512]",
          "discriminator.main.9.bias F32[512]", "discriminator.main.11.weight F32[1,512,4,4]"));
  // 3,576,704 of the generator and 2,765,568 of the discriminator, as PyTorch counts them.
  EXPECT_EQ(Elements(ParameterSpec({64, 100, 64})), 3'576'704 + 2'765'568);
}

TEST(ModelLayoutTest, WeightsCarryBuffersBehindTheirLayerAt32) {
  EXPECT_THAT(
      Lines(WeightsSpec({32, 10, 4})),
      ElementsAre(
          "generator.main.0.weight F32[10,16,4,4]", "generator.main.1.weight F32[16]",
          "generator.main.1.bias F32[16]", "generator.main.1.running_mean F32[16]",
          "generator.main.1.running_var F32[16]", "generator.main.1.num_batches_tracked I64[]",
          "generator.main.3.weight F32[16,8,4,4]", "generator.main.4.weight F32[8]",
          "generator.main.4.bias F32[8]", "generator.main.4.running_mean F32[8]",
          "generator.main.4.running_var F32[8]", "generator.main.4.num_batches_tracked I64[]",
          "generator.main.6.weight F32[8,4,4,4]", "generator.main.7.weight F32[4]",
          "generator.main.7.bias F32[4]", "generator.main.7.running_mean F32[4]",
          "generator.main.7.running_var F32[4]", "generator.main.7.num_batches_tracked I64[]",
          "generator.main.9.weight F32[4,3,4,4]", "discriminator.main.0.weight F32[4,3,4,4]",
          "discriminator.main.2.weight F32[8,4,4,4]", "discriminator.main.3.weight F32[8]",
          "discriminator.main.3.bias F32[8]", "discriminator.main.3.running_mean F32[8]",
          "discriminator.main.3.running_var F32[8]",
          "discriminator.main.3.num_batches_tracked I64[]",
          "discriminator.main.5.weight F32[16,8,4,4]", "discriminator.main.6.weight F32[16]",
          "discriminator.main.6.bias F32[16]", "discriminator.main.6.running_mean F32[16]",
          "discriminator.main.6.running_var F32[16]",
          "discriminator.main.6.num_batches_tracked I64[]",
          "discriminator.main.8.weight F32[1,16,4,4]"));
}

TEST(ModelLayoutTest, TheDiscriminatorHasTwoPassesRealFirst) {
  const std::vector<BatchNormLayout> layouts = BatchNormLayouts({32, 10, 4});

  ASSERT_EQ(layouts.size(), 5u);
  EXPECT_EQ(layouts[0].prefix, "generator.main.1");
  EXPECT_EQ(layouts[0].channels, 16);
  EXPECT_THAT(layouts[0].passes, ElementsAre("fake"));
  EXPECT_EQ(layouts[3].prefix, "discriminator.main.3");
  EXPECT_EQ(layouts[3].channels, 8);
  EXPECT_THAT(layouts[3].passes, ElementsAre("real", "fake"));
}

TEST(ModelLayoutTest, GradientsAreParametersAndThenStatistics) {
  const ModelConfig model{32, 10, 4};
  const std::vector<std::string> parameters = Lines(ParameterSpec(model));

  const std::vector<std::string> gradient = Lines(GradientSpec(model));

  const auto middle = gradient.begin() + static_cast<std::ptrdiff_t>(parameters.size());
  EXPECT_EQ(std::vector<std::string>(gradient.begin(), middle), parameters);
  EXPECT_THAT(
      std::vector<std::string>(middle, gradient.end()),
      ElementsAre(
          "generator.main.1.batch_mean.fake F32[16]", "generator.main.1.batch_var.fake F32[16]",
          "generator.main.4.batch_mean.fake F32[8]", "generator.main.4.batch_var.fake F32[8]",
          "generator.main.7.batch_mean.fake F32[4]", "generator.main.7.batch_var.fake F32[4]",
          "discriminator.main.3.batch_mean.real F32[8]",
          "discriminator.main.3.batch_var.real F32[8]",
          "discriminator.main.3.batch_mean.fake F32[8]",
          "discriminator.main.3.batch_var.fake F32[8]",
          "discriminator.main.6.batch_mean.real F32[16]",
          "discriminator.main.6.batch_var.real F32[16]",
          "discriminator.main.6.batch_mean.fake F32[16]",
          "discriminator.main.6.batch_var.fake F32[16]"));
}

TEST(ModelLayoutTest, AdamKeepsTwoMomentsOfEachParameterAndTheStep) {
  const ModelConfig model{32, 10, 4};
  const std::vector<std::string> state = Lines(AdamStateSpec(model));

  EXPECT_EQ(state.size(), 2 * ParameterSpec(model).size() + 1);
  EXPECT_EQ(state[0], "generator.main.0.weight.exp_avg F32[10,16,4,4]");
  EXPECT_EQ(state[1], "generator.main.0.weight.exp_avg_sq F32[10,16,4,4]");
  EXPECT_EQ(state.back(), "step I64[]");
  EXPECT_EQ(Elements(AdamStateSpec(model)), 2 * Elements(ParameterSpec(model)) + 1);
}

TEST(ModelLayoutTest, NamesDifferAtEveryWidthAndSize) {
  for (const int size : {32, 64}) {
    for (const int width : {1, 3, 4, 48, 64}) {
      for (const tensor::BundleSpec& spec :
           {WeightsSpec({size, 100, width}), GradientSpec({size, 100, width}),
            AdamStateSpec({size, 100, width})}) {
        std::set<std::string> names;
        for (const tensor::TensorSpec& tensor : spec) names.insert(tensor.name);
        EXPECT_EQ(names.size(), spec.size());
      }
      EXPECT_EQ(BatchNormLayouts({size, 100, width}).size(), size == 32 ? 5u : 7u);
    }
  }
}

}  // namespace
}  // namespace gannet::domain
