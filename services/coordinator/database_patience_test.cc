#include "services/coordinator/database_patience.h"

#include <vector>

#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet {
namespace {

using ::testing::ElementsAre;

constexpr BackoffPolicy kQuick = {absl::Microseconds(10), absl::Microseconds(10), 1.0};

class DatabasePatienceTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  StopFlag stop_;
  std::vector<bool> changes_;
  DatabasePatience patience_{clock_, stop_, NullLogger(), kQuick,
                             [this](bool up) { changes_.push_back(up); }};
};

TEST_F(DatabasePatienceTest, RepeatsUntilTheDatabaseAnswers) {
  std::vector<absl::Status> answers = {absl::OkStatus(), absl::UnknownError("in doubt"),
                                       absl::AbortedError("serialization"),
                                       absl::UnavailableError("gone")};
  const absl::Status status = patience_.Call("ask", [&] {
    const absl::Status answer = answers.back();
    answers.pop_back();
    return answer;
  });

  EXPECT_OK(status);
  EXPECT_TRUE(answers.empty());
  EXPECT_THAT(changes_, ElementsAre(false, true));
}

TEST_F(DatabasePatienceTest, AnAnswerAtOnceIsNoChange) {
  EXPECT_OK(patience_.Call("ask", [] { return absl::OkStatus(); }));
  EXPECT_TRUE(changes_.empty());
}

TEST_F(DatabasePatienceTest, ErrorsThatStayAreReturned) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kFailedPrecondition, absl::StatusCode::kNotFound,
        absl::StatusCode::kInvalidArgument, absl::StatusCode::kInternal,
        absl::StatusCode::kDataLoss, absl::StatusCode::kAlreadyExists,
        absl::StatusCode::kPermissionDenied}) {
    int calls = 0;
    EXPECT_THAT(patience_.Call("ask",
                               [&] {
                                 ++calls;
                                 return absl::Status(code, "no");
                               }),
                StatusIs(code));
    EXPECT_EQ(calls, 1);
  }
}

TEST_F(DatabasePatienceTest, AStopEndsTheWait) {
  int calls = 0;
  EXPECT_THAT(patience_.Call("ask",
                             [&] {
                               if (++calls == 3) stop_.Raise();
                               return absl::UnavailableError("gone");
                             }),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(calls, 3);
}

TEST_F(DatabasePatienceTest, GivesTheResultOfTheCallThatWorked) {
  int calls = 0;
  EXPECT_THAT(patience_.CallFor("ask",
                                [&]() -> absl::StatusOr<int> {
                                  if (++calls < 3) return absl::UnavailableError("gone");
                                  return calls;
                                }),
              IsOkAndHolds(3));
}

TEST(StopFlagTest, StaysRaised) {
  StopFlag stop;
  EXPECT_FALSE(stop.raised());
  EXPECT_FALSE(stop.AwaitFor(absl::Microseconds(1)));

  stop.Raise();

  EXPECT_TRUE(stop.raised());
  EXPECT_TRUE(stop.AwaitFor(absl::InfiniteDuration()));
}

}  // namespace
}  // namespace gannet
