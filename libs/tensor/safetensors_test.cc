#include "libs/tensor/safetensors.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::tensor {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// A file of this header and so many bytes of data.
std::string FileOf(const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), sizeof size) + header +
         std::string(data_bytes, '\1');
}

std::string Entry(const std::string& name, const std::string& shape, const std::string& offsets,
                  const std::string& dtype = "F32") {
  return absl::StrCat("\"", name, "\":{\"dtype\":\"", dtype, "\",\"shape\":[", shape,
                      "],\"data_offsets\":[", offsets, "]}");
}

// That a file of this header is refused with this text.
void ExpectRefused(const std::string& header, size_t data_bytes, const std::string& text) {
  EXPECT_THAT(DecodeSafetensors(FileOf(header, data_bytes)),
              base::StatusIs(absl::StatusCode::kInvalidArgument,
                             AllOf(HasSubstr("not a valid safetensors file"), HasSubstr(text))))
      << header;
}

TensorBundle SmallBundle() {
  TensorBundle bundle;
  bundle.Add(Tensor::FromF32("z", {2, 1}, {1.0F, -2.0F}));
  bundle.Add(Tensor::FromI64Scalar("a", 7));
  bundle.Add(Tensor::Zeros({"empty", Dtype::kF32, {0, 3}}));
  bundle.Add(Tensor::Zeros({"half", Dtype::kF16, {3}}));
  return bundle;
}

TEST(SafetensorsTest, DecodingUndoesEncoding) {
  const TensorBundle bundle = SmallBundle();

  ASSERT_OK_AND_ASSIGN(const TensorBundle decoded, DecodeSafetensors(EncodeSafetensors(bundle)));

  ASSERT_EQ(decoded.tensors().size(), bundle.tensors().size());
  for (size_t i = 0; i < decoded.tensors().size(); ++i) {
    EXPECT_EQ(decoded.tensors()[i].spec, bundle.tensors()[i].spec);
    EXPECT_EQ(decoded.tensors()[i].bytes, bundle.tensors()[i].bytes);
  }
}

TEST(SafetensorsTest, BytesAreThoseOfTheFormat) {
  TensorBundle bundle;
  bundle.Add(Tensor::FromF32("b", {1}, {1.0F}));
  bundle.Add(Tensor::FromI64Scalar("a", 2));

  const std::string bytes = EncodeSafetensors(bundle, {{"y", "2"}, {"x", "1"}});

  const std::string header =
      "{\"__metadata__\":{\"x\":\"1\",\"y\":\"2\"},"
      "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
      "\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[4,12]}}";
  const size_t padded = (header.size() + 7) / 8 * 8;
  ASSERT_EQ(bytes.size(), 8 + padded + 12);
  EXPECT_EQ(static_cast<unsigned char>(bytes[0]), padded);
  EXPECT_EQ(bytes.substr(1, 7), std::string(7, '\0'));
  EXPECT_EQ(bytes.substr(8, padded), header + std::string(padded - header.size(), ' '));
  EXPECT_EQ(bytes.substr(8 + padded), std::string("\0\0\x80\x3f\2\0\0\0\0\0\0\0", 12));
}

TEST(SafetensorsTest, AnEmptyBundleIsAFile) {
  ASSERT_OK_AND_ASSIGN(const TensorBundle decoded,
                       DecodeSafetensors(EncodeSafetensors(TensorBundle())));

  EXPECT_TRUE(decoded.tensors().empty());
}

TEST(SafetensorsTest, MetadataComesBack) {
  const std::map<std::string, std::string> metadata = {
      {"quote\"d", "line\nbreak\\"}, {"format", "pt"}, {"empty", ""}, {"umlaut", "\xC3\xBC"}};

  ASSERT_OK_AND_ASSIGN(const auto read,
                       ReadSafetensorsMetadata(EncodeSafetensors(SmallBundle(), metadata)));

  EXPECT_EQ(read, metadata);
}

