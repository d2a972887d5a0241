#include "libs/base/hex.h"

#include "gtest/gtest.h"

namespace gannet::base {
namespace {

TEST(HexTest, EncodesEveryByte) {
  EXPECT_EQ(HexEncode(std::string("\x00\x7f\xff\x10", 4)), "007fff10");
}

TEST(HexTest, DecodesWhatItEncodes) {
  std::string every_byte;
  for (int b = 0; b < 256; ++b) every_byte += static_cast<char>(b);

  EXPECT_EQ(HexDecode(HexEncode(every_byte)), every_byte);
  EXPECT_EQ(HexDecode(""), "");
}

TEST(HexTest, RejectsUpperCaseAndWrongLength) {
  EXPECT_TRUE(IsHex("00ff", 4));
  EXPECT_FALSE(IsHex("00FF", 4));
  EXPECT_FALSE(IsHex("00ff", 5));
  EXPECT_FALSE(IsHex("00fg", 4));
}

TEST(HexTest, RandomValuesDiffer) {
  EXPECT_TRUE(IsHex(RandomHex(16), 32));
  EXPECT_NE(RandomHex(16), RandomHex(16));
}

}  // namespace
}  // namespace gannet::base
