#include "services/coordinator/unit_time.h"

#include "gtest/gtest.h"

namespace gannet::coordinator {
namespace {

exchange::GradientInfo Computed(double seconds) {
  exchange::GradientInfo gradient;
  gradient.stats.compute_seconds = seconds;
  return gradient;
}

TEST(UnitTimeTest, NoGradientTellsNothing) {
  EXPECT_EQ(MedianComputeTime({}), absl::ZeroDuration());
}

TEST(UnitTimeTest, OneSlowWorkerDoesNotChangeWhatIsUsual) {
  EXPECT_EQ(MedianComputeTime({Computed(100), Computed(2), Computed(3)}), absl::Seconds(3));
  EXPECT_EQ(MedianComputeTime({Computed(4), Computed(2)}), absl::Seconds(2));
}

}  // namespace
}  // namespace gannet::coordinator
