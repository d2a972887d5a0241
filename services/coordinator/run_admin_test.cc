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
  RunAdminTest() { view_.run = *backend_.store().CreateRun(exchange::TestNewRun(config_)); }

  // Publishes a round without gradients.
  void PublishRounds(int count) {
    const exchange::Leadership leadership =
        *backend_.store().AcquireLeadership(*view_.run, exchange::TestLeader(1), absl::Minutes(1));
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(backend_.store().Publish(
          exchange::TestPublish(config_, *view_.run, leadership, base::WeightsVersion(i))));
    }
  }

  void Join(int worker) {
    ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(exchange::TestWorker(worker), config_)));
    clock_.Advance(absl::Seconds(1));
  }

  // The numbers of all workers, page by page.
  std::vector<std::string> ListAll(int page_size) {
    std::vector<std::string> names;
    std::string token;
    do {
      const absl::StatusOr<AdminPage<exchange::WorkerSummary>> page =
          admin_.ListWorkers(page_size, token);
      EXPECT_OK(page);
      EXPECT_LE(page->items.size(), static_cast<size_t>(page_size));
      for (const exchange::WorkerSummary& worker : page->items) {
        names.push_back(worker.worker.value().substr(31));
      }
      token = page->next_page_token;
    } while (!token.empty());
    return names;
  }

  const domain::RunConfig config_ = exchange::TinyRunConfig();
  base::FakeClock clock_;
  exchange::MemoryBackend backend_{clock_};
  CoordinatorView view_;
  RunAdmin admin_{backend_.store(), nullptr, [this] { return view_; }};
};

