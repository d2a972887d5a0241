#include "libs/domain/run_state.h"

#include "libs/base/testing/status_matchers.h"

namespace gannet::domain {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(RunStateTest, ARunEndsByFinishingOrBeingStopped) {
  EXPECT_FALSE(HasEnded(RunState::kRunning));
  EXPECT_FALSE(HasEnded(RunState::kPaused));
  EXPECT_TRUE(HasEnded(RunState::kFinished));
  EXPECT_TRUE(HasEnded(RunState::kStopped));
}

TEST(RunStateTest, AnOpenRunMayBeRunPausedAndStopped) {
  for (const RunState from : {RunState::kRunning, RunState::kPaused}) {
    for (const RunState to : {RunState::kRunning, RunState::kPaused, RunState::kStopped}) {
      EXPECT_OK(CheckRunTransition(from, to)) << RunStateName(from) << RunStateName(to);
    }
  }
}

TEST(RunStateTest, NothingLeadsOutOfAnEndedRun) {
  for (const RunState from : {RunState::kFinished, RunState::kStopped}) {
    for (const RunState to : {RunState::kRunning, RunState::kPaused}) {
      EXPECT_THAT(
          CheckRunTransition(from, to),
          base::StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(HasSubstr(RunStateName(from)), HasSubstr(RunStateName(to)))));
    }
  }
  EXPECT_THAT(CheckRunTransition(RunState::kFinished, RunState::kStopped),
              base::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(RunStateTest, StoppingAStoppedRunIsOk) {
  EXPECT_OK(CheckRunTransition(RunState::kStopped, RunState::kStopped));
}

TEST(RunStateTest, NobodyAsksForFinishedOrForNothing) {
  for (const RunState from : {RunState::kRunning, RunState::kPaused, RunState::kFinished}) {
    EXPECT_THAT(CheckRunTransition(from, RunState::kFinished),
                base::StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(CheckRunTransition(from, static_cast<RunState>(0)),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unknown")));
  }
}

TEST(RunStateTest, StatesHaveNames) {
  EXPECT_STREQ(RunStateName(RunState::kRunning), "running");
  EXPECT_STREQ(RunStateName(RunState::kPaused), "paused");
  EXPECT_STREQ(RunStateName(RunState::kFinished), "finished");
  EXPECT_STREQ(RunStateName(RunState::kStopped), "stopped");
}

}  // namespace
}  // namespace gannet::domain
