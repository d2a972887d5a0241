#include "libs/config/nearest_name.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace gannet::config {
namespace {

TEST(NearestNameTest, DistanceCountsInsertDeleteReplaceAndSwap) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("abc", "abc"), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("abc", "ab"), 1);
  EXPECT_EQ(EditDistance("abc", "axc"), 1);
  EXPECT_EQ(EditDistance("abcd", "acbd"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(NearestNameTest, AMistypedNameFindsItsOriginal) {
  const std::vector<std::string> names = {"training.lease", "training.epsilon", "data.path"};

  EXPECT_EQ(NearestName("trainning.lease", names), "training.lease");
  EXPECT_EQ(NearestName("training.laese", names), "training.lease");
  EXPECT_EQ(NearestName("Training.Lease", names), "training.lease");
  EXPECT_EQ(NearestName("dat.pat", names), "data.path");
}

TEST(NearestNameTest, TheRightKeyInTheWrongSectionIsFound) {
  const std::vector<std::string> names = {"training.lease", "run.name"};

  EXPECT_EQ(NearestName("coordinator.lease", names), "training.lease");
  EXPECT_EQ(NearestName("lease", names), "training.lease");
}

TEST(NearestNameTest, DashesAndUnderscoresAreTheSame) {
  EXPECT_EQ(NearestName("--a-b", {"--a_b", "--abc"}), "--a_b");
}

TEST(NearestNameTest, NothingCloseGivesNothing) {
  const std::vector<std::string> names = {"training.lease"};

  EXPECT_EQ(NearestName("", names), "");
  EXPECT_EQ(NearestName("zebra", names), "");
  EXPECT_EQ(NearestName(std::string(10'000, 'x'), names), "");
  EXPECT_EQ(NearestName("lease", {}), "");
}

}  // namespace
}  // namespace gannet::config
