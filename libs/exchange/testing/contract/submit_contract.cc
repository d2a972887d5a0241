#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/gradient_limits.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

}  // namespace

// ---- Submit

TEST_P(ExchangeContractTest, ASubmittedGradientIsKeptAndCredited) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const SubmitRequest request = TestSubmit(config_, TestWorker(1), unit, 3.0f);

  EXPECT_THAT(exchange().Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  const RoundProgress progress = Progress(1);
  EXPECT_EQ(progress.ready, 2);
  EXPECT_EQ(progress.leased, 0);
  ASSERT_THAT(progress.gradients, SizeIs(1));
  const GradientInfo& info = progress.gradients[0];
  EXPECT_EQ(info.unit, unit.unit);
  EXPECT_EQ(info.attempt, unit.attempt);
  EXPECT_EQ(info.slot, unit.slot);
  EXPECT_EQ(info.worker, TestWorker(1).id);
  EXPECT_EQ(info.stats, request.stats);
  EXPECT_EQ(info.codec, tensor::Codec::kFp32);
  EXPECT_EQ(info.sha256, request.payload.sha256);
  const Payload kept = Must(store().FetchGradient(run_, unit.unit));
  EXPECT_EQ(*kept.bytes, *request.payload.bytes);
  EXPECT_EQ(kept.sha256, request.payload.sha256);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_image_count, config_.images_per_unit);
  EXPECT_EQ(Status().accepted_image_count, config_.images_per_unit);
}

TEST_P(ExchangeContractTest, StatisticsOnTheirLimitsAreKept) {
  StartRun();
  Join(TestWorker(1));
  SubmitRequest request = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
  request.stats.discriminator_loss = domain::kDivergedLoss;
  request.stats.generator_loss = -domain::kDivergedLoss;
  request.stats.real_accuracy = 1;
  request.stats.fake_accuracy = 0;
  request.stats.compute_seconds = domain::kMaxComputeSeconds;

  ASSERT_OK(exchange().Submit(request));

  EXPECT_EQ(Progress(1).gradients.at(0).stats, request.stats);
}

TEST_P(ExchangeContractTest, AGradientHasTheCodecOfItsRun) {
  for (const int codec : base::kCodecNumbers) {
    config_.name = absl::StrCat("codec", codec);
    config_.gradient_codec = codec;
    StartRun();
    Join(TestWorker(1));
    SubmitRequest request = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
    const tensor::TensorBundle gradient =
        Must(DecodeBundle(*request.payload.bytes, tensor::Codec::kFp32));

    for (const int other : base::kCodecNumbers) {
      if (other == codec) continue;
      request.payload = Must(Payload::FromBundle(gradient, static_cast<tensor::Codec>(other)));
      EXPECT_THAT(exchange().Submit(request),
                  base::StatusIs(kInvalid, AllOf(HasSubstr("payload.codec is not the run's"),
                                                 HasSubstr(absl::StrCat("expected ", codec)),
                                                 HasSubstr(absl::StrCat("got ", other)))));
    }
    EXPECT_EQ(Progress(1).leased, 1);

    request.payload = Must(Payload::FromBundle(gradient, static_cast<tensor::Codec>(codec)));
    EXPECT_THAT(exchange().Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  }
}

TEST_P(ExchangeContractTest, StatisticsAreKeptToTheLastBit) {
  StartRun();
  Join(TestWorker(1));
  SubmitRequest request = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
  request.stats.discriminator_loss = 0.1 + 0.2;
  request.stats.generator_loss = -domain::kDivergedLoss;
  request.stats.real_accuracy = std::numeric_limits<double>::denorm_min();
  request.stats.fake_accuracy = 1.0 / 3.0;

  ASSERT_OK(exchange().Submit(request));

  EXPECT_EQ(Progress(1).gradients.at(0).stats, request.stats);
}

TEST_P(ExchangeContractTest, GradientsAreListedInSlotOrder) {
  StartRun();
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  const WorkUnit second = ClaimUnit(TestWorker(1));
  const WorkUnit third = ClaimUnit(TestWorker(2));
  for (const WorkUnit& unit : {third, first}) {
    ASSERT_OK(Submit(unit.unit == third.unit ? TestWorker(2) : TestWorker(1), unit));
  }
  ASSERT_OK(Submit(TestWorker(1), second));

  EXPECT_THAT(Progress(1).gradients, ElementsAre(Field(&GradientInfo::slot, base::Slot(0)),
                                                 Field(&GradientInfo::slot, base::Slot(1)),
                                                 Field(&GradientInfo::slot, base::Slot(2))));
}

TEST_P(ExchangeContractTest, ARepeatedSubmissionCountsOnce) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  EXPECT_THAT(Submit(TestWorker(1), unit),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
  backend().AdvanceTime(config_.lease * 2);
  EXPECT_THAT(Submit(TestWorker(1), unit),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
  Publish();
  EXPECT_THAT(Submit(TestWorker(1), unit),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));

  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 1);
  EXPECT_EQ(Status().accepted_image_count, config_.images_per_unit);
}

