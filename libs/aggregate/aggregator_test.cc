#include "libs/aggregate/aggregator.h"

#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "libs/base/philox.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::aggregate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

tensor::TensorBundle BundleOf(const std::vector<float>& a, const std::vector<float>& b) {
  tensor::TensorBundle bundle;
  bundle.Add(tensor::Tensor::FromF32("a", {static_cast<int64_t>(a.size())}, a));
  bundle.Add(tensor::Tensor::FromF32("b", {static_cast<int64_t>(b.size())}, b));
  return bundle;
}

TEST(AggregatorNamesTest, EachIsCreatedByItsNameAndNoOther) {
  std::set<absl::string_view> names;
  for (const absl::string_view name : base::kAggregatorNames) {
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_NE(CreateAggregator(name), nullptr) << name;
  }
  EXPECT_EQ(CreateAggregator("mean"), nullptr);
  EXPECT_EQ(CreateAggregator(""), nullptr);
}

// What holds for every rule.
class AggregatorTest : public ::testing::TestWithParam<absl::string_view> {
 protected:
  const std::unique_ptr<Aggregator> aggregator_ = CreateAggregator(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Rules, AggregatorTest, ::testing::ValuesIn(base::kAggregatorNames),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(AggregatorTest, EqualGradientsGiveThatGradientBitForBit) {
  std::vector<float> values(1000);
  base::PhiloxStream stream(1, base::RandomPurpose::kNoise, 0, 0);
  base::FillNormal(stream, absl::MakeSpan(values));
  const tensor::TensorBundle gradient = BundleOf(values, {1e-40F});
  for (const int images : {320, 7, 33}) ASSERT_OK(aggregator_->Add(gradient, images));

  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle folded, aggregator_->Finish());

  ASSERT_EQ(folded.tensors().size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(folded.tensors()[i].spec, gradient.tensors()[i].spec);
    EXPECT_EQ(folded.tensors()[i].bytes, gradient.tensors()[i].bytes);
  }
}

TEST_P(AggregatorTest, TensorsAreFoundByNameInAnyOrder) {
  tensor::TensorBundle in_order, swapped;
  for (const char* name : {"a", "b", "c"}) {
    in_order.Add(tensor::Tensor::FromF32(name, {1}, {static_cast<float>(name[0])}));
  }
  for (const char* name : {"b", "c", "a"}) {
    swapped.Add(tensor::Tensor::FromF32(name, {1}, {static_cast<float>(name[0])}));
  }
  ASSERT_OK(aggregator_->Add(in_order, 1));
  ASSERT_OK(aggregator_->Add(swapped, 3));

  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle folded, aggregator_->Finish());

  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(folded.tensors()[i].spec, in_order.tensors()[i].spec);
    EXPECT_EQ(folded.tensors()[i].bytes, in_order.tensors()[i].bytes);
  }
}

TEST_P(AggregatorTest, ARefusedGradientChangesNothing) {
  ASSERT_OK(aggregator_->Add(BundleOf({1}, {2}), 1));
  tensor::TensorBundle counter = BundleOf({9}, {9});
  counter.Add(tensor::Tensor::FromI64Scalar("n", 1));
  struct Case {
    tensor::TensorBundle gradient;
    double weight;
    const char* reason;
  };
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Case& refused : {Case{BundleOf({1, 1}, {2}), 1, "'a'"},
                              {tensor::TensorBundle(), 1, "missing"},
                              {counter, 1, "'n'"},
                              {BundleOf({9}, {9}), 0, "weight"},
                              {BundleOf({9}, {9}), -1, "weight"},
                              {BundleOf({9}, {9}), std::nan(""), "weight"},
                              {BundleOf({9}, {9}), infinity, "weight"}}) {
    const auto is_refused =
        base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(refused.reason));
    EXPECT_THAT(aggregator_->Check(refused.gradient, refused.weight), is_refused);
    EXPECT_THAT(aggregator_->Add(refused.gradient, refused.weight), is_refused);
  }

  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle folded, aggregator_->Finish());
  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(1));
  EXPECT_THAT(folded.Find("b")->f32(), ElementsAre(2));
}

TEST_P(AggregatorTest, AFirstGradientOfOtherThanFloatsIsRefused) {
  tensor::TensorBundle bundle;
  bundle.Add(tensor::Tensor::FromI64Scalar("n", 1));

  EXPECT_THAT(aggregator_->Add(bundle, 1),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'n'")));
  EXPECT_OK(aggregator_->Add(BundleOf({1}, {2}), 1));
}

TEST_P(AggregatorTest, NothingHasNoResult) {
  EXPECT_THAT(aggregator_->Finish(), base::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_P(AggregatorTest, AResetForgetsWhatWasAddedAndItsLayout) {
  ASSERT_OK(aggregator_->Add(BundleOf({1, 2, 3}, {4}), 5));
  aggregator_->Reset();
  EXPECT_THAT(aggregator_->Finish(), base::StatusIs(absl::StatusCode::kFailedPrecondition));

  ASSERT_OK(aggregator_->Add(BundleOf({6}, {7, 8}), 1));
  ASSERT_OK_AND_ASSIGN(const tensor::TensorBundle folded, aggregator_->Finish());

  EXPECT_THAT(folded.Find("a")->f32(), ElementsAre(6));
  EXPECT_THAT(folded.Find("b")->f32(), ElementsAre(7, 8));
}

}  // namespace
}  // namespace gannet::aggregate
