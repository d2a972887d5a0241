#include "libs/base/status_macros.h"

#include <memory>

#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::base {
namespace {

absl::Status Pass(absl::Status status) {
  GANNET_RETURN_IF_ERROR(status);
  return absl::UnknownError("went on");
}

absl::StatusOr<int> Add(absl::StatusOr<std::unique_ptr<int>> a, absl::StatusOr<int> b) {
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<int> left, std::move(a));
  GANNET_ASSIGN_OR_RETURN(const int right, b);
  return *left + right;
}

TEST(StatusMacrosTest, AnErrorReturnsAndOkGoesOn) {
  EXPECT_THAT(Pass(absl::AbortedError("x")), StatusIs(absl::StatusCode::kAborted));
  EXPECT_THAT(Pass(absl::OkStatus()), StatusIs(absl::StatusCode::kUnknown));
}

TEST(StatusMacrosTest, AssignMovesTheValue) {
  EXPECT_THAT(Add(std::make_unique<int>(2), 3), IsOkAndHolds(5));
  EXPECT_THAT(Add(std::make_unique<int>(2), absl::NotFoundError("x")),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace gannet::base
