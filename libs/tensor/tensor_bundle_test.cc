#include "libs/tensor/tensor_bundle.h"

#include <cmath>
#include <limits>

#include "libs/base/testing/status_matchers.h"

namespace gannet::tensor {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor Values(const std::string& name, const std::vector<float>& values) {
  return Tensor::FromF32(name, {static_cast<int64_t>(values.size())}, values);
}

TensorBundle BundleOf(std::vector<Tensor> tensors) {
  TensorBundle bundle;
  for (Tensor& tensor : tensors) bundle.Add(std::move(tensor));
  return bundle;
}

TEST(TensorTest, ScalarHasOneElement) {
  EXPECT_EQ((TensorSpec{"s", Dtype::kI64, {}}).element_count(), 1);
  EXPECT_EQ((TensorSpec{"e", Dtype::kF32, {3, 0}}).element_count(), 0);
  EXPECT_EQ((TensorSpec{"m", Dtype::kF32, {2, 3, 4}}).element_count(), 24);
}

TEST(TensorTest, ElementSizesAreThoseOfTheirDtype) {
  EXPECT_EQ(DtypeBytes(Dtype::kF32), 4u);
  EXPECT_EQ(DtypeBytes(Dtype::kF16), 2u);
  EXPECT_EQ(DtypeBytes(Dtype::kI64), 8u);
}

TEST(TensorTest, ZerosHaveTheBytesOfTheirShape) {
  const Tensor tensor = Tensor::Zeros({"z", Dtype::kF32, {2, 2}});

  EXPECT_EQ(tensor.bytes, std::string(16, '\0'));
  EXPECT_THAT(tensor.f32(), ElementsAre(0, 0, 0, 0));
}

TEST(TensorTest, ValuesCanBeReadAndChanged) {
  Tensor tensor = Tensor::FromF32("t", {2}, {1.5F, -2.0F});

  tensor.mutable_f32()[1] = 7.0F;

  EXPECT_THAT(tensor.f32(), ElementsAre(1.5F, 7.0F));
}

TEST(TensorTest, IntegerScalarComesBack) {
  const int64_t value = -(int64_t{1} << 60) - 3;

  EXPECT_EQ(Tensor::FromI64Scalar("n", value).i64_scalar(), value);
}

TEST(TensorBundleTest, FindsByName) {
  TensorBundle bundle = BundleOf({Values("a", {1}), Values("b", {2})});

  ASSERT_NE(bundle.Find("b"), nullptr);
  EXPECT_THAT(bundle.Find("b")->f32(), ElementsAre(2));
  EXPECT_EQ(bundle.Find("c"), nullptr);
}

TEST(TensorBundleTest, TheSameTensorsInAnotherOrderFitTheSpec) {
  const TensorBundle bundle = BundleOf({Values("b", {1, 2}), Tensor::FromI64Scalar("n", 1)});

  EXPECT_OK(bundle.CheckSpec({{"n", Dtype::kI64, {}}, {"b", Dtype::kF32, {2}}}));
}

TEST(TensorBundleTest, MissingAndSurplusTensorsAreNamed) {
  const TensorBundle bundle = BundleOf({Values("b", {1})});

  EXPECT_THAT(
      bundle.CheckSpec({{"a", Dtype::kF32, {1}}}),
      base::StatusIs(absl::StatusCode::kInvalidArgument,
                     AllOf(HasSubstr("missing 'a'"), HasSubstr("surplus or repeated 'b'"))));
}

TEST(TensorBundleTest, AnotherShapeOrDtypeIsDescribed) {
  const TensorBundle bundle = BundleOf({Values("a", {1, 2}), Values("b", {1})});

  EXPECT_THAT(bundle.CheckSpec({{"a", Dtype::kF32, {2, 1}}, {"b", Dtype::kF16, {1}}}),
              base::StatusIs(absl::StatusCode::kInvalidArgument,
                             AllOf(HasSubstr("'a' expected F32[2,1] got F32[2]"),
                                   HasSubstr("'b' expected F16[1] got F32[1]"))));
}

TEST(TensorBundleTest, NamesAtMostThreeDifferences) {
  const TensorBundle bundle =
      BundleOf({Values("a", {1}), Values("b", {1}), Values("c", {1}), Values("d", {1})});

  EXPECT_THAT(bundle.CheckSpec({}),
              base::StatusIs(absl::StatusCode::kInvalidArgument,
                             AllOf(HasSubstr("'c'"), Not(HasSubstr("'d'")), HasSubstr("1 more"))));
}

TEST(TensorBundleTest, NamesInMessagesAreShortAndPrintable) {
  const TensorBundle bundle = BundleOf({Values("a\n\x01" + std::string(5000, 'x'), {1})});

  const absl::Status status = bundle.CheckSpec({});

  EXPECT_THAT(status,
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'a\\n\\x01xx")));
  EXPECT_LT(status.message().size(), 300u);
}

TEST(TensorBundleTest, EveryNameIsCountedOnce) {
  TensorBundle bundle = BundleOf({Values("a", {1}), Values("b", {1})});
  bundle.mutable_tensors()[1].spec.name = "a";

  EXPECT_THAT(bundle.CheckSpec({{"a", Dtype::kF32, {1}}, {"b", Dtype::kF32, {1}}}),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("repeated 'a'")));
}

TEST(TensorBundleTest, TheLargestFiniteValuesAreFinite) {
  const float max = std::numeric_limits<float>::max();

  EXPECT_OK(BundleOf({Values("a", {max, -max, 0.0F, 1e-45F})}).CheckFinite());
}

TEST(TensorBundleTest, NanAndInfinityAreFoundWhereverTheyAre) {
  for (const float bad : {std::nanf(""), -std::nanf(""), kInfinity, -kInfinity}) {
    for (const size_t position : {size_t{0}, size_t{4095}, size_t{4096}, size_t{9999}}) {
      std::vector<float> values(10'000, 1.0F);
      values[position] = bad;

      EXPECT_THAT(BundleOf({Values("ok", {1}), Values("bad", values)}).CheckFinite(),
                  base::StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr("'bad', position " + std::to_string(position))));
    }
  }
}

TEST(TensorBundleTest, HalfPrecisionIsCheckedAndIntegersAreNot) {
  Tensor half = Tensor::Zeros({"h", Dtype::kF16, {2}});
  half.bytes = std::string("\xFF\x7B\xFF\xFB", 4);  // the largest finite ones
  EXPECT_OK(BundleOf({half, Tensor::FromI64Scalar("n", -1)}).CheckFinite());

  half.bytes = std::string("\x00\x00\x00\xFC", 4);  // minus infinity
  EXPECT_THAT(BundleOf({half}).CheckFinite(),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'h', position 1")));
}

}  // namespace
}  // namespace gannet::tensor