TEST_P(ExchangeContractTest, TheSameAttemptWithOtherBytesIsAnError) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_THAT(Submit(TestWorker(1), unit, 1.0f),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  EXPECT_THAT(Submit(TestWorker(1), unit, 2.0f), base::StatusIs(absl::StatusCode::kAlreadyExists));

  EXPECT_EQ(Must(store().FetchGradient(run_, unit.unit)).sha256,
            TestGradient(config_, 1.0f).sha256);
}

TEST_P(ExchangeContractTest, ASubmissionIsLateFromTheMomentTheLeaseEnds) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  const WorkUnit second = ClaimUnit(TestWorker(1));

  backend().AdvanceTime(config_.lease - absl::Milliseconds(1));
  EXPECT_THAT(Submit(TestWorker(1), first), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  backend().AdvanceTime(absl::Milliseconds(1));
  EXPECT_THAT(Submit(TestWorker(1), second), base::IsOkAndHolds(domain::SubmitOutcome::kLate));

  EXPECT_THAT(Progress(1).gradients, SizeIs(2));
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 2);
}

TEST_P(ExchangeContractTest, ALateResultIsKeptWhileNobodyClaimedTheUnit) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease);
  ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
  ASSERT_EQ(Progress(1).ready, 1);

  EXPECT_THAT(Submit(TestWorker(2), unit), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded))
      << "the attempt belongs to another worker";
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kLate));

  EXPECT_THAT(Progress(1).gradients, SizeIs(1));
  ExpectNothingToClaim(TestWorker(2));
}

// ---- Reaping and rejecting

TEST_P(ExchangeContractTest, OnlyExpiredLeasesAreReaped) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit early = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(absl::Seconds(1));
  ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease - absl::Milliseconds(1'001));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(0));

  backend().AdvanceTime(absl::Milliseconds(1));

  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
  EXPECT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(0));
  EXPECT_EQ(Progress(1).ready, 1);
  EXPECT_EQ(Progress(1).leased, 1);
  const WorkUnit again = ClaimUnit(TestWorker(2));
  EXPECT_EQ(again.unit, early.unit);
  EXPECT_EQ(again.attempt, base::Attempt(2));
  EXPECT_EQ(again.image_indices, early.image_indices);
}

TEST_P(ExchangeContractTest, ExpiryNeverFailsAUnit) {
  StartRun(1);
  Join(TestWorker(1));
  for (int expiry = 1; expiry <= 2 * domain::kMaxUnitFailures; ++expiry) {
    EXPECT_EQ(ClaimUnit(TestWorker(1)).attempt, base::Attempt(expiry));
    backend().AdvanceTime(config_.lease);
    ASSERT_THAT(store().ReapExpiredLeases(run_, leadership_), base::IsOkAndHolds(1));
    backend().AdvanceTime(
        domain::RequeueBackoff(base::Attempt(expiry), domain::RequeueCause::kExpired));
  }
  EXPECT_EQ(Status().state, domain::RunState::kRunning);
}

