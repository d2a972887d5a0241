#include "cli/latent_path.h"

#include <cmath>

#include "cli/seed_list.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::cli {
namespace {

using ::testing::ElementsAre;

double Length(const gan::Latent& latent) {
  double squares = 0;
  for (const float value : latent) squares += double{value} * value;
  return std::sqrt(squares);
}

TEST(ClosedPathTest, GoesThroughItsKeysAndKeepsTheirLength) {
  const std::vector<gan::Latent> keys = {{2, 0, 0}, {0, 2, 0}, {0, 0, -2}};

  const std::vector<gan::Latent> path = ClosedPath(keys, 5);

  ASSERT_EQ(path.size(), 15U);
  for (size_t key = 0; key < 3; ++key) {
    for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(path[5 * key][i], keys[key][i], 1e-6);
  }
  for (const gan::Latent& point : path) EXPECT_NEAR(Length(point), 2, 1e-5);
}

TEST(ClosedPathTest, EqualAndOppositeKeysAreNoTrap) {
  for (const gan::Latent& other : {gan::Latent{1, 0}, gan::Latent{-1, 0}, gan::Latent{0, 0}}) {
    for (const gan::Latent& point : ClosedPath({{1, 0}, other}, 4)) {
      EXPECT_TRUE(std::isfinite(point[0]) && std::isfinite(point[1]));
    }
  }
}

TEST(TruncateLatentTest, KeepsOrderAndStaysInside) {
  gan::Latent latent = {-9, -1, 0, 0.2f, 1, 9};
  TruncateLatent(0.5, latent);

  for (size_t i = 1; i < latent.size(); ++i) EXPECT_LT(latent[i - 1], latent[i]);
  EXPECT_NEAR(latent[0], -0.5, 1e-4);
  EXPECT_NEAR(latent[2], 0, 1e-6);
  EXPECT_NEAR(latent[5], 0.5, 1e-4);
}

TEST(TruncateLatentTest, AFarThresholdChangesNothing) {
  gan::Latent latent = {-2, 0.5f, 1.5f};
  TruncateLatent(8, latent);
  EXPECT_NEAR(latent[0], -2, 1e-4);
  EXPECT_NEAR(latent[2], 1.5, 1e-4);
}

TEST(ParseSeedListTest, NumbersAndRanges) {
  EXPECT_THAT(*ParseSeedList("7"), ElementsAre(7));
  EXPECT_THAT(*ParseSeedList("3,1,5-7"), ElementsAre(3, 1, 5, 6, 7));
  for (const char* text :
       {"", ",", "1,", "a", "5-", "-5", "7-5", "1 2", "0-99999999999", "99999999999999999999"}) {
    EXPECT_THAT(ParseSeedList(text), base::StatusIs(absl::StatusCode::kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace gannet::cli
