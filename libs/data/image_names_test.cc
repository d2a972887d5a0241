#include "libs/data/image_names.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::data {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(ImageNamesTest, EveryUsualEndingOfAJpegOrPngIsAnImage) {
  for (const char* name : {"a.jpg", "a.JPG", "a.jpeg", "a.jpe", "a.Jfif", "a.png", "x.y/a.b.png"}) {
    EXPECT_TRUE(HasImageEnding(name)) << name;
    EXPECT_THAT(WhyFileIsPassedOver(name).what, IsEmpty()) << name;
  }
  for (const char* name : {"a.gif", "a.txt", "jpg", "a.jpg.txt", "a.jpg/b", ""}) {
    EXPECT_FALSE(HasImageEnding(name)) << name;
  }
  EXPECT_THAT(ImageEndingsText(), HasSubstr(".jpg, .jpeg, .jpe, .jfif"));
}

TEST(ImageNamesTest, PicturesOfOtherFormatsAreCountedByTheirEnding) {
  EXPECT_EQ(WhyFileIsPassedOver("b.GIF").what, ".gif");
  EXPECT_THAT(WhyFileIsPassedOver("b.GIF").why, HasSubstr("convert"));
  EXPECT_EQ(WhyFileIsPassedOver("photo.heic").what, ".heic");
  EXPECT_EQ(WhyFileIsPassedOver("inner.zip").what, ".zip");
  EXPECT_THAT(WhyFileIsPassedOver("inner.zip").why, HasSubstr("unpack"));
  EXPECT_EQ(WhyFileIsPassedOver("film.MOV").what, ".mov");
  EXPECT_EQ(WhyFileIsPassedOver("000001").what, "without ending");
}

TEST(ImageNamesTest, ListsAndTextsAreNotWorthAWord) {
  for (const char* name : {"list.txt", "dataset.json", "list_attr_celeba.csv", "README.md"}) {
    EXPECT_THAT(WhyFileIsPassedOver(name).what, IsEmpty()) << name;
  }
}

TEST(ImageNamesTest, WhatFileManagersMakeIsNotEntered) {
  EXPECT_EQ(WhyFolderIsPassedOver("@eaDir").what, "thumbnails");
  EXPECT_EQ(WhyFolderIsPassedOver("__MACOSX").what, "thumbnails");
  EXPECT_EQ(WhyFolderIsPassedOver(".thumbnails").what, "hidden");
  EXPECT_EQ(WhyFolderIsPassedOver("$RECYCLE.BIN").what, "waste");
  EXPECT_THAT(WhyFolderIsPassedOver("cats").what, IsEmpty());
  EXPECT_THAT(WhyFolderIsPassedOver("thumbs").what, IsEmpty()) << "somebody's own name";
  EXPECT_EQ(WhyFileIsPassedOver("Thumbs.db").what, "thumbnails");
  EXPECT_EQ(WhyFileIsPassedOver("._img00.jpg").what, "hidden");
  EXPECT_EQ(WhyFileIsPassedOver(".DS_Store").what, "hidden");
}

TEST(ImageNamesTest, BothFormsOfUnicodeGiveOneName) {
  const std::string composed = "Zo\xC3\xAB.jpg";
  EXPECT_EQ(NormalizedName("Zoe\xCC\x88.jpg"), composed);
  EXPECT_EQ(NormalizedName(composed), composed);
  EXPECT_EQ(NormalizedName("a\xCC\x8Angstro\xCC\x88m/x.png"), "\xC3\xA5ngstr\xC3\xB6m/x.png");
  EXPECT_EQ(NormalizedName("plain/000001.jpg"), "plain/000001.jpg");
}

TEST(ImageNamesTest, NamesThatAreNotUtf8StayAsTheyAre) {
  EXPECT_EQ(NormalizedName("latin\xFC.jpg"), "latin\xFC.jpg");
  EXPECT_EQ(NormalizedName("cut\xC3"), "cut\xC3");
  // Another character, however much it looks like it: compatibility forms are not touched.
  EXPECT_EQ(NormalizedName("\xEF\xAC\x81.jpg"), "\xEF\xAC\x81.jpg");
}

}  // namespace
}  // namespace gannet::data