TEST_F(RunAdminTest, ARunThatIsNotKnownYetIsUnavailable) {
  view_.run.reset();

  EXPECT_THAT(admin_.GetRun(), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(admin_.ListWorkers(0, ""), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(admin_.ListRounds(0, ""), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(admin_.SetRunState(domain::RunState::kPaused, ""),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(RunAdminTest, TheRunIsDescribed) {
  view_.images_per_second = 12.5;
  PublishRounds(2);

  ASSERT_OK_AND_ASSIGN(const RunOverview overview, admin_.GetRun());

  EXPECT_EQ(overview.status.weights_version, base::WeightsVersion(2));
  EXPECT_EQ(overview.status.config, config_);
  EXPECT_EQ(overview.view.images_per_second, 12.5);
}

TEST_F(RunAdminTest, HowLongAUnitTookAndHowMuchOfThatWasComputedIsTold) {
  const exchange::Leadership leadership =
      *backend_.store().AcquireLeadership(*view_.run, exchange::TestLeader(1), absl::Minutes(1));
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(worker, config_)));
  exchange::PublishRequest publish =
      exchange::TestPublish(config_, *view_.run, leadership, base::WeightsVersion(0));
  for (int slot = 0; slot < config_.units_per_round; ++slot) {
    exchange::ClaimRequest claim;
    claim.worker = worker;
    claim.run = *view_.run;
    claim.request_id = std::string(31, '0') + std::to_string(slot);
    ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult claimed, backend_.exchange().Claim(claim));
    ASSERT_TRUE(claimed.unit.has_value());
    clock_.Advance(absl::Seconds(8));
    exchange::SubmitRequest submit = exchange::TestSubmit(config_, worker, *claimed.unit);
    submit.stats.compute_seconds = 2;
    ASSERT_OK(backend_.exchange().Submit(submit));
    publish.consumed.push_back(claimed.unit->unit);
  }
  ASSERT_OK(backend_.store().Publish(publish));

  ASSERT_OK_AND_ASSIGN(const RunOverview overview, admin_.GetRun());

  EXPECT_EQ(overview.status.median_unit_time, absl::Seconds(8));
  EXPECT_EQ(overview.median_compute_time, absl::Seconds(2));
}

TEST_F(RunAdminTest, WorkersComeNewestFirstInPagesOfEverySize) {
  for (const int worker : {3, 1, 4, 2}) Join(worker);

  for (const int page_size : {1, 2, 3, 4, 5}) {
    EXPECT_THAT(ListAll(page_size), ElementsAre("2", "4", "1", "3")) << page_size;
  }
}

TEST_F(RunAdminTest, WorkersSeenAtTheSameTimeComeById) {
  for (const int worker : {3, 1, 2}) {
    ASSERT_OK(backend_.exchange().Join(exchange::TestJoin(exchange::TestWorker(worker), config_)));
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
  EXPECT_EQ(first.items[0].round, base::Round(1));
  ASSERT_EQ(second.items.size(), 2u);
  EXPECT_EQ(second.items[1].round, base::Round(4));
  EXPECT_EQ(second.next_page_token, "");
}

TEST_F(RunAdminTest, PageSizesAndTokensOutOfRangeAreRefused) {
  for (const int size : {-1, 1001}) {
    EXPECT_THAT(admin_.ListWorkers(size, ""), base::StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_OK(admin_.ListWorkers(1000, ""));
  for (const int size : {-1, 10'001}) {
    EXPECT_THAT(admin_.ListRounds(size, ""), base::StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_OK(admin_.ListRounds(10'000, ""));
  for (const char* token : {"x", "1:", ":", "1:2:3", "x:00000000000000000000000000000001"}) {
    EXPECT_THAT(admin_.ListWorkers(1, token),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
  }
  for (const char* token : {"x", "0", "-1", "1.5"}) {
    EXPECT_THAT(admin_.ListRounds(1, token),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
  }
}

TEST_F(RunAdminTest, TheRunCanBePausedAndResumed) {
  ASSERT_OK(admin_.SetRunState(domain::RunState::kPaused, "lunch"));
  ASSERT_OK_AND_ASSIGN(const RunOverview paused, admin_.GetRun());
  EXPECT_EQ(paused.status.state, domain::RunState::kPaused);
  EXPECT_EQ(paused.status.state_reason, "lunch");

  ASSERT_OK(admin_.SetRunState(domain::RunState::kRunning, ""));
  ASSERT_OK_AND_ASSIGN(const RunOverview resumed, admin_.GetRun());
  EXPECT_EQ(resumed.status.state, domain::RunState::kRunning);
}

TEST_F(RunAdminTest, AWorkerIsRemovedAndRestoredByItsId) {
  Join(1);

  ASSERT_OK_AND_ASSIGN(const exchange::WorkerSummary removed,
                       admin_.RemoveWorker(exchange::TestWorker(1).id.value(), "plays"));
  EXPECT_EQ(removed.worker, exchange::TestWorker(1).id);
  EXPECT_EQ(removed.removed_reason, "plays");
  EXPECT_THAT(backend_.exchange().Heartbeat(exchange::TestWorker(1), *view_.run, {}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("plays")));

  ASSERT_OK_AND_ASSIGN(const exchange::WorkerSummary restored,
                       admin_.RestoreWorker(exchange::TestWorker(1).id.value()));
  EXPECT_EQ(restored.removed_reason, "");
  EXPECT_OK(backend_.exchange().Heartbeat(exchange::TestWorker(1), *view_.run, {}));
}

TEST_F(RunAdminTest, ANameThatSeveralHaveNamesNobody) {
  for (const int worker : {1, 2, 3}) {
    exchange::JoinRequest request = exchange::TestJoin(exchange::TestWorker(worker), config_);
    request.display_name = worker == 3 ? "Ben" : "Ann";
    ASSERT_OK(backend_.exchange().Join(request));
  }

  EXPECT_THAT(
      admin_.RemoveWorker("Ann", "x"),
      base::StatusIs(absl::StatusCode::kInvalidArgument,
                     AllOf(HasSubstr("2 workers"), HasSubstr(exchange::TestWorker(1).id.value()),
                           HasSubstr(exchange::TestWorker(2).id.value()))));
  EXPECT_THAT(admin_.RemoveWorker("Eve", "x"), base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(admin_.RestoreWorker("Eve"), base::StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(const exchange::WorkerSummary ben, admin_.RemoveWorker("Ben", "x"));
  EXPECT_EQ(ben.worker, exchange::TestWorker(3).id);

  // Once one of two is removed, the other is meant.
  ASSERT_OK(admin_.RemoveWorker(exchange::TestWorker(1).id.value(), "x"));
  ASSERT_OK_AND_ASSIGN(const exchange::WorkerSummary restored, admin_.RestoreWorker("Ann"));
  EXPECT_EQ(restored.worker, exchange::TestWorker(1).id);
}

TEST_F(RunAdminTest, NobodyCanAskForFinished) {
  EXPECT_THAT(admin_.SetRunState(domain::RunState::kFinished, ""),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gannet::coordinator
