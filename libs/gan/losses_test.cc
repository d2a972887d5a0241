#include "libs/gan/losses.h"

#include <cmath>
#include <string>

#include "gtest/gtest.h"
#include "libs/base/training_choices.h"

namespace gannet::gan {
namespace {

class LossTest : public ::testing::TestWithParam<absl::string_view> {
 protected:
  const Loss& loss() const { return *FindLoss(GetParam()); }
};

TEST_P(LossTest, MovesWithItsTargetIfItKnowsOne) {
  const bool moves = loss().real(0.3, 1).derivative != loss().real(0.3, 0.7).derivative;
  EXPECT_EQ(moves, !base::LossIgnoresTarget(GetParam()));
}

// Points at which no loss has a kink.
TEST_P(LossTest, DerivativesAreThoseOfTheValues) {
  constexpr double kStep = 1e-5;
  for (const double logit : {-31.7, -3.2, -0.4, 0.3, 0.9, 2.5, 40.1}) {
    const auto expect = [&](const auto& term, const char* which) {
      const double quotient = (term(logit + kStep).value - term(logit - kStep).value) / (2 * kStep);
      EXPECT_NEAR(term(logit).derivative, quotient, 1e-6 * std::max(1.0, std::abs(quotient)))
          << which << " at " << logit;
    };
    expect([&](double x) { return loss().real(x, 0.9); }, "real");
    expect(loss().fake, "fake");
    expect(loss().generator, "generator");
  }
}

TEST_P(LossTest, PullsEachLogitTheRightWay) {
  // At a logit on the wrong side the discriminator goes towards the truth and the generator away
  // from it.
  EXPECT_LT(loss().real(-0.8, 1).derivative, 0);
  EXPECT_GT(loss().fake(0.8).derivative, 0);
  EXPECT_LT(loss().generator(-0.8).derivative, 0);
}

TEST_P(LossTest, StaysFiniteFarOut) {
  for (const double logit : {-1e6, 1e6}) {
    for (const LossTerm& term :
         {loss().real(logit, 1), loss().fake(logit), loss().generator(logit)}) {
      EXPECT_TRUE(std::isfinite(term.value));
      EXPECT_TRUE(std::isfinite(term.derivative));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, LossTest, ::testing::ValuesIn(base::kLossNames),
                         [](const auto& loss) { return std::string(loss.param); });

TEST(FindLossTest, KnowsNoOther) { EXPECT_EQ(FindLoss("wasserstein"), nullptr); }

}  // namespace
}  // namespace gannet::gan
