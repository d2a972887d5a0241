#include "libs/tensor/codec.h"

#include <bit>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/tensor/half.h"
#include "libs/tensor/safetensors.h"

namespace gannet::tensor {
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

// ---- What holds for every codec

TEST(CodecTest, NamesAndNumbersAreUniqueAndFindTheCodec) {
  std::set<absl::string_view> names;
  std::set<int> numbers;
  for (size_t i = 0; i < std::size(base::kCodecNumbers); ++i) {
    EXPECT_TRUE(names.insert(base::kCodecNames[i]).second) << base::kCodecNames[i];
    EXPECT_TRUE(numbers.insert(base::kCodecNumbers[i]).second) << base::kCodecNumbers[i];
    EXPECT_GT(base::kCodecNumbers[i], 0);  // 0 is that of no codec, on the wire
    EXPECT_EQ(base::CodecName(base::kCodecNumbers[i]), base::kCodecNames[i]);
    EXPECT_NE(FindCodec(static_cast<Codec>(base::kCodecNumbers[i])), nullptr);
    EXPECT_THAT(base::JoinCodecNumbers(),
                HasSubstr(absl::StrCat(base::kCodecNumbers[i], " (", base::kCodecNames[i], ")")));
  }
  EXPECT_EQ(FindCodec(static_cast<Codec>(0)), nullptr);
  EXPECT_EQ(base::CodecName(77), "77");
}

class EveryCodecTest : public ::testing::TestWithParam<int> {
 protected:
  const Codec codec_ = static_cast<Codec>(GetParam());
};

INSTANTIATE_TEST_SUITE_P(All, EveryCodecTest, ::testing::ValuesIn(base::kCodecNumbers),
                         [](const auto& test) { return base::CodecName(test.param); });

// Numbers that any codec keeps: one bit of mantissa, of a gradient's magnitude.
TensorBundle SimpleBundle() {
  TensorBundle bundle;
  std::vector<float> values;
  for (int i = 0; i < 5001; ++i) values.push_back(std::ldexp(i % 2 == 0 ? 1.0F : -1.0F, -(i % 8)));
  bundle.Add(Tensor::FromF32("main.0.weight", {3, 1667}, values));
  bundle.Add(Tensor::FromF32("empty", {0}, {}));
  bundle.Add(Tensor::FromI64Scalar("n", 123456789012345));
  bundle.Add(Tensor::FromF64("moments", {2}, {0.1, -1e300}));
  bundle.Add(Tensor::FromF32("scalar", {}, {0.5F}));
  return bundle;
}

BundleSpec SpecOf(const TensorBundle& bundle) {
  BundleSpec spec;
  for (const Tensor& tensor : bundle.tensors()) spec.push_back(tensor.spec);
  return spec;
}

TEST_P(EveryCodecTest, WhatIsEncodedComesBackInItsDtypes) {
  const TensorBundle bundle = SimpleBundle();

  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeBundle(bundle, codec_));
  ASSERT_OK_AND_ASSIGN(const TensorBundle decoded, DecodeBundle(bytes, codec_));

  ASSERT_EQ(decoded.tensors().size(), bundle.tensors().size());
  for (size_t i = 0; i < bundle.tensors().size(); ++i) {
    EXPECT_EQ(decoded.tensors()[i].spec, bundle.tensors()[i].spec);
    EXPECT_EQ(decoded.tensors()[i].bytes, bundle.tensors()[i].bytes);
  }
  EXPECT_THAT(EncodeBundle(bundle, codec_), base::IsOkAndHolds(bytes)) << "not a pure function";
}

TEST_P(EveryCodecTest, TheDataHasTheBytesThatTheCodecSays) {
  const TensorBundle bundle = SimpleBundle();
  TensorBundle longer = bundle;
  longer.Add(Tensor::Zeros({"more", Dtype::kF32, {100'000}}));
  TensorBundle named;
  named.Add(Tensor::Zeros({"more", Dtype::kF32, {0}}));

  ASSERT_OK_AND_ASSIGN(const std::string bytes, EncodeBundle(bundle, codec_));
  ASSERT_OK_AND_ASSIGN(const std::string longer_bytes, EncodeBundle(longer, codec_));

  // What is not data is a header, and that does not grow with the tensors.
  constexpr int64_t kHeader = 1000;
  const int64_t data = EncodedDataBytes(SpecOf(bundle), codec_);
  const int64_t longer_data = EncodedDataBytes(SpecOf(longer), codec_);
  EXPECT_GE(static_cast<int64_t>(bytes.size()), data);
  EXPECT_LE(static_cast<int64_t>(bytes.size()), data + kHeader);
  EXPECT_GE(static_cast<int64_t>(longer_bytes.size()), longer_data);
  EXPECT_LE(static_cast<int64_t>(longer_bytes.size()), longer_data + kHeader);
  EXPECT_GT(longer_data, data);
  EXPECT_EQ(EncodedDataBytes(SpecOf(named), codec_), 0);
}

TEST_P(EveryCodecTest, MalformedBytesAreRefused) {
  ASSERT_OK_AND_ASSIGN(const std::string good, EncodeBundle(SimpleBundle(), codec_));
  for (const std::string& bad : {std::string(), std::string("not a bundle at all"),
                                 good.substr(0, good.size() - 1), good + "x"}) {
    EXPECT_THAT(DecodeBundle(bad, codec_), base::StatusIs(absl::StatusCode::kInvalidArgument))
        << bad.size();
  }
}

TEST_P(EveryCodecTest, IsDescribedWhereTheProtocolIs) {
  std::ifstream in(GANNET_SOURCE_DIR "/docs/protocol.md", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());

  EXPECT_THAT(
      text, HasSubstr(absl::StrCat("| `CODEC_", absl::AsciiStrToUpper(base::CodecName(GetParam())),
                                   "` (", GetParam(), ") | ")));
}

// ---- What holds for each

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
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'v'")))
        << bad;
  }
}

TEST(CodecTest, Fp16RefusesFullPrecisionTensors) {
  EXPECT_THAT(
      DecodeBundle(EncodeSafetensors(BundleOf({1.0F})), Codec::kFp16),
      base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expected F16, got F32")));
}

TEST(CodecTest, AnUnknownCodecIsRefused) {
  EXPECT_THAT(EncodeBundle({}, static_cast<Codec>(77)),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got 77")));
  EXPECT_EQ(EncodedDataBytes(SpecOf(BundleOf({1.0F})), static_cast<Codec>(77)), 0);
  EXPECT_THAT(DecodeBundle("", static_cast<Codec>(0)),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("got 0")));
}

}  // namespace
}  // namespace gannet::tensor
