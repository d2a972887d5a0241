#include "libs/domain/run_config.h"

#include <cmath>
#include <functional>
#include <limits>

#include "libs/base/testing/status_matchers.h"

namespace gannet::domain {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

RunConfig ValidConfig() {
  RunConfig config;
  config.data = {"procedural", 100, std::string(64, '0'), "procedural faces v1, seed 1"};
  return config;
}

struct Change {
  const char* named;  // what the message must name
  std::function<void(RunConfig&)> make;
};

TEST(ValidateRunConfigTest, DefaultsAreValid) { EXPECT_OK(ValidateRunConfig(ValidConfig())); }

TEST(ValidateRunConfigTest, ValuesAtTheirLimitsAreValid) {
  const std::vector<std::function<void(RunConfig&)>> changes = {
      [](RunConfig& c) { c.name = std::string(64, 'x'); },
      [](RunConfig& c) { c.name = "A.b_c-9"; },
      [](RunConfig& c) {
        c.model = {32, 1, 1};
      },
      [](RunConfig& c) {
        c.model = {64, 1024, 512};
      },
      [](RunConfig& c) {
        c.adam = {1.0, 0.0, 0.0, 1.0};
      },
      [](RunConfig& c) { c.adam.learning_rate_generator = 1.0; },
      [](RunConfig& c) { c.adam.learning_rate_discriminator = 1e-12; },
      [](RunConfig& c) { c.objective.real_label = 1.0; },
      [](RunConfig& c) { c.images_per_unit = c.units_per_round = c.micro_batch = 1; },
      [](RunConfig& c) { c.images_per_unit = 65'536; },
      [](RunConfig& c) { c.units_per_round = 4096; },
      [](RunConfig& c) { c.micro_batch = 4096; },
      [](RunConfig& c) { c.round_count = 1; },
      [](RunConfig& c) { c.round_count = 1'000'000'000; },
      [](RunConfig& c) { c.lease = absl::Seconds(1); },
      [](RunConfig& c) { c.lease = absl::Hours(24); },
      [](RunConfig& c) { c.gradient_codec = 2; },
      [](RunConfig& c) { c.data.image_count = 1; },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    RunConfig config = ValidConfig();
    changes[i](config);
    EXPECT_OK(ValidateRunConfig(config)) << i;
  }
}

TEST(ValidateRunConfigTest, ValuesBeyondTheirLimitsAreNamed) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Change> changes = {
      {"name", [](RunConfig& c) { c.name = ""; }},
      {"name", [](RunConfig& c) { c.name = std::string(65, 'x'); }},
      {"name", [](RunConfig& c) { c.name = "a b"; }},
      {"name", [](RunConfig& c) { c.name = "\xC3\xBC"; }},
      {"image_size", [](RunConfig& c) { c.model.image_size = 48; }},
      {"latent_dim", [](RunConfig& c) { c.model.latent_dim = 0; }},
      {"latent_dim", [](RunConfig& c) { c.model.latent_dim = 1025; }},
      {"base_width", [](RunConfig& c) { c.model.base_width = 0; }},
      {"base_width", [](RunConfig& c) { c.model.base_width = 513; }},
      {"learning_rate", [](RunConfig& c) { c.adam.learning_rate = 0; }},
      {"learning_rate", [](RunConfig& c) { c.adam.learning_rate = 1.0001; }},
      {"learning_rate", [nan](RunConfig& c) { c.adam.learning_rate = nan; }},
      {"training.learning_rate_generator must",
       [](RunConfig& c) { c.adam.learning_rate_generator = -1e-9; }},
      {"training.learning_rate_generator must",
       [](RunConfig& c) { c.adam.learning_rate_generator = 1.01; }},
      {"training.learning_rate_generator must",
       [nan](RunConfig& c) { c.adam.learning_rate_generator = nan; }},
      {"training.learning_rate_discriminator must",
       [](RunConfig& c) { c.adam.learning_rate_discriminator = -1e-9; }},
      {"training.learning_rate_discriminator must",
       [](RunConfig& c) { c.adam.learning_rate_discriminator = 1.01; }},
      {"training.learning_rate_discriminator must",
       [nan](RunConfig& c) { c.adam.learning_rate_discriminator = nan; }},
      {"beta1", [](RunConfig& c) { c.adam.beta1 = 1; }},
      {"beta1", [](RunConfig& c) { c.adam.beta1 = -0.1; }},
      {"beta1", [nan](RunConfig& c) { c.adam.beta1 = nan; }},
      {"beta2", [](RunConfig& c) { c.adam.beta2 = 1; }},
      {"beta2", [nan](RunConfig& c) { c.adam.beta2 = nan; }},
      {"epsilon", [](RunConfig& c) { c.adam.epsilon = 0; }},
      {"epsilon", [nan](RunConfig& c) { c.adam.epsilon = nan; }},
      {"real_label", [](RunConfig& c) { c.objective.real_label = 0; }},
      {"real_label", [](RunConfig& c) { c.objective.real_label = 1.01; }},
      {"real_label", [nan](RunConfig& c) { c.objective.real_label = nan; }},
      {"images_per_unit", [](RunConfig& c) { c.images_per_unit = 0; }},
      {"images_per_unit", [](RunConfig& c) { c.images_per_unit = 65'537; }},
      {"units_per_round", [](RunConfig& c) { c.units_per_round = 0; }},
      {"units_per_round", [](RunConfig& c) { c.units_per_round = 4097; }},
      {"micro_batch", [](RunConfig& c) { c.micro_batch = 0; }},
      {"micro_batch", [](RunConfig& c) { c.micro_batch = 4097; }},
      {"run.rounds", [](RunConfig& c) { c.round_count = 0; }},
      {"run.rounds", [](RunConfig& c) { c.round_count = 1'000'000'001; }},
      {"lease", [](RunConfig& c) { c.lease = absl::Milliseconds(999); }},
      {"lease", [](RunConfig& c) { c.lease = absl::Hours(24) + absl::Nanoseconds(1); }},
      {"lease", [](RunConfig& c) { c.lease = absl::InfiniteDuration(); }},
      {"gradient_codec", [](RunConfig& c) { c.gradient_codec = 0; }},
      {"gradient_codec", [](RunConfig& c) { c.gradient_codec = 77; }},
      {"data.kind", [](RunConfig& c) { c.data.kind = ""; }},
      {"data.image_count", [](RunConfig& c) { c.data.image_count = 0; }},
      {"data.digest", [](RunConfig& c) { c.data.digest = std::string(63, '0'); }},
      {"data.digest", [](RunConfig& c) { c.data.digest = std::string(64, 'A'); }},
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    RunConfig config = ValidConfig();
    changes[i].make(config);
    EXPECT_THAT(ValidateRunConfig(config),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(changes[i].named)))
        << i;
  }
}

TEST(ValidateRunConfigTest, AllMistakesAreNamedAtOnce) {
  RunConfig config = ValidConfig();
  config.micro_batch = 0;
  config.adam.beta1 = 1.5;

  EXPECT_THAT(
      ValidateRunConfig(config),
      base::StatusIs(absl::StatusCode::kInvalidArgument,
                     AllOf(HasSubstr("training.micro_batch must be an integer, 1 to 4096, got '0'"),
                           HasSubstr("training.beta1 must be a number, at least 0, less than 1, "
                                     "got '1.5'"))));
}

TEST(AdamConfigTest, ARateOfZeroIsTheSharedOne) {
  const AdamConfig shared{.learning_rate = 1e-3};
  EXPECT_EQ(shared.GeneratorRate(), 1e-3);
  EXPECT_EQ(shared.DiscriminatorRate(), 1e-3);

  const AdamConfig own{
      .learning_rate = 1e-3, .learning_rate_generator = 1e-4, .learning_rate_discriminator = 4e-4};
  EXPECT_EQ(own.GeneratorRate(), 1e-4);
  EXPECT_EQ(own.DiscriminatorRate(), 4e-4);
}

TEST(DescribeRunDifferenceTest, EqualConfigsDoNotDiffer) {
  EXPECT_EQ(DescribeDifference(ValidConfig(), ValidConfig()), "");
}

TEST(DescribeRunDifferenceTest, TheDescriptionOfTheDataIsNotCompared) {
  RunConfig other = ValidConfig();
  other.data.description = "something else";

  EXPECT_EQ(DescribeDifference(ValidConfig(), other), "");
  EXPECT_EQ(ValidConfig(), other);
}

// What every setting says is in run_settings_test.cc.
TEST(DescribeRunDifferenceTest, WhatDiffersIsNamedAsPeopleWriteIt) {
  const std::vector<Change> changes = {
      {"run.name default -> x", [](RunConfig& c) { c.name = "x"; }},
      {"run.seed 1 -> 18446744073709551615", [](RunConfig& c) { c.seed = UINT64_MAX; }},
      {"model.image_size 64 -> 32", [](RunConfig& c) { c.model.image_size = 32; }},
      {"training.learning_rate 0.0002 -> 0.1", [](RunConfig& c) { c.adam.learning_rate = 0.1; }},
      {"training.beta2 0.999 -> 0.9990000000000001",
       [](RunConfig& c) { c.adam.beta2 = std::nextafter(0.999, 1.0); }},
      {"training.flip false -> true", [](RunConfig& c) { c.objective.flip = true; }},
      {"run.rounds 1000 -> 5", [](RunConfig& c) { c.round_count = 5; }},
      {"training.lease 5m -> 1m", [](RunConfig& c) { c.lease = absl::Minutes(1); }},
      {"training.gradient_codec fp32 -> fp16", [](RunConfig& c) { c.gradient_codec = 2; }},
      {"data.kind procedural -> zip", [](RunConfig& c) { c.data.kind = "zip"; }},
      {"data.image_count 100 -> 99", [](RunConfig& c) { c.data.image_count = 99; }},
      {"data.digest 000000000000 -> 111111111111",
       [](RunConfig& c) { c.data.digest = std::string(64, '1'); }},
  };
  for (const Change& change : changes) {
    RunConfig other = ValidConfig();
    change.make(other);
    EXPECT_EQ(DescribeDifference(ValidConfig(), other), change.named);
    EXPECT_NE(ValidConfig(), other);
  }
}

TEST(DescribeRunDifferenceTest, SeveralDifferencesAreListed) {
  RunConfig other = ValidConfig();
  other.seed = 2;
  other.micro_batch = 8;

  EXPECT_EQ(DescribeDifference(ValidConfig(), other),
            "run.seed 1 -> 2, training.micro_batch 32 -> 8");
}

TEST(DescribeDataDifferenceTest, EqualSetsDoNotDiffer) {
  DataFingerprint other = ValidConfig().data;
  other.description = "other words";

  EXPECT_EQ(DescribeDifference(ValidConfig().data, other), "");
}

TEST(DescribeDataDifferenceTest, SaysHowAndOfWhat) {
  DataFingerprint other = ValidConfig().data;
  other.image_count = 7;
  other.digest = std::string(64, 'f');
  other.description = "folder /x";

  EXPECT_THAT(DescribeDifference(ValidConfig().data, other),
              AllOf(HasSubstr("images 100 -> 7"), HasSubstr("digest 000000000000 -> ffffffffffff"),
                    HasSubstr("expected procedural faces v1, seed 1, got folder /x")));
}

TEST(ChangeConfigTest, WhatMayChangeChanges) {
  const RunConfig before = ValidConfig();
  RunConfig changed = before;
  changed.adam.learning_rate = 1e-4;
  changed.adam.learning_rate_generator = 2e-4;
  changed.adam.learning_rate_discriminator = 3e-4;
  changed.images_per_unit = 64;
  changed.units_per_round = 5;
  changed.round_count = 77;
  changed.lease = absl::Seconds(30);
  changed.policy = {.quorum = 4,
                    .round_deadline = absl::Minutes(1),
                    .stale_weight = 0.5,
                    .speculation_multiplier = 2};

  const absl::StatusOr<RunConfig> after = ChangeConfig(before, before, changed, 11);

  ASSERT_OK(after);
  EXPECT_EQ(after->plan_origin, (PlanOrigin{11, int64_t{10} * 320 * 3}));
  changed.plan_origin = after->plan_origin;
  EXPECT_EQ(*after, changed);
}

TEST(ChangeConfigTest, ASecondChangeGoesOnWhereTheFirstOneStands) {
  RunConfig changed = ValidConfig();
  changed.images_per_unit = 10;
  const absl::StatusOr<RunConfig> first = ChangeConfig(ValidConfig(), ValidConfig(), changed, 3);
  ASSERT_OK(first);
  changed = *first;
  changed.images_per_unit = 20;
  const absl::StatusOr<RunConfig> second = ChangeConfig(*first, *first, changed, 5);
  ASSERT_OK(second);
  EXPECT_EQ(second->plan_origin, (PlanOrigin{5, int64_t{2} * 320 * 3 + int64_t{2} * 10 * 3}));
}

TEST(ChangeConfigTest, AChangeThatDoesNotHoldYetCanBeTakenBack) {
  RunConfig changed = ValidConfig();
  changed.images_per_unit = 10;
  const absl::StatusOr<RunConfig> pending = ChangeConfig(ValidConfig(), ValidConfig(), changed, 3);
  ASSERT_OK(pending);

  const absl::StatusOr<RunConfig> back = ChangeConfig(ValidConfig(), *pending, ValidConfig(), 3);

  ASSERT_OK(back);
  EXPECT_EQ(back->images_per_unit, ValidConfig().images_per_unit);
  EXPECT_EQ(back->plan_origin, (PlanOrigin{3, int64_t{2} * 320 * 3}));
  EXPECT_THAT(ChangeConfig(ValidConfig(), *pending, changed, 3),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nothing")));
}

TEST(ChangeConfigTest, WhatMayNotChangeIsNamed) {
  const std::vector<Change> changes = {
      {"seed", [](RunConfig& c) { c.seed = 9; }},
      {"image_size", [](RunConfig& c) { c.model.image_size = 32; }},
      {"loss", [](RunConfig& c) { c.objective.loss = "hinge"; }},
      {"micro_batch", [](RunConfig& c) { c.micro_batch = 8; }},
      {"beta1", [](RunConfig& c) { c.adam.beta1 = 0.9; }},
      {"nothing", [](RunConfig&) {}},
      {"run.rounds", [](RunConfig& c) { c.round_count = 10; }},
      {"quorum", [](RunConfig& c) { c.policy.quorum = 4; }},
      {"round_deadline", [](RunConfig& c) { c.policy.round_deadline = absl::Minutes(1); }},
      {"stale_weight", [](RunConfig& c) { c.policy.stale_weight = 0.5; }},  // without a quorum
      {"stale_weight", [](RunConfig& c) { c.policy = {.quorum = 2, .stale_weight = 1.5}; }},
      {"stale_weight",
       [](RunConfig& c) { c.policy = {.quorum = 2, .stale_weight = std::nan("")}; }},
      {"speculation_multiplier", [](RunConfig& c) { c.policy.speculation_multiplier = 0.5; }},
      {"learning_rate", [](RunConfig& c) { c.adam.learning_rate = std::nan(""); }}};
  for (const Change& change : changes) {
    RunConfig changed = ValidConfig();
    change.make(changed);
    EXPECT_THAT(ChangeConfig(ValidConfig(), ValidConfig(), changed, 11),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(change.named)));
  }
}

}  // namespace
}  // namespace gannet::domain
