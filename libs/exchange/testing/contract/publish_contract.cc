#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

}  // namespace

// ---- Leadership

TEST_P(ExchangeContractTest, OneCoordinatorLeadsAtATime) {
  run_ = Must(store().CreateRun(TestNewRun(config_)));

  const Leadership first = Must(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(10)));
  EXPECT_EQ(first.leader, TestLeader(1));
  EXPECT_EQ(first.term, 1);
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(10)),
              base::StatusIs(kFailedPrecondition));
  backend().AdvanceTime(absl::Milliseconds(9'999));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(10)),
              base::StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(10)),
              base::IsOkAndHolds(first));
  backend().AdvanceTime(absl::Milliseconds(9'999));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(10)),
              base::StatusIs(kFailedPrecondition));
  backend().AdvanceTime(absl::Milliseconds(1));

  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(10)),
              base::IsOkAndHolds(Leadership{TestLeader(2), 2}));
  EXPECT_THAT(store().ReapExpiredLeases(run_, first), base::StatusIs(kFailedPrecondition));
}

TEST_P(ExchangeContractTest, TheLeaderOfRecordKeepsItsTerm) {
  run_ = Must(store().CreateRun(TestNewRun(config_)));
  const Leadership first = Must(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(1)));
  backend().AdvanceTime(absl::Seconds(1));
  ASSERT_THAT(store().ReapExpiredLeases(run_, first), base::StatusIs(kFailedPrecondition));

  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(1)),
              base::IsOkAndHolds(first));

  EXPECT_OK(store().ReapExpiredLeases(run_, first));
}

TEST_P(ExchangeContractTest, ResigningLetsASuccessorInAtOnce) {
  StartRun();
  ASSERT_OK(store().ResignLeadership(run_, Leadership{TestLeader(2), leadership_.term}));
  ASSERT_OK(store().ResignLeadership(run_, Leadership{TestLeader(1), leadership_.term + 1}));
  ASSERT_OK(store().ReapExpiredLeases(run_, leadership_)) << "neither of these was the leader";

  ASSERT_OK(store().ResignLeadership(run_, leadership_));
  ASSERT_OK(store().ResignLeadership(run_, leadership_));

  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(2), absl::Seconds(1)),
              base::IsOkAndHolds(Leadership{TestLeader(2), leadership_.term + 1}));
}

TEST_P(ExchangeContractTest, WhoResignedComesBackUnderANewTerm) {
  StartRun();
  ASSERT_OK(store().ResignLeadership(run_, leadership_));

  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::Seconds(1)),
              base::IsOkAndHolds(Leadership{TestLeader(1), leadership_.term + 1}));
}

TEST_P(ExchangeContractTest, MalformedLeadershipsAreRefused) {
  StartRun();
  EXPECT_THAT(store().AcquireLeadership(run_, base::LeaderId("me"), absl::Seconds(1)),
              base::StatusIs(kInvalid));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::ZeroDuration()),
              base::StatusIs(kInvalid));
  EXPECT_THAT(store().AcquireLeadership(run_, TestLeader(1), absl::InfiniteDuration()),
              base::StatusIs(kInvalid));
}

TEST_P(ExchangeContractTest, EveryFencedCallRefusesADeposedLeader) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  backend().AdvanceTime(kMaxLeadershipTtl);
  const Leadership expired = leadership_;
  const Leadership forged{TestLeader(1), leadership_.term + 1};
  const auto expect_refused = [&](const Leadership& who) {
    EXPECT_THAT(store().RejectGradient(run_, who, unit.unit, "bad"),
                base::StatusIs(kFailedPrecondition));
    EXPECT_THAT(store().Publish(TestPublish(config_, run_, who, base::WeightsVersion(0))),
                base::StatusIs(kFailedPrecondition));
    EXPECT_THAT(store().ReapExpiredLeases(run_, who), base::StatusIs(kFailedPrecondition));
    EXPECT_THAT(store().ReclaimOldBlobs(run_, who, base::Round(2)),
                base::StatusIs(kFailedPrecondition));
  };

  expect_refused(expired);
  const Leadership second = Must(store().AcquireLeadership(run_, TestLeader(2), kMaxLeadershipTtl));
  expect_refused(expired);
  expect_refused(forged);
  expect_refused(Leadership{TestLeader(1), second.term});
  expect_refused(Leadership{TestLeader(2), second.term - 1});
  expect_refused(Leadership{TestLeader(2), second.term + 1});
  expect_refused(Leadership());

  EXPECT_EQ(Status().weights_version, base::WeightsVersion(0));
  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
  EXPECT_OK(store().Publish(TestPublish(config_, run_, second, base::WeightsVersion(0))));
}

