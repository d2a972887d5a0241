#include "cli/frame_choice.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FrameChoiceTest, FewFramesAreAllTaken) {
  EXPECT_THAT(ChooseFrames(0, 5), IsEmpty());
  EXPECT_THAT(ChooseFrames(3, 3), ElementsAre(0, 1, 2));
}

TEST(FrameChoiceTest, ManyFramesAreSpreadWithFirstAndLast) {
  EXPECT_THAT(ChooseFrames(101, 5), ElementsAre(0, 25, 50, 75, 100));
  EXPECT_THAT(ChooseFrames(4, 3), ElementsAre(0, 1, 3));
  EXPECT_THAT(ChooseFrames(10, 2), ElementsAre(0, 9));
}

TEST(FrameChoiceTest, ASingleFrameIsTheLast) { EXPECT_THAT(ChooseFrames(10, 1), ElementsAre(9)); }

}  // namespace
}  // namespace gannet::cli
