#include "services/coordinator/run_admin.h"

#include "libs/base/testing/fake_clock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunAdminTest : public ::testing::Test {
 protected:
  RunAdminTest() { view_.run = *backend_.store().CreateRun(TestNewRun(config_)); }

  // Publishes a round without gradients.
  void PublishRounds(int count) {
    const Leadership leadership =
        *backend_.store().AcquireLeadership(*view_.run, TestLeader(1), absl::Minutes(1));
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(backend_.store().Publish(
          TestPublish(config_, *view_.run, leadership, WeightsVersion(i))));
    }
  }

  void Join(int worker) {
    ASSERT_OK(backend_.exchange().Join(TestJoin(TestWorker(worker), config_)));
    clock_.Advance(absl::Seconds(1));
  }

  // The numbers of all workers, page by page.
  std::vector<std::string> ListAll(int page_size) {
    std::vector<std::string> names;
    std::string token;
    do {
      const absl::StatusOr<AdminPage<WorkerSummary>> page = admin_.ListWorkers(page_size, token);
      EXPECT_OK(page);
      EXPECT_LE(page->items.size(), static_cast<size_t>(page_size));
      for (const WorkerSummary& worker : page->items) {
        names.push_back(worker.worker.value().substr(31));
      }
      token = page->next_page_token;
    } while (!token.empty());
    return names;
  }

  const RunConfig config_ = TinyRunConfig();
  FakeClock clock_;
  MemoryBackend backend_{clock_};
  CoordinatorView view_;
  RunAdmin admin_{backend_.store(), nullptr, [this] { return view_; }};
};

