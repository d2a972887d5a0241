#include "libs/domain/network_architecture.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/training_choices.h"
#include "libs/domain/model_layout.h"

namespace gannet::domain {
namespace {

FeatureShape After(const Steps& steps, FeatureShape shape) {
  for (const Step& step : steps) {
    if (step.kind == Step::Kind::kResidual) {
      // Both ways must end alike, or they could not be added.
      const FeatureShape main = After(step.main, shape), shortcut = After(step.shortcut, shape);
      EXPECT_EQ(main.channels, shortcut.channels);
      EXPECT_EQ(main.side, shortcut.side);
    }
    shape = ShapeAfter(step, shape);
  }
  return shape;
}

class EveryModelTest : public ::testing::TestWithParam<absl::string_view> {};

TEST_P(EveryModelTest, MakesImagesOfNoiseAndALogitOfImagesAtEverySize) {
  for (const int size : base::kModelImageSizes) {
    for (const int width : {1, 5, 64}) {
      const ModelConfig model{.image_size = size,
                              .latent_dim = 10,
                              .base_width = width,
                              .kind = std::string(GetParam())};
      SCOPED_TRACE(testing::Message() << size << " pixels, width " << width);

      const NetworkArchitecture design = DesignOf(model);

      const FeatureShape image = After(design.generator, {model.latent_dim, 1});
      EXPECT_EQ(image.channels, 3);
      EXPECT_EQ(image.side, size);
      const FeatureShape logit = After(design.discriminator, image);
      EXPECT_EQ(logit.channels, 1);
      EXPECT_EQ(logit.side, 1);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, EveryModelTest, ::testing::ValuesIn(base::kModelNames),
                         [](const auto& test) { return std::string(test.param); });

TEST(NetworkArchitectureTest, AnUnknownKindHasNoSteps) {
  const NetworkArchitecture design = DesignOf({.kind = "transformer"});

  EXPECT_TRUE(design.generator.empty());
  EXPECT_TRUE(design.discriminator.empty());
  EXPECT_TRUE(WeightsSpec({.kind = "transformer"}).empty());
}

}  // namespace
}  // namespace gannet::domain
