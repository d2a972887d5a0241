#include "libs/domain/refusal_reason.h"

#include <set>

#include "gtest/gtest.h"

namespace gannet::domain {
namespace {

TEST(RefusalReasonTest, EveryReasonHasALabelAndATextOfItsOwn) {
  std::set<absl::string_view> labels;
  std::set<absl::string_view> texts;
  for (int i = 0; i <= static_cast<int>(RefusalReason::kLast); ++i) {
    const auto reason = static_cast<RefusalReason>(i);
    labels.insert(RefusalLabel(reason));
    texts.insert(DescribeRefusal(reason));
    EXPECT_EQ(RefusalOfLabel(RefusalLabel(reason)), reason);
  }
  EXPECT_EQ(labels.size(), static_cast<size_t>(RefusalReason::kLast) + 1);
  EXPECT_EQ(texts.size(), labels.size());
  EXPECT_EQ(RefusalOfLabel("of a newer version"), std::nullopt);
}

}  // namespace
}  // namespace gannet::domain
