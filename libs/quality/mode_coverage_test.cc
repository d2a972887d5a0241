#include "libs/quality/mode_coverage.h"

#include "gtest/gtest.h"
#include "libs/data/dataset.h"

namespace gannet::quality {
namespace {

TEST(ModeCoverageTest, EqualSetsAreCovered) {
  const std::vector<int64_t> labels = {0, 1, 3, 3};
  const ModeCoverage coverage = MeasureModeCoverage(labels, labels, {"smiling", "hat"});

  EXPECT_EQ(coverage.real_modes, 3);
  EXPECT_EQ(coverage.covered, 3);
  EXPECT_DOUBLE_EQ(coverage.share_error, 0);
  ASSERT_EQ(coverage.bits.size(), 2U);
  EXPECT_EQ(coverage.bits[1].name, "hat");
  EXPECT_DOUBLE_EQ(coverage.bits[1].real_share, 0.5);
}

TEST(ModeCoverageTest, PairsOfBitsAreModes) {
  // Of three bits there are three pairs: all with both values on in the one image, off in the
  // other.
  const ModeCoverage coverage =
      MeasureModeCoverage(std::vector<int64_t>{0, 7}, std::vector<int64_t>{7, 6}, {"a", "b", "c"});

  EXPECT_EQ(coverage.real_modes, 6);
  EXPECT_EQ(coverage.covered, 3);
}

TEST(ModeCoverageTest, ACollapseCoversOneMode) {
  const ModeCoverage coverage =
      MeasureModeCoverage(std::vector<int64_t>{0, 1, 2, 3}, std::vector<int64_t>{2, 2}, {"a", "b"});

  EXPECT_EQ(coverage.covered, 1);
  EXPECT_DOUBLE_EQ(coverage.share_error, (3 * 0.25 + 0.75) / 4);
  EXPECT_DOUBLE_EQ(coverage.bits[0].generated_share, 0);
  EXPECT_DOUBLE_EQ(coverage.bits[1].generated_share, 1);
}

TEST(ModeCoverageTest, ClassesAreModesAndRareOnesDoNotCount) {
  std::vector<int64_t> real(200, 1);
  real[0] = 2;
  std::vector<int64_t> generated(200, 2);
  const ModeCoverage coverage = MeasureModeCoverage(real, generated, {});

  EXPECT_EQ(coverage.real_modes, 1);
  EXPECT_EQ(coverage.covered, 0);
  EXPECT_EQ(MeasureModeCoverage({}, {}, {}).real_modes, 0);
}

TEST(ModeCoverageTest, ImagesWithoutLabelDoNotCount) {
  const ModeCoverage coverage =
      MeasureModeCoverage(std::vector<int64_t>{1, data::kNoLabel, 2, data::kNoLabel},
                          std::vector<int64_t>{data::kNoLabel, data::kNoLabel, 1}, {});

  EXPECT_EQ(coverage.real_modes, 2);
  EXPECT_EQ(coverage.covered, 1);
  EXPECT_EQ(MeasureModeCoverage(std::vector<int64_t>{data::kNoLabel}, std::vector<int64_t>{1}, {})
                .real_modes,
            0);
}

}  // namespace
}  // namespace gannet::quality
