#include "libs/domain/transfer_estimate.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::domain {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(TransferEstimateTest, BytesAreThoseOfTheNetwork) {
  const UnitCost cost = EstimateUnitCost({}, 64, tensor::Codec::kFp32);

  EXPECT_NEAR(static_cast<double>(cost.weights_bytes), 25.4e6, 1e5);
  EXPECT_NEAR(static_cast<double>(cost.gradient_bytes), 25.4e6, 1e5);
  EXPECT_NEAR(cost.transfer_seconds, 20.3, 0.1);
  EXPECT_NEAR(cost.compute_seconds, 1.28, 0.01);
}

TEST(TransferEstimateTest, HalfPrecisionHalvesTheWayBackOnly) {
  const UnitCost whole = EstimateUnitCost({}, 64, tensor::Codec::kFp32);
  const UnitCost half = EstimateUnitCost({}, 64, tensor::Codec::kFp16);

  EXPECT_EQ(2 * half.gradient_bytes, whole.gradient_bytes);
  EXPECT_EQ(half.weights_bytes, whole.weights_bytes);
}

TEST(TransferEstimateTest, AUnitThatIsLongerOnTheWayThanInWorkIsToldOf) {
  EXPECT_THAT(WarnOfTransfer({}, 64, tensor::Codec::kFp32),
              AllOf(HasSubstr("25.4 MB of weights"), HasSubstr("20.3 s at 20 Mbit/s"),
                    HasSubstr("64 images 1.3 s"), HasSubstr("training.images_per_unit")));
}

TEST(TransferEstimateTest, ASmallerCodecIsNamedWhereThereIsOne) {
  EXPECT_THAT(WarnOfTransfer({}, 64, tensor::Codec::kFp32),
              HasSubstr("set training.gradient_codec to fp16, or make"));
  EXPECT_THAT(
      WarnOfTransfer({}, 64, tensor::Codec::kFp16),
      AllOf(HasSubstr("training.images_per_unit, or make"), Not(HasSubstr("gradient_codec"))));
}

TEST(TransferEstimateTest, AUnitWithEnoughWorkIsNotToldOf) {
  EXPECT_EQ(WarnOfTransfer({}, 2048, tensor::Codec::kFp32), "");
  EXPECT_EQ(WarnOfTransfer({.image_size = 32, .base_width = 32}, 1280, tensor::Codec::kFp16), "");
}

TEST(TransferEstimateTest, ATinyNetworkIsNotThoughtInfinitelyFast) {
  EXPECT_EQ(EstimateUnitCost({.image_size = 32, .base_width = 1}, 1000, tensor::Codec::kFp16)
                .compute_seconds,
            1);
}

}  // namespace
}  // namespace gannet::domain