// ---- Publish

TEST_P(ExchangeContractTest, APublicationIsTheNewStateOfTheRun) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));
  PublishRequest request = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  request.consumed = {unit.unit};
  request.summary.epoch = 3;
  request.summary.gradient_count = 1;
  request.summary.image_count = 4;
  request.summary.discriminator_loss = 0.1 + 0.2;

  ASSERT_OK(store().Publish(request));

  const RunStatus status = Status();
  EXPECT_EQ(status.weights_version, base::WeightsVersion(1));
  EXPECT_EQ(status.last_round, request.summary);
  EXPECT_EQ(status.accepted_image_count, 4);
  EXPECT_THAT(store().ListRounds(run_, base::Round(0), 10),
              base::IsOkAndHolds(ElementsAre(request.summary)));
  const Store::Snapshot snapshot = Must(store().LoadSnapshot(run_));
  EXPECT_EQ(snapshot.version, base::WeightsVersion(1));
  EXPECT_EQ(snapshot.weights.sha256, request.weights.sha256);
  EXPECT_EQ(*snapshot.adam_state.bytes, *request.adam_state.bytes);
  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
  EXPECT_EQ(Progress(1).ready, 0) << "what was left of the round is closed";
  EXPECT_EQ(Progress(2).ready, 3);
  const WorkUnit next = ClaimUnit(TestWorker(1));
  EXPECT_EQ(next.round, base::Round(2));
  EXPECT_EQ(next.slot, base::Slot(0));
  EXPECT_EQ(next.weights_version, base::WeightsVersion(1));
  EXPECT_EQ(next.attempt, base::Attempt(1));
}

TEST_P(ExchangeContractTest, LeftoversOfAPublishedRoundAreClosed) {
  StartRun(3);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit leased = ClaimUnit(TestWorker(1));
  const WorkUnit released = ClaimUnit(TestWorker(2));
  ASSERT_OK(exchange().Release(TestWorker(2), run_, released.unit, released.attempt));

  Publish();

  EXPECT_THAT(Submit(TestWorker(1), leased), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
  EXPECT_THAT(Submit(TestWorker(2), released), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
  EXPECT_THAT(Must(Heartbeat(TestWorker(1), leased, 1)).dropped, ElementsAre(leased.unit));
  ClaimUnit(TestWorker(1));
  ClaimUnit(TestWorker(1));  // the closed lease does not count
  EXPECT_EQ(Progress(2).leased, 2);
}

TEST_P(ExchangeContractTest, AnotherVersionThanTheExpectedOneAborts) {
  StartRun();
  const PublishRequest request = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  ASSERT_OK(store().Publish(request));

  EXPECT_THAT(store().Publish(request), base::StatusIs(absl::StatusCode::kAborted))
      << "a repeat is answered by the version it meets";
  EXPECT_THAT(store().Publish(TestPublish(config_, run_, leadership_, base::WeightsVersion(2))),
              base::StatusIs(absl::StatusCode::kAborted));

  EXPECT_EQ(Status().weights_version, base::WeightsVersion(1));
  EXPECT_THAT(Must(store().ListRounds(run_, base::Round(0), 10)), SizeIs(1));
}

TEST_P(ExchangeContractTest, OnlyGradientsOfTheRoundAreConsumed) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit done = ClaimUnit(TestWorker(1));
  const WorkUnit leased = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), done));
  const std::vector<std::vector<base::UnitId>> flaws = {
      {leased.unit}, {kNoSuchUnit}, {done.unit, leased.unit}, {done.unit, done.unit}};
  for (size_t i = 0; i < flaws.size(); ++i) {
    PublishRequest request = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
    request.consumed = flaws[i];
    // Twice the same is malformed; the others may be a database that was rolled back.
    const bool twice = i + 1 == flaws.size();
    EXPECT_THAT(store().Publish(request), base::StatusIs(twice ? kInvalid : kAborted))
        << "flaw " << i;
  }
  EXPECT_EQ(Status().weights_version, base::WeightsVersion(0));
  EXPECT_EQ(Progress(1).leased, 1);
  Publish();
  PublishRequest request = TestPublish(config_, run_, leadership_, base::WeightsVersion(1));
  request.consumed = {done.unit};
  EXPECT_THAT(store().Publish(request), base::StatusIs(kAborted))
      << "a gradient of the round before";
}

