#include "libs/domain/round_plan.h"

#include <map>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/philox.h"

namespace gannet::domain {
namespace {

using ::testing::ElementsAre;

RunConfig ConfigOf(int64_t images, int images_per_unit, int units_per_round, uint64_t seed = 5) {
  RunConfig config;
  config.seed = seed;
  config.images_per_unit = images_per_unit;
  config.units_per_round = units_per_round;
  config.data.image_count = images;
  return config;
}

// The images of rounds 1 to `rounds`, one after the other.
std::vector<int64_t> Sequence(const RunConfig& config, int rounds) {
  RoundPlanner planner(config);
  std::vector<int64_t> sequence;
  for (int round = 1; round <= rounds; ++round) {
    for (const PlannedUnit& unit : planner.Plan(base::Round(round))) {
      sequence.insert(sequence.end(), unit.image_indices.begin(), unit.image_indices.end());
    }
  }
  return sequence;
}

TEST(RoundPlanTest, UnitsAreInSlotOrderAndFull) {
  RoundPlanner planner(ConfigOf(100, 4, 3));

  const std::vector<PlannedUnit> units = planner.Plan(base::Round(1));

  ASSERT_EQ(units.size(), 3u);
  for (int slot = 0; slot < 3; ++slot) {
    EXPECT_EQ(units[static_cast<size_t>(slot)].slot, base::Slot(slot));
    EXPECT_EQ(units[static_cast<size_t>(slot)].image_indices.size(), 4u);
  }
}

TEST(RoundPlanTest, EveryEpochSeesEveryImageOnceThoughRoundsStraddleEpochs) {
  // 10 images in rounds of 6: every second round or so straddles two epochs.
  const std::vector<int64_t> sequence = Sequence(ConfigOf(10, 3, 2), 10);

  ASSERT_EQ(sequence.size(), 60u);
  for (size_t epoch = 0; epoch < 6; ++epoch) {
    const auto begin = sequence.begin() + static_cast<std::ptrdiff_t>(10 * epoch);
    EXPECT_EQ(std::vector<int64_t>(begin, begin + 10),
              base::EpochOrder(5, static_cast<int64_t>(epoch), 10));
    EXPECT_EQ(std::set<int64_t>(begin, begin + 10).size(), 10u);
  }
}

TEST(RoundPlanTest, ARoundMaySpanManyEpochsOfATinyDataSet) {
  const std::vector<int64_t> sequence = Sequence(ConfigOf(3, 10, 2), 3);

  std::map<int64_t, int> seen;
  for (const int64_t image : sequence) ++seen[image];
  EXPECT_THAT(seen, ElementsAre(std::pair(0, 20), std::pair(1, 20), std::pair(2, 20)));
}

TEST(RoundPlanTest, ASingleImageIsSeenEachTime) {
  EXPECT_EQ(Sequence(ConfigOf(1, 2, 1), 2), std::vector<int64_t>(4, 0));
}

TEST(RoundPlanTest, ARoundIsAPureFunctionOfConfigAndNumber) {
  const RunConfig config = ConfigOf(1000, 7, 3);
  RoundPlanner one(config);
  RoundPlanner two(config);
  const auto early = one.Plan(base::Round(2));
  const auto late = one.Plan(base::Round(500));

  EXPECT_EQ(two.Plan(base::Round(500)), late);
  EXPECT_EQ(two.Plan(base::Round(2)), early);
}

TEST(RoundPlanTest, AnotherSeedGivesAnotherOrder) {
  EXPECT_NE(Sequence(ConfigOf(1000, 7, 3, 1), 1), Sequence(ConfigOf(1000, 7, 3, 2), 1));
}

TEST(RoundPlanTest, TheEpochIsThatOfTheFirstImage) {
  RoundPlanner planner(ConfigOf(12, 3, 2));

  EXPECT_EQ(planner.EpochOf(base::Round(1)), 0);
  EXPECT_EQ(planner.EpochOf(base::Round(2)), 0);
  EXPECT_EQ(planner.EpochOf(base::Round(3)), 1);
  EXPECT_EQ(RoundPlanner(ConfigOf(11, 3, 2)).EpochOf(base::Round(2)), 0);
}

TEST(RoundPlanTest, TheLargestRunDoesNotOverflow) {
  RoundPlanner planner(ConfigOf(10, 1, 4096));

  EXPECT_EQ(planner.Plan(base::Round(1'000'000'000)).size(), 4096u);
  EXPECT_EQ(RoundPlanner(ConfigOf(1, 1 << 20, 4096)).EpochOf(base::Round(1'000'000'000)),
            int64_t{999'999'999} * 4096 * (1 << 20));
}

TEST(MicroBatchSizesTest, TheRemainderJoinsTheLastOne) {
  EXPECT_THAT(MicroBatchSizes(10, 4), ElementsAre(4, 6));
  EXPECT_THAT(MicroBatchSizes(12, 4), ElementsAre(4, 4, 4));
  EXPECT_THAT(MicroBatchSizes(11, 4), ElementsAre(4, 7));
}

TEST(MicroBatchSizesTest, FewImagesAreOneMicroBatch) {
  EXPECT_THAT(MicroBatchSizes(3, 4), ElementsAre(3));
  EXPECT_THAT(MicroBatchSizes(4, 4), ElementsAre(4));
  EXPECT_THAT(MicroBatchSizes(7, 4), ElementsAre(7));
  EXPECT_THAT(MicroBatchSizes(1, 1), ElementsAre(1));
}

TEST(RoundPlanTest, AChangeInMidRunLeavesNoImageOutAndTakesNoneTwice) {
  RunConfig before = ConfigOf(50, 4, 3);
  before.data.kind = "procedural";
  before.data.digest = std::string(64, '0');
  RunConfig changed = before;
  changed.images_per_unit = 7;
  changed.units_per_round = 2;
  const absl::StatusOr<RunConfig> after = ChangeConfig(before, before, changed, 5);
  ASSERT_TRUE(after.ok()) << after.status();
  RoundPlanner first(before);
  RoundPlanner second(*after);

  std::vector<int64_t> images;
  for (int64_t round = 1; round <= 10; ++round) {
    for (const PlannedUnit& unit : (round < 5 ? first : second).Plan(base::Round(round))) {
      images.insert(images.end(), unit.image_indices.begin(), unit.image_indices.end());
    }
  }

  // One long round of the same sequence.
  RoundPlanner whole(ConfigOf(50, static_cast<int>(images.size()), 1));
  EXPECT_EQ(images, whole.Plan(base::Round(1))[0].image_indices);
  EXPECT_EQ(second.EpochOf(base::Round(5)), 0) << "48 of 50 images were seen";
  EXPECT_EQ(second.EpochOf(base::Round(6)), 1);
}

}  // namespace
}  // namespace gannet::domain
