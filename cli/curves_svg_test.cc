#include "cli/curves_svg.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<exchange::RoundSummary> Rounds(int count) {
  std::vector<exchange::RoundSummary> rounds;
  for (int i = 1; i <= count; ++i) {
    exchange::RoundSummary round;
    round.round = base::Round(i);
    round.discriminator_loss = 1.4;
    round.generator_loss = i;
    round.real_accuracy = 0.5;
    rounds.push_back(round);
  }
  return rounds;
}

// The points of the n-th curve.
std::vector<std::string> PointsOf(const std::string& svg, size_t n) {
  const std::vector<std::string> parts = absl::StrSplit(svg, "points=\"");
  return absl::StrSplit(parts.at(n + 1).substr(0, parts.at(n + 1).find('"')), ' ',
                        absl::SkipEmpty());
}

TEST(CurvesSvgTest, ARoundIsAPoint) {
  const std::string svg = CurvesSvg(Rounds(10));

  EXPECT_EQ(PointsOf(svg, 0).size(), 10U);
  // A constant is a level line, and what grows climbs (y counts downwards).
  EXPECT_EQ(PointsOf(svg, 0)[0].substr(PointsOf(svg, 0)[0].find(',')),
            PointsOf(svg, 0)[9].substr(PointsOf(svg, 0)[9].find(',')));
  EXPECT_EQ(PointsOf(svg, 1)[9], "780.0,34.0");
  EXPECT_THAT(svg, HasSubstr("generator"));
}

TEST(CurvesSvgTest, ManyRoundsAreThinned) {
  EXPECT_EQ(PointsOf(CurvesSvg(Rounds(100'000)), 3).size(), 400U);
}

TEST(CurvesSvgTest, NoRoundsAreAnEmptyPicture) {
  EXPECT_TRUE(PointsOf(CurvesSvg({}), 0).empty());
  EXPECT_THAT(CurvesSvg({}), Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace gannet::cli
