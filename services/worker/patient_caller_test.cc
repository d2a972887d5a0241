#include "services/worker/patient_caller.h"

#include <thread>

#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet {
namespace {

constexpr BackoffPolicy kFast = {.initial = absl::Microseconds(1), .max = absl::Microseconds(1)};

class PatientCallerTest : public ::testing::Test {
 protected:
  FakeClock clock_;
  StopSignal stop_;
  PatientCaller caller_{"the test", clock_, stop_, NullLogger(), kFast};
};

TEST_F(PatientCallerTest, RepeatsUntilThePeerIsBack) {
  int calls = 0;

  EXPECT_OK(caller_.Call(
      "x", [&] { return ++calls < 5 ? absl::UnavailableError("down") : absl::OkStatus(); }));

  EXPECT_EQ(calls, 5);
}

TEST_F(PatientCallerTest, RepeatsACommitInDoubt) {
  int calls = 0;

  EXPECT_OK(caller_.Call(
      "x", [&] { return ++calls < 2 ? absl::UnknownError("in doubt") : absl::OkStatus(); }));
}

TEST_F(PatientCallerTest, AStaleLeaseIsReturnedAtOnce) {
  int calls = 0;

  EXPECT_THAT(caller_.Call("x",
                           [&] {
                             ++calls;
                             return absl::FailedPreconditionError("stale");
                           }),
              StatusIs(absl::StatusCode::kFailedPrecondition));

  EXPECT_EQ(calls, 1);
}

TEST_F(PatientCallerTest, AStopEndsTheWait) {
  PatientCaller slow("the test", clock_, stop_, NullLogger(),
                     {.initial = absl::Hours(1), .max = absl::Hours(1)});
  std::thread stopper([&] { stop_.Request(); });

  EXPECT_THAT(slow.Call("x", [] { return absl::UnavailableError("down"); }),
              StatusIs(absl::StatusCode::kCancelled));

  stopper.join();
}

TEST_F(PatientCallerTest, AlsoRetryAddsReasons) {
  int calls = 0;

  EXPECT_OK(caller_.Call(
      "x", [&] { return ++calls < 3 ? absl::NotFoundError("no run yet") : absl::OkStatus(); },
      [](const absl::Status& status) { return status.code() == absl::StatusCode::kNotFound; }));

  EXPECT_EQ(calls, 3);
}

}  // namespace
}  // namespace gannet
