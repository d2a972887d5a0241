#include "cli/watch_loop.h"

#include <deque>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

client::RunReport At(int64_t round, domain::RunState state = domain::RunState::kRunning) {
  client::RunReport report;
  report.config.round_count = 1000;
  report.weights_version = base::WeightsVersion(round);
  report.state = state;
  return report;
}

absl::Status Unreachable() { return absl::UnavailableError("connection refused"); }

class WatchLoopTest : public ::testing::Test {
 protected:
  // Runs over the given answers; the last one repeats.
  WatchLoop::Result Run(const WatchOptions& options,
                        std::deque<absl::StatusOr<client::RunReport>> answers) {
    WatchLoop loop(
        options,
        [&] {
          absl::StatusOr<client::RunReport> answer = answers.front();
          if (answers.size() > 1) answers.pop_front();
          return answer;
        },
        clock_,
        [&](absl::Duration pause) {
          pauses_.push_back(pause);
          clock_.Advance(pause);
        },
        out_);
    return loop.Run();
  }

  std::vector<std::string> Lines() const {
    return absl::StrSplit(out_.str(), '\n', absl::SkipEmpty());
  }

  base::FakeClock clock_;
  std::ostringstream out_;
  std::vector<absl::Duration> pauses_;
};

TEST_F(WatchLoopTest, EndsWithTheRun) {
  for (const domain::RunState state : {domain::RunState::kFinished, domain::RunState::kStopped}) {
    const WatchLoop::Result result = Run({}, {At(1), At(2), At(1000, state)});

    EXPECT_OK(result.status);
    EXPECT_EQ(result.last->state, state);
  }
}

TEST_F(WatchLoopTest, EndsWhenNobodyReadsUnlessItShallGoOn) {
  out_.setstate(std::ios::badbit);
  const std::deque<absl::StatusOr<client::RunReport>> answers = {
      At(1), At(2), At(3), At(1000, domain::RunState::kFinished)};
  const WatchLoop::Result unread = Run({}, answers);
  EXPECT_THAT(unread.status, base::StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(unread.last->weights_version, base::WeightsVersion(1));

  WatchOptions options;
  options.goes_on_unread = true;
  EXPECT_OK(Run(options, answers).status);
}

TEST_F(WatchLoopTest, APauseIsNoEnd) {
  const WatchLoop::Result result =
      Run({}, {At(1), At(1, domain::RunState::kPaused), At(1000, domain::RunState::kFinished)});

  EXPECT_EQ(result.last->state, domain::RunState::kFinished);
}

TEST_F(WatchLoopTest, PlainLinesComeNowAndThenAndWithEveryChangeOfState) {
  std::deque<absl::StatusOr<client::RunReport>> answers(20, At(1));  // 10 s of them
  answers.push_back(At(2, domain::RunState::kPaused));
  answers.push_back(At(3, domain::RunState::kFinished));

  Run({}, answers);

  EXPECT_THAT(Lines(), ElementsAre(StartsWith("round 1/"), StartsWith("round 1/"),
                                   HasSubstr("paused"), HasSubstr("finished")));
}

TEST_F(WatchLoopTest, ATerminalSeesOneLineWrittenOver) {
  Run({.terminal_width = 80}, {At(1), At(2), At(1000, domain::RunState::kFinished)});

  EXPECT_THAT(Lines(), SizeIs(1));
  EXPECT_THAT(out_.str(), StartsWith("\r\x1b[K"));
  EXPECT_THAT(out_.str(), EndsWith("\n"));
}

TEST_F(WatchLoopTest, AShortSilenceIsForgiven) {
  const WatchLoop::Result result =
      Run({.patience = absl::Seconds(30)},
          {At(1), Unreachable(), absl::DeadlineExceededError("slow"), At(2), Unreachable(),
           At(1000, domain::RunState::kFinished)});

  EXPECT_OK(result.status);
  EXPECT_THAT(out_.str(), HasSubstr("waiting up to 30 s for the coordinator: connection refused"));
}

TEST_F(WatchLoopTest, TheCoordinatorIsLostAfterThePatience) {
  const absl::Duration started = clock_.Steady();

  const WatchLoop::Result result = Run({.patience = absl::Seconds(7)}, {At(5), Unreachable()});

  EXPECT_THAT(result.status, base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(result.last->weights_version.value(), 5);
  EXPECT_GE(clock_.Steady() - started, absl::Seconds(7));
  EXPECT_LT(clock_.Steady() - started, absl::Seconds(9));
  EXPECT_THAT(Lines(), SizeIs(2)) << "the wait is announced once";
}

TEST_F(WatchLoopTest, ACoordinatorThatNeverAnswersIsLostToo) {
  const WatchLoop::Result result = Run({.patience = absl::Seconds(7)}, {Unreachable()});

  EXPECT_THAT(result.status, base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_FALSE(result.last.has_value());
}

TEST_F(WatchLoopTest, ARefusalEndsAtOnce) {
  const WatchLoop::Result result = Run({}, {absl::UnauthenticatedError("no token")});

  EXPECT_THAT(result.status, base::StatusIs(absl::StatusCode::kUnauthenticated));
  EXPECT_THAT(pauses_, SizeIs(0));
}

TEST_F(WatchLoopTest, NearTheEndItLooksMoreOften) {
  client::RunReport near = At(999);
  near.config.units_per_round = 1;
  near.config.images_per_unit = 10;
  near.images_per_second = 10;

  Run({}, {At(1), near, At(1000, domain::RunState::kFinished)});

  EXPECT_THAT(pauses_, ElementsAre(absl::Milliseconds(500), absl::Milliseconds(100)));
}

}  // namespace
}  // namespace gannet::cli
