#include <limits>
#include <memory>
#include <vector>

#include "libs/aggregate/aggregator.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::aggregate {
namespace {

using ::testing::ElementsAre;

tensor::TensorBundle BundleOf(const std::vector<float>& a, const std::vector<float>& b) {
  tensor::TensorBundle bundle;
  bundle.Add(tensor::Tensor::FromF32("a", {static_cast<int64_t>(a.size())}, a));
  bundle.Add(tensor::Tensor::FromF32("b", {static_cast<int64_t>(b.size())}, b));
  return bundle;
}

TEST(WeightedMeanTest, WeighsByImages) {
  const std::unique_ptr<Aggregator> mean = CreateAggregator("weighted_mean");
  ASSERT_OK(mean->Add(BundleOf({1, 2}, {4}), 1));
  ASSERT_OK(mean->Add(BundleOf({5, 6}, {8}), 3));

  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle folded, mean->Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(4, 5));
  EXPECT_THAT(folded.Find("b")->f32(), ElementsAre(7));
  EXPECT_EQ(folded.tensors()[0].spec, (tensor::TensorSpec{"a", tensor::Dtype::kF32, {2}}));
}

TEST(WeightedMeanTest, AccumulatesInDouble) {
  // In float, 1 would be lost beside 2^24.
  const std::unique_ptr<Aggregator> mean = CreateAggregator("weighted_mean");
  ASSERT_OK(mean->Add(BundleOf({0x1.0p24F}, {}), 1));
  ASSERT_OK(mean->Add(BundleOf({1.0F}, {}), 1));
  ASSERT_OK(mean->Add(BundleOf({-0x1.0p24F}, {}), 2));
  ASSERT_OK(mean->Add(BundleOf({0x1.0p24F}, {}), 1));

  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle folded, mean->Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(0.2F));
}

TEST(WeightedMeanTest, TheLargestFloatsDoNotOverflow) {
  const float max = std::numeric_limits<float>::max();
  const std::unique_ptr<Aggregator> mean = CreateAggregator("weighted_mean");
  ASSERT_OK(mean->Add(BundleOf({max}, {}), 1 << 20));
  ASSERT_OK(mean->Add(BundleOf({max}, {}), 1 << 20));

  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle folded, mean->Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(max));
}

}  // namespace
}  // namespace gannet::aggregate
