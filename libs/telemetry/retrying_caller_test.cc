#include "libs/telemetry/retrying_caller.h"

#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr base::BackoffPolicy kQuick = {absl::Microseconds(10), absl::Microseconds(10), 1.0};

class RetryingCallerTest : public ::testing::Test {
 protected:
  base::FakeClock clock_;
  base::StopSignal stop_;
  std::vector<bool> changes_;
  RetryingCaller caller_{"the test",   clock_, stop_,
                         NullLogger(), kQuick, [this](bool up) { changes_.push_back(up); }};
};

TEST_F(RetryingCallerTest, RepeatsUntilThePeerAnswers) {
  std::vector<absl::Status> answers = {absl::OkStatus(), absl::UnknownError("in doubt"),
                                       absl::AbortedError("serialization"),
                                       absl::UnavailableError("gone")};
  const absl::Status status = caller_.Call("ask", [&] {
    const absl::Status answer = answers.back();
    answers.pop_back();
    return answer;
  });

  EXPECT_OK(status);
  EXPECT_TRUE(answers.empty());
  EXPECT_THAT(changes_, ElementsAre(false, true));
}

TEST_F(RetryingCallerTest, AnAnswerAtOnceIsNoChange) {
  EXPECT_OK(caller_.Call("ask", [] { return absl::OkStatus(); }));
  EXPECT_TRUE(changes_.empty());
}

TEST_F(RetryingCallerTest, ErrorsThatStayAreReturned) {
  for (const absl::StatusCode code :
       {absl::StatusCode::kFailedPrecondition, absl::StatusCode::kNotFound,
        absl::StatusCode::kInvalidArgument, absl::StatusCode::kInternal,
        absl::StatusCode::kDataLoss, absl::StatusCode::kAlreadyExists,
        absl::StatusCode::kPermissionDenied}) {
    int calls = 0;
    EXPECT_THAT(caller_.Call("ask",
                             [&] {
                               ++calls;
                               return absl::Status(code, "no");
                             }),
                base::StatusIs(code));
    EXPECT_EQ(calls, 1);
  }
  EXPECT_TRUE(changes_.empty());
}

TEST_F(RetryingCallerTest, AnErrorThatStaysAfterAWaitIsAnAnswer) {
  int calls = 0;
  EXPECT_THAT(caller_.Call("ask",
                           [&] {
                             return ++calls == 1 ? absl::UnavailableError("gone")
                                                 : absl::NotFoundError("no such run");
                           }),
              base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(changes_, ElementsAre(false, true));
}

TEST_F(RetryingCallerTest, AlsoRetryAddsReasons) {
  int calls = 0;

  EXPECT_OK(caller_.Call(
      "ask", [&] { return ++calls < 3 ? absl::NotFoundError("no run yet") : absl::OkStatus(); },
      [](const absl::Status& status) { return status.code() == absl::StatusCode::kNotFound; }));

  EXPECT_EQ(calls, 3);
}

TEST_F(RetryingCallerTest, AStopEndsTheWait) {
  RetryingCaller slow("the test", clock_, stop_, NullLogger(),
                      {.initial = absl::Hours(1), .max = absl::Hours(1)});
  std::thread stopper([&] { stop_.Request(); });

  EXPECT_THAT(slow.Call("ask", [] { return absl::UnavailableError("down"); }),
              base::StatusIs(absl::StatusCode::kCancelled, HasSubstr("the test")));

  stopper.join();
}

TEST_F(RetryingCallerTest, GivesTheResultOfTheCallThatWorked) {
  int calls = 0;
  EXPECT_THAT(caller_.CallFor("ask",
                              [&]() -> absl::StatusOr<int> {
                                if (++calls < 3) return absl::UnavailableError("gone");
                                return calls;
                              }),
              base::IsOkAndHolds(3));
}

}  // namespace
}  // namespace gannet::telemetry
