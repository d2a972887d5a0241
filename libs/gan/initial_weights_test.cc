#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/gan/gan.h"

namespace gannet::gan {
namespace {

const domain::ModelConfig kModel{.image_size = 32, .latent_dim = 50, .base_width = 16};

struct Moments {
  double mean = 0, std = 0;
};

Moments MomentsOf(const tensor::Tensor& tensor) {
  Moments moments;
  const double n = static_cast<double>(tensor.f32().size());
  for (const float value : tensor.f32()) moments.mean += value / n;
  for (const float value : tensor.f32()) moments.std += std::pow(value - moments.mean, 2) / n;
  moments.std = std::sqrt(moments.std);
  return moments;
}

TEST(InitialWeightsTest, HaveTheLayoutAndTheDistributionsOfDcgan) {
  const tensor::TensorBundle weights = InitialWeights(kModel, 1);

  EXPECT_OK(weights.CheckSpec(domain::WeightsSpec(kModel)));
  for (const char* convolution : {"generator.main.0.weight", "discriminator.main.5.weight"}) {
    const Moments moments = MomentsOf(*weights.Find(convolution));
    EXPECT_NEAR(moments.mean, 0, 5e-4);
    EXPECT_NEAR(moments.std, 0.02, 5e-4);
  }
  const Moments gamma = MomentsOf(*weights.Find("generator.main.1.weight"));
  EXPECT_NEAR(gamma.mean, 1, 0.01);
  EXPECT_NEAR(gamma.std, 0.02, 0.006);
  for (const auto& [name, value] : {std::pair{"generator.main.1.bias", 0.0f},
                                    {"generator.main.1.running_mean", 0.0f},
                                    {"generator.main.1.running_var", 1.0f}}) {
    EXPECT_THAT(weights.Find(name)->f32(), ::testing::Each(value)) << name;
  }
  EXPECT_EQ(weights.Find("discriminator.main.3.num_batches_tracked")->i64_scalar(), 0);
}

TEST(InitialWeightsTest, FollowTheSeedAndDifferBetweenTensors) {
  const tensor::TensorBundle weights = InitialWeights(kModel, 1);
  const std::string name = "generator.main.3.weight";

  EXPECT_EQ(weights.Find(name)->bytes, InitialWeights(kModel, 1).Find(name)->bytes);
  EXPECT_NE(weights.Find(name)->bytes, InitialWeights(kModel, 2).Find(name)->bytes);
  EXPECT_NE(weights.Find(name)->f32()[0], weights.Find("generator.main.6.weight")->f32()[0]);
}

TEST(InitialAdamStateTest, IsZero) {
  const tensor::TensorBundle state =
      InitialAdamState(kModel, domain::AdamConfig{}, InitialWeights(kModel, 1));

  EXPECT_OK(state.CheckSpec(domain::AdamStateSpec(kModel)));
  for (const tensor::Tensor& tensor : state.tensors()) {
    EXPECT_EQ(tensor.bytes.find_first_not_of('\0'), std::string::npos) << tensor.spec.name;
  }
}

}  // namespace
}  // namespace gannet::gan