// When a database was rolled back, the same numbers may mean other weights and other gradients.
TEST_P(ExchangeContractTest, APublicationThatStandsOnOthersIsRefused) {
  StartRun(2);
  Join(TestWorker(1));
  std::vector<std::string> checksums;
  PublishRequest request = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  for (int i = 0; i < 2; ++i) {
    const SubmitRequest gradient = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
    ASSERT_OK(exchange().Submit(gradient));
    request.consumed.push_back(gradient.unit);
    checksums.push_back(gradient.payload.sha256);
  }
  request.expected_sha256 = TestWeights(config_, 0.0f).sha256;
  request.consumed_sha256 = ConsumedSha256(checksums);

  PublishRequest other_weights = request;
  other_weights.expected_sha256 = TestWeights(config_, 9.0f).sha256;
  EXPECT_THAT(store().Publish(other_weights), base::StatusIs(kAborted, HasSubstr("other weights")));
  PublishRequest other_gradients = request;
  other_gradients.consumed_sha256 = ConsumedSha256({checksums[0], base::Sha256("another")});
  EXPECT_THAT(store().Publish(other_gradients),
              base::StatusIs(kAborted, HasSubstr("other gradients")));
  PublishRequest short_sum = request;
  short_sum.consumed_sha256 = "short";
  EXPECT_THAT(store().Publish(short_sum), base::StatusIs(kInvalid));
  EXPECT_EQ(Status().weights_version, base::WeightsVersion(0));

  EXPECT_OK(store().Publish(request));
}

TEST_P(ExchangeContractTest, MalformedPublicationsAreRefused) {
  StartRun();
  const std::vector<std::function<void(PublishRequest&)>> flaws = {
      [](PublishRequest& r) { r.expected_version = base::WeightsVersion(-1); },
      [](PublishRequest& r) { r.summary.round = base::Round(2); },
      [](PublishRequest& r) { r.summary.epoch = -1; },
      [](PublishRequest& r) { r.summary.gradient_count = -1; },
      [](PublishRequest& r) { r.summary.image_count = -1; },
      [](PublishRequest& r) { r.summary.generator_loss = std::nan(""); },
      [](PublishRequest& r) { r.summary.seconds = HUGE_VAL; },
      [](PublishRequest& r) { r.finished = true; },
      [](PublishRequest& r) { r.next_units.clear(); },
      [](PublishRequest& r) { r.next_units[0].slot = r.next_units[1].slot; },
      [](PublishRequest& r) { r.next_units[0].image_indices.clear(); },
      [](PublishRequest& r) { r.weights = Payload(); },
      [](PublishRequest& r) { r.adam_state.codec = static_cast<tensor::Codec>(0); },
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    PublishRequest request = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
    flaws[i](request);
    EXPECT_THAT(store().Publish(request), base::StatusIs(kInvalid)) << "flaw " << i;
  }
  PublishRequest damaged = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  damaged.adam_state.sha256 = base::Sha256("something else");
  EXPECT_THAT(store().Publish(damaged), base::StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(Status().weights_version, base::WeightsVersion(0));
}

TEST_P(ExchangeContractTest, TheLastPublicationFinishesTheRun) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));

  Finish();

  EXPECT_EQ(Status().state, domain::RunState::kFinished);
  EXPECT_EQ(Status().state_reason, "");
  EXPECT_EQ(Status().weights_version, base::WeightsVersion(1));
  const ClaimResult claim = Must(exchange().Claim(NewClaim(TestWorker(1))));
  EXPECT_FALSE(claim.unit.has_value());
  EXPECT_EQ(claim.state, domain::RunState::kFinished);
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));
  EXPECT_OK(exchange().Release(TestWorker(1), run_, unit.unit, unit.attempt));
  EXPECT_OK(exchange().FetchWeights({TestWorker(1), run_, base::WeightsVersion(1)}));
  EXPECT_OK(exchange().Leave(TestWorker(1), run_));
  EXPECT_THAT(store().Publish(TestPublish(config_, run_, leadership_, base::WeightsVersion(1))),
              base::StatusIs(kFailedPrecondition));
  EXPECT_THAT(store().SetRunState(run_, domain::RunState::kStopped, ""),
              base::StatusIs(kFailedPrecondition));
}

TEST_P(ExchangeContractTest, APausedRunMayPublishAndFinish) {
  StartRun();
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kPaused, "lunch"));

  Publish();
  EXPECT_EQ(Status().state, domain::RunState::kPaused);
  EXPECT_EQ(Status().state_reason, "lunch");
  Finish();

  EXPECT_EQ(Status().state, domain::RunState::kFinished);
  EXPECT_EQ(Status().state_reason, "");
}

}  // namespace gannet::exchange
