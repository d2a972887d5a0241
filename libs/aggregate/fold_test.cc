#include "libs/aggregate/fold.h"

#include <cmath>
#include <limits>

#include "libs/base/philox.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorBundle BundleOf(const std::vector<float>& a, const std::vector<float>& b) {
  TensorBundle bundle;
  bundle.Add(Tensor::FromF32("a", {static_cast<int64_t>(a.size())}, a));
  bundle.Add(Tensor::FromF32("b", {static_cast<int64_t>(b.size())}, b));
  return bundle;
}

TEST(WeightedMeanTest, WeighsByImages) {
  WeightedMean mean;
  ASSERT_OK(mean.Add(BundleOf({1, 2}, {4}), 1));
  ASSERT_OK(mean.Add(BundleOf({5, 6}, {8}), 3));

  ASSERT_OK_AND_ASSIGN(const TensorBundle folded, mean.Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(4, 5));
  EXPECT_THAT(folded.Find("b")->f32(), ElementsAre(7));
  EXPECT_EQ(folded.tensors()[0].spec, (TensorSpec{"a", Dtype::kF32, {2}}));
}

TEST(WeightedMeanTest, TheMeanOfEqualGradientsIsTheGradientBitForBit) {
  std::vector<float> values(1000);
  PhiloxStream stream(1, RandomPurpose::kNoise, 0, 0);
  FillNormal(stream, absl::MakeSpan(values));
  WeightedMean mean;
  for (const int images : {320, 7, 33}) ASSERT_OK(mean.Add(BundleOf(values, {1e-40F}), images));

  ASSERT_OK_AND_ASSIGN(const TensorBundle folded, mean.Finish());

  EXPECT_EQ(folded.tensors()[0].bytes, BundleOf(values, {}).tensors()[0].bytes);
  EXPECT_THAT(folded.Find("b")->f32(), ElementsAre(1e-40F));
}

TEST(WeightedMeanTest, AccumulatesInDouble) {
  // In float, 1 would be lost beside 2^24.
  WeightedMean mean;
  ASSERT_OK(mean.Add(BundleOf({0x1.0p24F}, {}), 1));
  ASSERT_OK(mean.Add(BundleOf({1.0F}, {}), 1));
  ASSERT_OK(mean.Add(BundleOf({-0x1.0p24F}, {}), 2));
  ASSERT_OK(mean.Add(BundleOf({0x1.0p24F}, {}), 1));

  ASSERT_OK_AND_ASSIGN(const TensorBundle folded, mean.Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(0.2F));
}

TEST(WeightedMeanTest, TheLargestFloatsDoNotOverflow) {
  const float max = std::numeric_limits<float>::max();
  WeightedMean mean;
  ASSERT_OK(mean.Add(BundleOf({max}, {}), 1 << 20));
  ASSERT_OK(mean.Add(BundleOf({max}, {}), 1 << 20));

  ASSERT_OK_AND_ASSIGN(const TensorBundle folded, mean.Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(max));
}

TEST(WeightedMeanTest, TensorsAreFoundByNameInAnyOrder) {
  TensorBundle swapped;
  swapped.Add(Tensor::FromF32("b", {1}, {8}));
  swapped.Add(Tensor::FromF32("a", {2}, {5, 6}));
  WeightedMean mean;
  ASSERT_OK(mean.Add(BundleOf({1, 2}, {4}), 1));
  ASSERT_OK(mean.Add(swapped, 3));

  ASSERT_OK_AND_ASSIGN(const TensorBundle folded, mean.Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(4, 5));
  EXPECT_THAT(folded.Find("b")->f32(), ElementsAre(7));
}

TEST(WeightedMeanTest, ARefusedGradientChangesNothing) {
  WeightedMean mean;
  ASSERT_OK(mean.Add(BundleOf({1}, {2}), 1));

  EXPECT_THAT(mean.Add(BundleOf({1, 1}, {2}), 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'a'")));
  EXPECT_THAT(mean.Add(BundleOf({9}, {9}), 0), StatusIs(absl::StatusCode::kInvalidArgument));
  for (const double weight : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    EXPECT_THAT(mean.Add(BundleOf({9}, {9}), weight),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("weight")));
  }
  EXPECT_THAT(mean.Add(TensorBundle(), 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("missing")));

  ASSERT_OK_AND_ASSIGN(const TensorBundle folded, mean.Finish());
  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(1));
}

TEST(WeightedMeanTest, OnlyFloatsAreFolded) {
  TensorBundle bundle;
  bundle.Add(Tensor::FromI64Scalar("n", 1));

  EXPECT_THAT(WeightedMean().Add(bundle, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'n'")));
}

TEST(WeightedMeanTest, ThereIsNoMeanOfNothing) {
  EXPECT_THAT(WeightedMean().Finish(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(WeightedMeanTest, AResetForgetsWhatWasAdded) {
  WeightedMean mean;
  ASSERT_OK(mean.Add(BundleOf({1, 2, 3}, {4}), 5));
  mean.Reset();
  EXPECT_THAT(mean.Finish(), StatusIs(absl::StatusCode::kFailedPrecondition));

  ASSERT_OK(mean.Add(BundleOf({6}, {7, 8}), 1));
  ASSERT_OK_AND_ASSIGN(const TensorBundle folded, mean.Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(6));
  EXPECT_THAT(folded.Find("b")->f32(), ElementsAre(7, 8));
}

}  // namespace
}  // namespace gannet
