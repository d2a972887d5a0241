#include "libs/domain/gradient_limits.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"

namespace gannet::domain {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const ModelConfig kModel = {.image_size = 32, .latent_dim = 2, .base_width = 1};

tensor::TensorBundle OrdinaryGradient() {
  tensor::TensorBundle gradient;
  for (const tensor::TensorSpec& spec : GradientSpec(kModel)) {
    tensor::Tensor tensor = tensor::Tensor::Zeros(spec);
    for (float& value : tensor.mutable_f32()) value = 0.25F;
    gradient.Add(std::move(tensor));
  }
  return gradient;
}

// An ordinary gradient with one value in the first tensor whose name contains `part`.
tensor::TensorBundle GradientWith(const std::string& part, float value) {
  tensor::TensorBundle gradient = OrdinaryGradient();
  for (tensor::Tensor& tensor : gradient.mutable_tensors()) {
    if (tensor.spec.name.find(part) == std::string::npos) continue;
    tensor.mutable_f32().back() = value;
    return gradient;
  }
  ADD_FAILURE() << "no tensor like " << part;
  return gradient;
}

float Above(double limit) {
  return std::nextafter(static_cast<float>(limit), std::numeric_limits<float>::infinity());
}

TEST(GradientLimitsTest, ValuesOnTheLimitsPass) {
  EXPECT_OK(CheckGradientValues(OrdinaryGradient()));
  for (const float sign : {1.0F, -1.0F}) {
    EXPECT_OK(
        CheckGradientValues(GradientWith(".weight", sign * static_cast<float>(kMaxGradientValue))));
    EXPECT_OK(
        CheckGradientValues(GradientWith("batch_mean", sign * static_cast<float>(kMaxBatchMean))));
    EXPECT_OK(CheckGradientValues(GradientWith("batch_var", sign * 0.0F)));
  }
  EXPECT_OK(CheckGradientValues(GradientWith("batch_var", static_cast<float>(kMaxBatchVariance))));
  EXPECT_OK(
      CheckGradientValues(GradientWith("batch_var", std::numeric_limits<float>::denorm_min())));
}

TEST(GradientLimitsTest, WhatIsBeyondThemIsNamedByTensorPlaceAndValue) {
  for (const auto& [part, value] : std::vector<std::pair<std::string, float>>{
           {".weight", Above(kMaxGradientValue)},
           {".weight", -Above(kMaxGradientValue)},
           {".weight", std::numeric_limits<float>::max()},
           {"batch_mean", Above(kMaxBatchMean)},
           {"batch_mean", -Above(kMaxBatchMean)},
           {"batch_var", Above(kMaxBatchVariance)},
           {"batch_var", -std::numeric_limits<float>::denorm_min()},
           {"batch_var", -1e6F},
           {"batch_var", 3e38F}}) {
    EXPECT_THAT(CheckGradientValues(GradientWith(part, value)),
                base::StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr(part), HasSubstr("position"), HasSubstr("got"))))
        << part << " = " << value;
  }
  EXPECT_THAT(CheckGradientValues(GradientWith("batch_var", -1e6F)),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got -1e+06")));
}

TEST(GradientLimitsTest, WhatIsNoNumberIsRefused) {
  for (const float value : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    for (const char* part : {".weight", "batch_mean", "batch_var"}) {
      EXPECT_THAT(CheckGradientValues(GradientWith(part, value)),
                  base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("NaN or infinite")));
    }
  }
}

TEST(GradientLimitsTest, SquaresOfWhatIsAllowedAreFarFromOverflow) {
  const auto most = static_cast<float>(kMaxGradientValue);
  EXPECT_LT(100 * most * most, std::numeric_limits<float>::max());
  EXPECT_LT(100 * static_cast<float>(kMaxBatchVariance), std::numeric_limits<float>::max());
}

TEST(GradientLimitsTest, TheExtentIsTheLargestOfParametersAndOfStatistics) {
  EXPECT_EQ(ExtentOf(GradientWith("batch_var", 16.0F)).parameters, 0.25);
  EXPECT_EQ(ExtentOf(GradientWith("batch_var", 16.0F)).statistics, 4);
  EXPECT_EQ(ExtentOf(GradientWith("batch_mean", -7.0F)).statistics, 7);
  EXPECT_EQ(ExtentOf(GradientWith(".weight", -8.0F)).parameters, 8);
  EXPECT_EQ(ExtentOf(GradientWith(".weight", -8.0F)).statistics, 0.5);
}

TEST(GradientLimitsTest, OneOfThreeStandsOutWhenItIsFarAboveTheirMedian) {
  const auto outlier = [](const std::vector<double>& values) {
    std::vector<GradientExtent> parameters;
    std::vector<GradientExtent> statistics;
    for (const double value : values) {
      parameters.push_back({value, 1});
      statistics.push_back({1, value});
    }
    EXPECT_EQ(FindOutlier(parameters), FindOutlier(statistics));
    return FindOutlier(parameters);
  };
  EXPECT_EQ(outlier({1, 1e5, 2}), 1);
  EXPECT_EQ(outlier({1, 2, 3, 5e4}), 3);
  EXPECT_EQ(outlier({1, 1e4, 1}), -1);
  EXPECT_EQ(outlier({1, 1e5}), -1);   // either may be the ordinary one
  EXPECT_EQ(outlier({0, 0, 1}), -1);  // zeros are no yardstick
  EXPECT_EQ(outlier({1e-40, 9999, 1e-40}), -1);
  EXPECT_EQ(outlier({1e-40, 10'001, 1e-40}), 1);
  EXPECT_EQ(outlier({}), -1);
}

}  // namespace
}  // namespace gannet::domain