TEST_P(ExchangeContractTest, ARejectedGradientReturnsItsUnit) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));

  ASSERT_OK(store().RejectGradient(run_, leadership_, unit.unit, "NaN in main.0.weight"));

  EXPECT_EQ(Progress(1).ready, 1);
  EXPECT_THAT(Progress(1).gradients, IsEmpty());
  EXPECT_THAT(store().FetchGradient(run_, unit.unit), base::StatusIs(kNotFound));
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 0);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_image_count, 0);
  EXPECT_EQ(Status().accepted_image_count, 0);
  EXPECT_THAT(store().RejectGradient(run_, leadership_, unit.unit, "again"),
              base::StatusIs(kNotFound));
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded))
      << "the bytes that were rejected do not come back";
  const WorkUnit again = ClaimUnit(TestWorker(1));
  EXPECT_EQ(again.attempt, base::Attempt(2));
  EXPECT_THAT(Submit(TestWorker(1), again), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, RejectionsFailAUnitForGood) {
  StartRun(1);
  for (int rejection = 1; rejection <= domain::kMaxUnitFailures; ++rejection) {
    const WorkerIdentity worker = TestWorker(rejection);  // one alone would be sent away before
    Join(worker);
    const WorkUnit unit = ClaimUnit(worker);
    ASSERT_OK(Submit(worker, unit));
    ASSERT_OK(store().RejectGradient(run_, leadership_, unit.unit, "NaN"));
    backend().AdvanceTime(domain::RequeueBackoff(unit.attempt, domain::RequeueCause::kRejected));
  }

  EXPECT_EQ(Progress(1).failed, 1);
  EXPECT_EQ(Progress(1).failure_reason, "NaN");
  EXPECT_EQ(Status().state, domain::RunState::kPaused);
  EXPECT_EQ(Status().state_reason,
            FailedUnitReason(base::Round(1), base::Slot(0), domain::kMaxUnitFailures,
                             base::WorkerId(), "NaN"));
  EXPECT_EQ(Status().accepted_image_count, 0);
}

TEST_P(ExchangeContractTest, RejectionsInARowSendAWorkerAway) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit other = ClaimUnit(TestWorker(1));
  for (int rejection = 1; rejection <= kMaxNetRejections; ++rejection) {
    EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "");
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(1), unit));
    ASSERT_OK(store().RejectGradient(run_, leadership_, unit.unit, "NaN in main.0.weight"));
    backend().AdvanceTime(domain::RequeueBackoff(unit.attempt, domain::RequeueCause::kRejected));
  }

  const std::string reason = RejectionsReason(kMaxNetRejections, "NaN in main.0.weight");
  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, reason);
  EXPECT_THAT(exchange().Claim(NewClaim(TestWorker(1))),
              base::StatusIs(kFailedPrecondition, HasSubstr(reason)));
  EXPECT_EQ(Status().state, domain::RunState::kRunning);
  Join(TestWorker(2));
  EXPECT_EQ(ClaimUnit(TestWorker(2)).unit, other.unit) << "what it held is given to others";
}

TEST_P(ExchangeContractTest, APublishedGradientForgivesOneRejection) {
  StartRun(1);
  Join(TestWorker(1));
  const auto be_rejected = [&] {
    const WorkUnit unit = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(1), unit));
    ASSERT_OK(store().RejectGradient(run_, leadership_, unit.unit, "NaN"));
    backend().AdvanceTime(domain::RequeueBackoff(unit.attempt, domain::RequeueCause::kRejected));
  };
  be_rejected();
  for (int round = 1; round <= 3; ++round) {
    be_rejected();
    const WorkUnit good = ClaimUnit(TestWorker(1));
    ASSERT_OK(Submit(TestWorker(1), good));
    PublishRequest request =
        TestPublish(config_, run_, leadership_, base::WeightsVersion(round - 1));
    request.consumed = {good.unit};
    request.next_units.resize(1);
    ASSERT_OK(store().Publish(request));
  }
  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "");

  be_rejected();
  be_rejected();

  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, RejectionsReason(kMaxNetRejections, "NaN"));
}

TEST_P(ExchangeContractTest, EachOfSeveralPublishedGradientsForgivesOneRejection) {
  StartRun(2);
  Join(TestWorker(1));
  for (int round = 1; round <= 2; ++round) {
    PublishRequest request =
        TestPublish(config_, run_, leadership_, base::WeightsVersion(round - 1));
    for (int slot = 0; slot < 2; ++slot) {
      const WorkUnit bad = ClaimUnit(TestWorker(1));
      ASSERT_OK(Submit(TestWorker(1), bad));
      ASSERT_OK(store().RejectGradient(run_, leadership_, bad.unit, "NaN"));
      const WorkUnit good = ClaimUnit(TestWorker(1));
      ASSERT_OK(Submit(TestWorker(1), good));
      request.consumed.push_back(good.unit);
    }
    ASSERT_OK(store().Publish(request));
  }

  EXPECT_EQ(Summary(TestWorker(1)).removed_reason, "");
}

}  // namespace gannet::exchange
