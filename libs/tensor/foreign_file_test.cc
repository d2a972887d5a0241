#include "libs/tensor/foreign_file.h"

#include <cstdint>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/tensor/safetensors.h"

namespace gannet::tensor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// A file with one tensor of these bytes.
std::string FileOf(const std::string& name, const std::string& dtype, int64_t count,
                   const std::string& data) {
  std::string json = "{\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" +
                     std::to_string(count) + "],\"data_offsets\":[0," +
                     std::to_string(data.size()) + "]}}";
  std::string out;
  for (int shift = 0; shift < 64; shift += 8) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(json.size()) >> shift));
  }
  return out + json + data;
}

TEST(ForeignFileTest, WhatIsNoSafetensorsIsNamed) {
  const std::string page = "\n <!DOCTYPE html><html><head><title>Sign in</title></head></html>";
  for (const auto& [bytes, says] : std::initializer_list<std::pair<std::string, const char*>>{
           {"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 5\n",
            "git lfs pull"},
           {page, "web page"},
           {"<?xml version=\"1.0\"?><Error/>", "web page"},
           {"{\"error\": \"Repository not found\"}", "JSON"},
           {std::string("PK\x03\x04") + std::string(20, 'x'), "save_file"},
           {"\x80\x02\x8a\x0a"
            "l\xfc\x9c"
            "F\xf9 j\xa8P\x19.",
            "pickle of PyTorch"},
           {std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10), "gunzip"},
           {std::string("\x89HDF\r\n\x1a\n") + std::string(8, '\0'), "Keras"},
           {std::string("\x89PNG\r\n\x1a\n") + std::string(8, '\0'), "picture"}}) {
    EXPECT_THAT(DecodeSafetensors(bytes), base::StatusIs(kInvalid, HasSubstr(says))) << says;
    EXPECT_THAT(DecodeForeignWeights(bytes), base::StatusIs(kInvalid, HasSubstr(says))) << says;
    EXPECT_THAT(ReadSafetensorsMetadata(bytes), base::StatusIs(kInvalid, HasSubstr(says))) << says;
    EXPECT_THAT(DecodeSafetensors(bytes).status().message(), Not(HasSubstr("header is too large")));
  }
  EXPECT_THAT(DecodeSafetensors(std::string(50, 'z')),
              base::StatusIs(kInvalid, HasSubstr("too large")));
}

TEST(ForeignFileTest, ValuesOfEveryTypeBecomeFloats) {
  // 1, -2, the smallest half, the largest half.
  const std::string halves("\x00\x3c\x00\xc0\x01\x00\xff\x7b", 8);
  ASSERT_OK_AND_ASSIGN(const TensorBundle f16, DecodeForeignWeights(FileOf("a", "F16", 4, halves)));
  EXPECT_THAT(f16.tensors()[0].f32(), ElementsAre(1.0F, -2.0F, 0x1p-24F, 65504.0F));

  // 1, -2, 3.140625, 1e38 as nearly as it has that.
  const std::string brain("\x80\x3f\x00\xc0\x49\x40\x96\x7e", 8);
  ASSERT_OK_AND_ASSIGN(const TensorBundle bf16,
                       DecodeForeignWeights(FileOf("a", "BF16", 4, brain)));
  EXPECT_THAT(bf16.tensors()[0].f32(),
              ElementsAre(1.0F, -2.0F, 3.140625F, ::testing::FloatNear(1e38F, 1e36F)));
  EXPECT_THAT(DecodeSafetensors(FileOf("a", "BF16", 4, brain)),
              base::StatusIs(kInvalid, HasSubstr("unknown dtype")))
      << "what workers send has no such type";

  TensorBundle doubles;
  doubles.Add(Tensor::FromF64("a", {2}, {0.5, -0.25}));
  ASSERT_OK_AND_ASSIGN(const TensorBundle f64, DecodeForeignWeights(EncodeSafetensors(doubles)));
  EXPECT_THAT(f64.tensors()[0].f32(), ElementsAre(0.5F, -0.25F));

  // What is not a number stays none, so that it is found.
  ASSERT_OK_AND_ASSIGN(const TensorBundle nan,
                       DecodeForeignWeights(FileOf("a", "F16", 1, std::string("\x00\x7e", 2))));
  EXPECT_FALSE(nan.CheckFinite().ok());
}

TEST(ForeignFileTest, NamesLoseWhatWrappersPutIntoThem) {
  TensorBundle bundle;
  bundle.Add(Tensor::Zeros({"module.main.0.weight", Dtype::kF32, {1}}));
  bundle.Add(Tensor::Zeros({"generator._orig_mod.module.main.3.weight", Dtype::kF32, {1}}));
  ASSERT_OK_AND_ASSIGN(const TensorBundle read, DecodeForeignWeights(EncodeSafetensors(bundle)));
  EXPECT_NE(read.Find("main.0.weight"), nullptr);
  EXPECT_NE(read.Find("generator.main.3.weight"), nullptr);

  bundle.Add(Tensor::Zeros({"main.0.weight", Dtype::kF32, {1}}));
  EXPECT_THAT(DecodeForeignWeights(EncodeSafetensors(bundle)),
              base::StatusIs(kInvalid, HasSubstr("main.0.weight")));
}

TEST(ForeignFileTest, MissingCountsOfBatchesAreAdded) {
  TensorBundle bundle;
  for (const char* name : {"main.1.running_mean", "main.1.running_var", "main.4.running_var"}) {
    bundle.Add(Tensor::Zeros({name, Dtype::kF32, {3}}));
  }
  bundle.Add(Tensor::FromI64Scalar("main.4.num_batches_tracked", 7));

  ASSERT_OK_AND_ASSIGN(const TensorBundle read, DecodeForeignWeights(EncodeSafetensors(bundle)));

  ASSERT_NE(read.Find("main.1.num_batches_tracked"), nullptr);
  EXPECT_EQ(read.Find("main.1.num_batches_tracked")->i64_scalar(), 0);
  EXPECT_EQ(read.Find("main.4.num_batches_tracked")->i64_scalar(), 7);
  EXPECT_EQ(read.tensors().size(), 5U);
}

}  // namespace
}  // namespace gannet::tensor