TEST(SafetensorsTest, AFileWithoutMetadataHasNone) {
  ASSERT_OK_AND_ASSIGN(const auto read, ReadSafetensorsMetadata(EncodeSafetensors(SmallBundle())));

  EXPECT_TRUE(read.empty());
}

TEST(SafetensorsTest, TensorsComeInTheOrderOfTheirData) {
  const std::string header =
      absl::StrCat("{", Entry("b", "1", "4,8"), ",", Entry("a", "1", "0,4"), "}");

  ASSERT_OK_AND_ASSIGN(const TensorBundle bundle, DecodeSafetensors(FileOf(header, 8)));

  ASSERT_EQ(bundle.tensors().size(), 2u);
  EXPECT_EQ(bundle.tensors()[0].spec.name, "a");
  EXPECT_EQ(bundle.tensors()[1].spec.name, "b");
}

TEST(SafetensorsTest, ViewsPointIntoTheFile) {
  const std::string file = FileOf(absl::StrCat("{", Entry("a", "2", "0,8"), "}"), 8);

  ASSERT_OK_AND_ASSIGN(const auto views, ParseSafetensors(file));

  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].bytes.data(), file.data() + file.size() - 8);
  EXPECT_EQ(views[0].bytes.size(), 8u);
}

TEST(SafetensorsTest, EveryTruncationIsRefused) {
  const std::string file = EncodeSafetensors(SmallBundle());

  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_THAT(DecodeSafetensors(file.substr(0, size)),
                base::StatusIs(absl::StatusCode::kInvalidArgument))
        << size;
  }
}

TEST(SafetensorsTest, AHugeHeaderLengthIsRefused) {
  for (const uint64_t length :
       {uint64_t{kMaxSafetensorsHeaderBytes + 1}, UINT64_MAX, UINT64_MAX - 7, uint64_t{1} << 63}) {
    std::string file = FileOf("{}", 0);
    std::memcpy(file.data(), &length, sizeof length);

    EXPECT_THAT(DecodeSafetensors(file), base::StatusIs(absl::StatusCode::kInvalidArgument,
                                                        HasSubstr("header is too large")));
  }
}

TEST(SafetensorsTest, TheLargestHeaderIsReadAndOneByteMoreIsNot) {
  const std::string largest = "{}" + std::string(kMaxSafetensorsHeaderBytes - 2, ' ');

  EXPECT_OK(DecodeSafetensors(FileOf(largest, 0)));
  ExpectRefused(largest + " ", 0, "header is too large");
}

TEST(SafetensorsTest, NoFileIsMadeThatCannotBeReadAgain) {
  const TensorBundle bundle = SmallBundle();
  const size_t others = SafetensorsHeader({bundle.tensors()[0].spec, bundle.tensors()[1].spec,
                                           bundle.tensors()[2].spec, bundle.tensors()[3].spec},
                                          {{"k", ""}})
                            .size();
  const size_t room = kMaxSafetensorsHeaderBytes + sizeof(uint64_t) - others;

  ASSERT_OK_AND_ASSIGN(const std::string largest,
                       EncodeSafetensorsFile(bundle, {{"k", std::string(room, 'v')}}));
  EXPECT_OK(DecodeSafetensors(largest));
  // One beyond what padding takes.
  EXPECT_THAT(EncodeSafetensorsFile(bundle, {{"k", std::string(room + 8, 'v')}}),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("too long")));
}

TEST(SafetensorsTest, AHeaderLongerThanTheFileIsRefused) {
  std::string file = FileOf("{}", 0);
  file[0] = 3;

  EXPECT_THAT(DecodeSafetensors(file), base::StatusIs(absl::StatusCode::kInvalidArgument,
                                                      HasSubstr("truncated in the header")));
}

TEST(SafetensorsTest, OverlapsAreRefused) {
  ExpectRefused(absl::StrCat("{", Entry("a", "2", "0,8"), ",", Entry("b", "2", "4,12"), "}"), 12,
                "overlaps");
  ExpectRefused(absl::StrCat("{", Entry("a", "1", "0,4"), ",", Entry("b", "1", "0,4"), "}"), 4,
                "overlaps");
}

