#include "cli/resume.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/config/config.h"
#include "services/coordinator/coordinator_config.h"

namespace gannet {
namespace {

// Nothing at its default, so that nothing can be left out.
RunConfig UnusualRun() {
  RunConfig run;
  run.name = "unusual";
  run.seed = 12345678901;
  run.model = {.image_size = 128, .latent_dim = 17, .base_width = 9, .kind = "resnet"};
  run.adam = {.learning_rate = 0.1 / 3,
              .beta1 = 0.1,
              .beta2 = 0.9,
              .epsilon = 1e-7,
              .learning_rate_generator = 1.0 / 7,
              .learning_rate_discriminator = 1.0 / 11,
              .ema_decay = 0.99};
  run.objective = {.loss = "lsgan", .real_label = 0.9, .augment = "color,cutout", .flip = true};
  run.images_per_unit = 48;
  run.units_per_round = 5;
  run.micro_batch = 12;
  run.round_count = 77;
  run.lease = absl::Seconds(90);
  run.gradient_codec = 2;
  run.policy = {
      .quorum = 3, .deadline = absl::Milliseconds(2500), .stale_weight = 0.3, .spare_after = 1.75};
  run.data = {"procedural", 123, std::string(64, 'a'), "faces"};
  return run;
}

TEST(SettingsOfTest, MakeTheSameRun) {
  const RunConfig run = UnusualRun();

  ASSERT_OK_AND_ASSIGN(const Config config, LoadConfig({"", SettingsOf(run)}));
  EXPECT_EQ(config.data.count, 123);
  ASSERT_OK_AND_ASSIGN(const RunConfig made,
                       MakeRunConfig(config, {.kind = run.data.kind,
                                              .image_count = run.data.image_count,
                                              .digest = run.data.digest,
                                              .description = run.data.description}));

  EXPECT_EQ(DescribeDifference(run, made), "");
  EXPECT_TRUE(run == made);
}

}  // namespace
}  // namespace gannet
