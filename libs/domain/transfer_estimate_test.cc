#include "libs/domain/transfer_estimate.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(TransferEstimateTest, BytesAreThoseOfTheNetwork) {
  const UnitCost cost = EstimateUnitCost({}, 64, false);

  EXPECT_NEAR(static_cast<double>(cost.weights_bytes), 25.4e6, 1e5);
  EXPECT_NEAR(static_cast<double>(cost.gradient_bytes), 25.4e6, 1e5);
  EXPECT_NEAR(cost.transfer_seconds, 20.3, 0.1);
  EXPECT_NEAR(cost.compute_seconds, 1.28, 0.01);
}

TEST(TransferEstimateTest, HalfPrecisionHalvesTheWayBackOnly) {
  const UnitCost whole = EstimateUnitCost({}, 64, false);
  const UnitCost half = EstimateUnitCost({}, 64, true);

  EXPECT_EQ(2 * half.gradient_bytes, whole.gradient_bytes);
  EXPECT_EQ(half.weights_bytes, whole.weights_bytes);
}

TEST(TransferEstimateTest, AUnitThatIsLongerOnTheWayThanInWorkIsToldOf) {
  EXPECT_THAT(WarnOfTransfer({}, 64, false),
              AllOf(HasSubstr("25.4 MB of weights"), HasSubstr("20.3 s at 20 Mbit/s"),
                    HasSubstr("64 images 1.3 s"), HasSubstr("training.images_per_unit")));
}

TEST(TransferEstimateTest, AUnitWithEnoughWorkIsNotToldOf) {
  EXPECT_EQ(WarnOfTransfer({}, 2048, false), "");
  EXPECT_EQ(WarnOfTransfer({.image_size = 32, .base_width = 32}, 1280, true), "");
}

TEST(TransferEstimateTest, ATinyNetworkIsNotThoughtInfinitelyFast) {
  EXPECT_EQ(EstimateUnitCost({.image_size = 32, .base_width = 1}, 1000, true).compute_seconds, 1);
}

}  // namespace
}  // namespace gannet