TEST(SafetensorsTest, HolesAreRefused) {
  ExpectRefused(absl::StrCat("{", Entry("a", "1", "4,8"), "}"), 8, "hole before tensor 'a'");
  ExpectRefused(absl::StrCat("{", Entry("a", "1", "0,4"), ",", Entry("b", "1", "5,9"), "}"), 9,
                "hole before tensor 'b'");
  ExpectRefused(absl::StrCat("{", Entry("a", "1", "0,4"), "}"), 5, "surplus bytes");
  ExpectRefused("{}", 1, "surplus bytes");
}

TEST(SafetensorsTest, OffsetsMustFitTheShape) {
  ExpectRefused(absl::StrCat("{", Entry("a", "2", "0,4"), "}"), 4, "do not fit its shape");
  ExpectRefused(absl::StrCat("{", Entry("a", "2", "8,0"), "}"), 8, "do not fit its shape");
  ExpectRefused(absl::StrCat("{", Entry("a", "2", "0,8", "F16"), "}"), 8, "do not fit its shape");
  ExpectRefused(absl::StrCat("{", Entry("a", "2", "0,8"), "}"), 7, "truncated in tensor 'a'");
}

TEST(SafetensorsTest, SizesThatOverflowAreRefused) {
  const std::string huge = "9223372036854775807";
  ExpectRefused(absl::StrCat("{", Entry("a", huge, "0,4"), "}"), 4, "overflows");
  ExpectRefused(absl::StrCat("{", Entry("a", "4294967296,4294967296", "0,0"), "}"), 0, "overflows");
  ExpectRefused(absl::StrCat("{", Entry("a", "9223372036854775808", "0,4"), "}"), 4, "too large");
  ExpectRefused(absl::StrCat("{", Entry("a", "99999999999999999999", "0,4"), "}"), 4, "fraction");
  ExpectRefused(
      absl::StrCat("{", Entry("a", "1", "18446744073709551612,18446744073709551615"), "}"), 4,
      "do not fit its shape");
  ExpectRefused(
      absl::StrCat("{", Entry("a", "1", "18446744073709551611,18446744073709551615"), "}"), 4,
      "hole");
  // An empty tensor stays empty, however large its other dimensions are.
  EXPECT_OK(DecodeSafetensors(
      FileOf(absl::StrCat("{", Entry("a", huge + "," + huge + ",0", "0,0"), "}"), 0)));
}