TEST_F(RunAdminTest, ARunThatIsNotKnownYetIsUnavailable) {
  view_.run.reset();

  EXPECT_THAT(admin_.GetRun(), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(admin_.ListWorkers(0, ""), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(admin_.ListRounds(0, ""), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(admin_.SetRunState(RunState::kPaused, ""), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(RunAdminTest, TheRunIsDescribed) {
  view_.images_per_second = 12.5;
  PublishRounds(2);

  ASSERT_OK_AND_ASSIGN(const RunOverview overview, admin_.GetRun());

  EXPECT_EQ(overview.status.weights_version, WeightsVersion(2));
  EXPECT_EQ(overview.status.config, config_);
  EXPECT_EQ(overview.view.images_per_second, 12.5);
}

TEST_F(RunAdminTest, HowLongAUnitTookAndHowMuchOfThatWasComputedIsTold) {
  const Leadership leadership =
      *backend_.store().AcquireLeadership(*view_.run, TestLeader(1), absl::Minutes(1));
  const WorkerIdentity worker = TestWorker(1);
  ASSERT_OK(backend_.exchange().Join(TestJoin(worker, config_)));
  PublishRequest publish = TestPublish(config_, *view_.run, leadership, WeightsVersion(0));
  for (int slot = 0; slot < config_.units_per_round; ++slot) {
    ClaimRequest claim;
    claim.worker = worker;
    claim.run = *view_.run;
    claim.request_id = std::string(31, '0') + std::to_string(slot);
    ASSERT_OK_AND_ASSIGN(const ClaimResult claimed, backend_.exchange().Claim(claim));
    ASSERT_TRUE(claimed.unit.has_value());
    clock_.Advance(absl::Seconds(8));
    SubmitRequest submit = TestSubmit(config_, worker, *claimed.unit);
    submit.stats.compute_seconds = 2;
    ASSERT_OK(backend_.exchange().Submit(submit));
    publish.consumed.push_back(claimed.unit->unit);
  }
  ASSERT_OK(backend_.store().Publish(publish));

  ASSERT_OK_AND_ASSIGN(const RunOverview overview, admin_.GetRun());

  EXPECT_EQ(overview.status.median_unit_time, absl::Seconds(8));
  EXPECT_EQ(overview.usual_compute_time, absl::Seconds(2));
}

TEST_F(RunAdminTest, WorkersComeNewestFirstInPagesOfEverySize) {
  for (const int worker : {3, 1, 4, 2}) Join(worker);

  for (const int page_size : {1, 2, 3, 4, 5}) {
    EXPECT_THAT(ListAll(page_size), ElementsAre("2", "4", "1", "3")) << page_size;
  }
}

TEST_F(RunAdminTest, WorkersSeenAtTheSameTimeComeById) {
  for (const int worker : {3, 1, 2}) {
    ASSERT_OK(backend_.exchange().Join(TestJoin(TestWorker(worker), config_)));
  }

  EXPECT_THAT(ListAll(2), ElementsAre("1", "2", "3"));
}

TEST_F(RunAdminTest, ARunWithoutWorkersHasAnEmptyPage) {
  ASSERT_OK_AND_ASSIGN(const auto page, admin_.ListWorkers(0, ""));

  EXPECT_THAT(page.items, IsEmpty());
  EXPECT_EQ(page.next_page_token, "");
}

TEST_F(RunAdminTest, RoundsComeInOrderAndTheLastPageHasNoToken) {
  PublishRounds(4);

  ASSERT_OK_AND_ASSIGN(const auto first, admin_.ListRounds(2, ""));
  ASSERT_OK_AND_ASSIGN(const auto second, admin_.ListRounds(2, first.next_page_token));

  ASSERT_EQ(first.items.size(), 2u);
  EXPECT_EQ(first.items[0].round, Round(1));
  ASSERT_EQ(second.items.size(), 2u);
  EXPECT_EQ(second.items[1].round, Round(4));
  EXPECT_EQ(second.next_page_token, "");
}

TEST_F(RunAdminTest, PageSizesAndTokensOutOfRangeAreRefused) {
  for (const int size : {-1, 1001}) {
    EXPECT_THAT(admin_.ListWorkers(size, ""), StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_OK(admin_.ListWorkers(1000, ""));
  for (const int size : {-1, 10'001}) {
    EXPECT_THAT(admin_.ListRounds(size, ""), StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_OK(admin_.ListRounds(10'000, ""));
  for (const char* token : {"x", "1:", ":", "1:2:3", "x:00000000000000000000000000000001"}) {
    EXPECT_THAT(admin_.ListWorkers(1, token),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
  }
  for (const char* token : {"x", "0", "-1", "1.5"}) {
    EXPECT_THAT(admin_.ListRounds(1, token),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
  }
}

TEST_F(RunAdminTest, TheRunCanBePausedAndResumed) {
  ASSERT_OK(admin_.SetRunState(RunState::kPaused, "lunch"));
  ASSERT_OK_AND_ASSIGN(const RunOverview paused, admin_.GetRun());
  EXPECT_EQ(paused.status.state, RunState::kPaused);
  EXPECT_EQ(paused.status.state_reason, "lunch");

  ASSERT_OK(admin_.SetRunState(RunState::kRunning, ""));
  ASSERT_OK_AND_ASSIGN(const RunOverview resumed, admin_.GetRun());
  EXPECT_EQ(resumed.status.state, RunState::kRunning);
}

TEST_F(RunAdminTest, AWorkerIsRemovedAndRestoredByItsId) {
  Join(1);

  ASSERT_OK_AND_ASSIGN(const WorkerSummary removed,
                       admin_.RemoveWorker(TestWorker(1).id.value(), "plays"));
  EXPECT_EQ(removed.worker, TestWorker(1).id);
  EXPECT_EQ(removed.removed_reason, "plays");
  EXPECT_THAT(backend_.exchange().Heartbeat(TestWorker(1), *view_.run, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("plays")));

  ASSERT_OK_AND_ASSIGN(const WorkerSummary restored,
                       admin_.RestoreWorker(TestWorker(1).id.value()));
  EXPECT_EQ(restored.removed_reason, "");
  EXPECT_OK(backend_.exchange().Heartbeat(TestWorker(1), *view_.run, {}));
}

TEST_F(RunAdminTest, ANameThatSeveralHaveNamesNobody) {
  for (const int worker : {1, 2, 3}) {
    JoinRequest request = TestJoin(TestWorker(worker), config_);
    request.display_name = worker == 3 ? "Ben" : "Ann";
    ASSERT_OK(backend_.exchange().Join(request));
  }

  EXPECT_THAT(admin_.RemoveWorker("Ann", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("2 workers"), HasSubstr(TestWorker(1).id.value()),
                             HasSubstr(TestWorker(2).id.value()))));
  EXPECT_THAT(admin_.RemoveWorker("Eve", "x"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(admin_.RestoreWorker("Eve"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(const WorkerSummary ben, admin_.RemoveWorker("Ben", "x"));
  EXPECT_EQ(ben.worker, TestWorker(3).id);

  // Once one of two is removed, the other is meant.
  ASSERT_OK(admin_.RemoveWorker(TestWorker(1).id.value(), "x"));
  ASSERT_OK_AND_ASSIGN(const WorkerSummary restored, admin_.RestoreWorker("Ann"));
  EXPECT_EQ(restored.worker, TestWorker(1).id);
}

TEST_F(RunAdminTest, NobodyCanAskForFinished) {
  EXPECT_THAT(admin_.SetRunState(RunState::kFinished, ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gannet::coordinator
