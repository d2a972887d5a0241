#include "libs/tensor/codec.h"

#include <bit>
#include <cmath>
#include <limits>

#include "libs/base/testing/status_matchers.h"
#include "libs/tensor/safetensors.h"

namespace gannet {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TensorBundle BundleOf(const std::vector<float>& values) {
  TensorBundle bundle;
  bundle.Add(Tensor::FromF32("v", {static_cast<int64_t>(values.size())}, values));
  bundle.Add(Tensor::FromI64Scalar("n", 123456789012345));
  return bundle;
}

// The value of a half by its definition, in double.
double ValueOfHalf(uint16_t half) {
  const double sign = (half & 0x8000) != 0 ? -1.0 : 1.0;
  const int exponent = half >> 10 & 0x1F;
  const int mantissa = half & 0x3FF;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

// The nearest half to a positive value of at most 65504, ties to even, by search among neighbours:
// halves are ordered like their bits.
uint16_t NearestHalf(double value) {
  int low = 0;
  int high = 0x7BFF;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (ValueOfHalf(static_cast<uint16_t>(middle)) <= value) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  if (low == 0x7BFF) return static_cast<uint16_t>(low);
  const double below = value - ValueOfHalf(static_cast<uint16_t>(low));
  const double above = ValueOfHalf(static_cast<uint16_t>(low + 1)) - value;
  if (below == above) return static_cast<uint16_t>(low % 2 == 0 ? low : low + 1);
  return static_cast<uint16_t>(below < above ? low : low + 1);
}

TEST(HalfTest, EveryFiniteHalfHasItsDefinedValue) {
  for (int i = 0; i < 0x10000; ++i) {
    const auto half = static_cast<uint16_t>(i);
    if ((half & 0x7C00) == 0x7C00) continue;
    ASSERT_EQ(static_cast<double>(HalfToFloat(half)), ValueOfHalf(half)) << i;
  }
}

TEST(HalfTest, EveryFiniteHalfComesBack) {
  for (int i = 0; i < 0x10000; ++i) {
    const auto half = static_cast<uint16_t>(i);
    if ((half & 0x7C00) == 0x7C00) continue;
    ASSERT_EQ(FloatToHalf(HalfToFloat(half)), half) << i;
  }
}

TEST(HalfTest, InfinityAndNanStayWhatTheyAre) {
  EXPECT_EQ(HalfToFloat(0x7C00), std::numeric_limits<float>::infinity());
  EXPECT_EQ(HalfToFloat(0xFC00), -std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(HalfToFloat(0x7C01)));
  EXPECT_TRUE(std::isnan(HalfToFloat(0xFFFF)));
}

TEST(HalfTest, TiesGoToEvenAndTheirNeighboursToTheNearest) {
  for (int i = 0; i < 0x7BFF; ++i) {
    const auto half = static_cast<uint16_t>(i);
    const auto next = static_cast<uint16_t>(i + 1);
    // Exact in float: a half has 11 bits, the middle of two 12.
    const float middle = (HalfToFloat(half) + HalfToFloat(next)) / 2;
    const float infinity = std::numeric_limits<float>::infinity();
    ASSERT_EQ(FloatToHalf(middle), i % 2 == 0 ? half : next) << i;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, 0.0F)), half) << i;
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, infinity)), next) << i;
    ASSERT_EQ(FloatToHalf(-middle), 0x8000 | (i % 2 == 0 ? half : next)) << i;
  }
}

TEST(HalfTest, AgreesWithASearchOverAllExponents) {
  // A stride that is prime to every power of two, over all floats up to 65504.
  for (uint32_t bits = 0; bits <= std::bit_cast<uint32_t>(65504.0F); bits += 104729) {
    const float value = std::bit_cast<float>(bits);
    ASSERT_EQ(FloatToHalf(value), NearestHalf(value)) << bits;
    ASSERT_EQ(FloatToHalf(-value), 0x8000 | NearestHalf(value)) << bits;
  }
}

TEST(CodecTest, Fp32KeepsEveryBit) {
  const TensorBundle bundle = BundleOf({1.0F, -0.0F, 1e-45F, std::nanf("")});

  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeBundle(bundle, Codec::kFp32));
  ASSERT_OK_AND_ASSIGN(const TensorBundle decoded, DecodeBundle(bytes, Codec::kFp32));

  EXPECT_EQ(bytes, EncodeSafetensors(bundle));
  EXPECT_EQ(decoded.tensors()[0].bytes, bundle.tensors()[0].bytes);
  EXPECT_EQ(decoded.tensors()[1].i64_scalar(), 123456789012345);
}

TEST(CodecTest, Fp16HalvesTheBytesAndComesBackAsFloat) {
  std::vector<float> values(5000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * 0.01F - 20.0F;
  const TensorBundle bundle = BundleOf(values);

  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeBundle(bundle, Codec::kFp16));
  ASSERT_OK_AND_ASSIGN(const TensorBundle decoded, DecodeBundle(bytes, Codec::kFp16));

  EXPECT_LT(bytes.size(), EncodeSafetensors(bundle).size() - 2 * values.size() + 100);
  ASSERT_EQ(decoded.tensors()[0].spec, bundle.tensors()[0].spec);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(decoded.tensors()[0].f32()[i], HalfToFloat(FloatToHalf(values[i]))) << i;
  }
  EXPECT_EQ(decoded.tensors()[1].i64_scalar(), 123456789012345);
}

TEST(CodecTest, Fp16TakesTheLargestHalfAndNothingBeyond) {
  const float beyond = std::nextafter(65504.0F, 1e9F);

  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       EncodeBundle(BundleOf({65504.0F, -65504.0F}), Codec::kFp16));
  ASSERT_OK_AND_ASSIGN(const TensorBundle decoded, DecodeBundle(bytes, Codec::kFp16));

  EXPECT_THAT(decoded.tensors()[0].f32(), ElementsAre(65504.0F, -65504.0F));
  for (const float bad : {beyond, -beyond, std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(), std::nanf("")}) {
    std::vector<float> values(3000, 1.0F);
    values[2999] = bad;
    EXPECT_THAT(EncodeBundle(BundleOf(values), Codec::kFp16),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'v'")))
        << bad;
  }
}

TEST(CodecTest, Fp16RefusesFullPrecisionTensors) {
  EXPECT_THAT(DecodeBundle(EncodeSafetensors(BundleOf({1.0F})), Codec::kFp16),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expected F16, got F32")));
}

TEST(CodecTest, MalformedBytesAreRefused) {
  for (const Codec codec : {Codec::kFp32, Codec::kFp16}) {
    EXPECT_THAT(DecodeBundle("", codec), StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(DecodeBundle("not a bundle at all", codec),
                StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

TEST(CodecTest, AnUnknownCodecIsRefused) {
  EXPECT_THAT(EncodeBundle({}, static_cast<Codec>(3)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got 3")));
  EXPECT_THAT(DecodeBundle("", static_cast<Codec>(0)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got 0")));
}

}  // namespace
}  // namespace gannet