TEST(SafetensorsTest, RepeatedNamesAndKeysAreRefused) {
  ExpectRefused(absl::StrCat("{", Entry("a", "1", "0,4"), ",", Entry("a", "1", "4,8"), "}"), 8,
                "the same name twice: 'a'");
  ExpectRefused("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "the same name twice");
  ExpectRefused("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "the same key twice: 'k'");
  ExpectRefused(
      "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
      "the same key twice: 'dtype'");
  ExpectRefused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
                "the same key twice: 'shape'");
}

TEST(SafetensorsTest, OtherShapesOfHeaderAreRefused) {
  ExpectRefused("", 0, "does not begin with '{'");
  ExpectRefused(" {}", 0, "does not begin with '{'");
  ExpectRefused("[]", 0, "does not begin with '{'");
  ExpectRefused("{", 0, "not JSON");
  ExpectRefused("{} x", 0, "not JSON");
  ExpectRefused("{\"a\":1}", 0, "unexpected a number");
  ExpectRefused("{\"a\":null}", 0, "unexpected null");
  ExpectRefused("{\"a\":true}", 0, "unexpected a truth value");
  ExpectRefused("{\"a\":\"x\"}", 0, "unexpected a text");
  ExpectRefused("{\"a\":[]}", 0, "unexpected an array");
  ExpectRefused("{\"a\":{}}", 0, "is missing");
  ExpectRefused("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "is missing");
  ExpectRefused("{\"a\":{\"dtype\":{},\"shape\":[1]}}", 4, "unexpected an object");
  ExpectRefused("{\"a\":{\"dtype\":[],\"shape\":[1]}}", 4, "unexpected an array");
  ExpectRefused("{\"a\":{\"other\":1}}", 0, "unknown key 'other'");
  ExpectRefused(absl::StrCat("{", Entry("a", "[1]", "0,4"), "}"), 4, "unexpected an array");
  ExpectRefused(absl::StrCat("{", Entry("a", "-1", "0,4"), "}"), 4, "unexpected a negative number");
  ExpectRefused(absl::StrCat("{", Entry("a", "1.0", "0,4"), "}"), 4, "unexpected a fraction");
  ExpectRefused(absl::StrCat("{", Entry("a", "1", "0"), "}"), 4, "fewer than two");
  ExpectRefused(absl::StrCat("{", Entry("a", "1", "0,4,4"), "}"), 4, "more than two");
  ExpectRefused(absl::StrCat("{", Entry("a", "1,1,1,1,1,1,1,1,1", "0,4"), "}"), 4,
                "too many dimensions");
  EXPECT_OK(
      DecodeSafetensors(FileOf(absl::StrCat("{", Entry("a", "1,1,1,1,1,1,1,1", "0,4"), "}"), 4)));
  ExpectRefused(absl::StrCat("{", Entry("a", "2", "0,4", "BF16"), "}"), 4,
                "unknown dtype, expected F32, F16, I64 or F64, got 'BF16'");
  ExpectRefused("{\"__metadata__\":{\"k\":1}}", 0, "unexpected a number");
  ExpectRefused("{\"__metadata__\":{\"k\":{}}}", 0, "unexpected an object");
  ExpectRefused("{\"__metadata__\":\"k\"}", 0, "unexpected a text");
}

TEST(SafetensorsTest, DeepNestingIsRefusedAtOnce) {
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";

  ExpectRefused(deep, 0, "unknown key");
}

TEST(SafetensorsTest, TextThatIsNotUtf8IsRefused) {
  ExpectRefused(absl::StrCat("{", Entry("a\xFF", "1", "0,4"), "}"), 4,
                "not JSON in UTF-8, at byte");
  ExpectRefused(absl::StrCat("{", Entry("\xC0\xAF", "1", "0,4"), "}"), 4, "not JSON in UTF-8");
  ExpectRefused(absl::StrCat("{", Entry("\xED\xA0\x80", "1", "0,4"), "}"), 4, "not JSON in UTF-8");
  ExpectRefused(absl::StrCat("{", Entry("a\nb", "1", "0,4"), "}"), 4, "not JSON in UTF-8");
}

TEST(SafetensorsTest, OddNamesComeBackAndAreEscapedInMessages) {
  TensorBundle bundle;
  bundle.Add(Tensor::FromF32("a\"\\\n\t\x01 \xC3\xBC", {1}, {1.0F}));

  ASSERT_OK_AND_ASSIGN(const TensorBundle decoded, DecodeSafetensors(EncodeSafetensors(bundle)));

  EXPECT_EQ(decoded.tensors()[0].spec, bundle.tensors()[0].spec);
  ExpectRefused(absl::StrCat("{", Entry("x\\ny", "1", "4,8"), "}"), 8, "'x\\ny'");
}

TEST(SafetensorsTest, MetadataOfAMalformedHeaderIsRefused) {
  EXPECT_THAT(ReadSafetensorsMetadata("abc"), base::StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK_AND_ASSIGN(const auto read,
                       ReadSafetensorsMetadata(FileOf("{\"__metadata__\":{\"k\":\"v\"}}", 0)));
  EXPECT_THAT(read, UnorderedElementsAre(Pair("k", "v")));
}

TEST(SafetensorsTest, EveryChangedByteIsReadOrRefusedAndNeverCrashes) {
  const std::string file = EncodeSafetensors(SmallBundle(), {{"k", "v"}});
  int refused = 0;

  for (size_t i = 0; i < file.size(); ++i) {
    for (const char with : {'\0', '\xFF', '"', '9', '}', '\\'}) {
      std::string changed = file;
      changed[i] = with;
      if (!DecodeSafetensors(changed).ok()) ++refused;
    }
  }

  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace gannet::tensor
