#include "services/gateway/byte_budget.h"

#include <limits>
#include <utility>

#include "gtest/gtest.h"
#include "services/gateway/testing/waiting.h"

namespace gannet::gateway {
namespace {

TEST(ByteBudgetTest, GivesOutExactlyItsLimit) {
  ReadableGauge held;
  ByteBudget budget(100, held);

  const ByteBudget::Hold first = budget.TryHold(60);
  const ByteBudget::Hold second = budget.TryHold(40);

  EXPECT_TRUE(first);
  EXPECT_TRUE(second);
  EXPECT_FALSE(budget.TryHold(1));
  EXPECT_EQ(held.value(), 100);
}

TEST(ByteBudgetTest, WhatIsGivenBackCanBeHeldAgain) {
  ReadableGauge held;
  ByteBudget budget(100, held);
  {
    ByteBudget::Hold hold = budget.TryHold(100);
    const ByteBudget::Hold moved = std::move(hold);
    EXPECT_FALSE(budget.TryHold(1));
  }

  EXPECT_EQ(held.value(), 0);
  EXPECT_TRUE(budget.TryHold(100));
}

TEST(ByteBudgetTest, AHoldGrowsWhileThereIsRoomAndKeepsWhatItHasWhenThereIsNone) {
  ReadableGauge held;
  ByteBudget budget(100, held);
  ByteBudget::Hold hold = budget.TryHold(0);
  ASSERT_TRUE(hold);
  EXPECT_TRUE(hold.GrowTo(40));
  EXPECT_TRUE(hold.GrowTo(30)) << "it has more";
  const ByteBudget::Hold other = budget.TryHold(50);
  EXPECT_TRUE(budget.HasRoomFor(10));
  EXPECT_FALSE(budget.HasRoomFor(11));

  EXPECT_FALSE(hold.GrowTo(51));
  EXPECT_EQ(held.value(), 90);
  hold = ByteBudget::Hold();
  EXPECT_EQ(held.value(), 50);
}

TEST(ByteBudgetTest, AnAbsurdNumberOfBytesIsRefused) {
  ReadableGauge held;
  ByteBudget budget(100, held);
  const ByteBudget::Hold some = budget.TryHold(1);

  EXPECT_FALSE(budget.TryHold(std::numeric_limits<int64_t>::max()));
}

}  // namespace
}  // namespace gannet::gateway
