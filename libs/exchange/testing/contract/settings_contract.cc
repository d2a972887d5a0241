#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/gradient_limits.h"
#include "libs/exchange/testing/contract/contract_support.h"
#include "libs/exchange/testing/exchange_contract.h"
#include "libs/exchange/validation.h"

namespace gannet::exchange {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

}  // namespace

// ---- Settings that change during the run

TEST_P(ExchangeContractTest, ChangedSettingsHoldFromTheRoundAfterTheOpenOne) {
  StartRun();
  Publish();
  domain::RunConfig changed = config_;
  changed.adam.learning_rate = 5e-5;
  changed.images_per_unit = 2;

  EXPECT_THAT(store().ChangeSettings(run_, changed, "it oscillates"),
              base::IsOkAndHolds(base::Round(3)));

  RunStatus status = Status();
  EXPECT_EQ(status.config, config_) << "the units of round 2 are out";
  EXPECT_EQ(status.next_config.adam.learning_rate, 5e-5);
  EXPECT_EQ(
      status.next_config.plan_origin,
      (domain::PlanOrigin{3, 2 * int64_t{config_.images_per_unit} * config_.units_per_round}));
  EXPECT_EQ(status.created_config, config_);
  EXPECT_EQ(status.settings_round, base::Round(3));
  const std::vector<SettingsChange> changes = Must(store().ListChanges(run_));
  ASSERT_THAT(changes, SizeIs(1));
  EXPECT_EQ(changes[0].round, base::Round(3));
  EXPECT_EQ(changes[0].config, status.next_config);
  EXPECT_EQ(changes[0].reason, "it oscillates");

  PublishRequest request = TestPublish(config_, run_, leadership_, status.weights_version);
  EXPECT_THAT(store().Publish(request), base::StatusIs(absl::StatusCode::kAborted))
      << "its next units were planned with the old settings";
  request.consumed = {kNoSuchUnit};
  EXPECT_THAT(store().Publish(request), base::StatusIs(absl::StatusCode::kAborted))
      << "looked at before the units";
  request.consumed.clear();
  request.settings_version = status.settings_version;
  ASSERT_OK(store().Publish(request));
  status = Status();
  EXPECT_EQ(status.config.adam.learning_rate, 5e-5);
  EXPECT_EQ(status.config, status.next_config);
  EXPECT_EQ(Must(exchange().Join(TestJoin(TestWorker(1), config_))).config, status.config);
}

TEST_P(ExchangeContractTest, AChangeThatDoesNotHoldYetIsReplaced) {
  StartRun();
  domain::RunConfig changed = config_;
  changed.adam.learning_rate = 5e-5;
  ASSERT_OK(store().ChangeSettings(run_, changed, "first"));
  changed.adam.learning_rate = 4e-5;
  ASSERT_OK(store().ChangeSettings(run_, changed, "second"));

  EXPECT_THAT(Must(store().ListChanges(run_)),
              ElementsAre(Field(&SettingsChange::reason, "first; second")));
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""),
              base::StatusIs(kInvalid, HasSubstr("nothing")));
  EXPECT_OK(store().ChangeSettings(run_, config_, std::string(kMaxReasonChars, 'b')));
  EXPECT_THAT(Must(store().ListChanges(run_)),
              ElementsAre(Field(&SettingsChange::reason,
                                "first; second; " + std::string(kMaxReasonChars - 15, 'b'))));
  EXPECT_EQ(Must(store().GetRunStatus(run_)).next_config.adam, config_.adam);
}

TEST_P(ExchangeContractTest, APublicationPlannedBeforeAReplacedChangeIsRefused) {
  StartRun();
  PublishRequest request = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  domain::RunConfig changed = config_;
  changed.units_per_round = 2;
  const base::Round from = Must(store().ChangeSettings(run_, changed, "first"));
  request.settings_version = Status().settings_version;
  changed.units_per_round = 4;
  ASSERT_THAT(store().ChangeSettings(run_, changed, "second"), base::IsOkAndHolds(from));

  EXPECT_THAT(store().Publish(request), base::StatusIs(absl::StatusCode::kAborted));

  request.settings_version = Status().settings_version;
  EXPECT_OK(store().Publish(request));
}

TEST_P(ExchangeContractTest, GradientsThatARoundDidNotWaitForCountAsWasted) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit used = ClaimUnit(TestWorker(1));
  const WorkUnit left_out = ClaimUnit(TestWorker(2));
  ASSERT_OK(Submit(TestWorker(1), used));
  ASSERT_OK(Submit(TestWorker(2), left_out));
  PublishRequest request = TestPublish(config_, run_, leadership_, base::WeightsVersion(0));
  request.consumed = {used.unit};

  ASSERT_OK(store().Publish(request));

  const auto images = static_cast<int64_t>(left_out.image_indices.size());
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, 0);
  EXPECT_EQ(Summary(TestWorker(2)).wasted_image_count, images);
  EXPECT_EQ(Summary(TestWorker(2)).accepted_image_count, images) << "the credit stays";
  EXPECT_EQ(Status().wasted_image_count, images);
}

TEST_P(ExchangeContractTest, ARunGoesOnElsewhereWithChangesAndWorkers) {
  NewRun request = TestNewRun(config_);
  request.version = base::WeightsVersion(4);
  request.units = TestUnits(config_, base::Round(5));
  domain::RunConfig changed = config_;
  changed.adam.learning_rate = 5e-5;
  request.changes.push_back({base::Round(3), changed, "it oscillates"});
  changed.lease = absl::Seconds(7);
  changed.policy.speculation_multiplier = 2;
  request.changes.push_back({base::Round(6), changed, "not yet"});
  WorkerRecord& record = request.workers.emplace_back();
  record.summary = {.worker = TestWorker(1).id,
                    .display_name = "Ada \u00e9",
                    .hardware = "2 cores",
                    .accepted_unit_count = 5,
                    .accepted_image_count = 15,
                    .duplicate_unit_count = 2,
                    .wasted_image_count = 6,
                    .last_seen = absl::FromUnixMicros(1'600'000'000'123'456)};
  record.secret_sha256 = base::Sha256(TestWorker(1).secret);
  record.incarnation = TestWorker(1).incarnation;

  run_ = Must(store().CreateRun(request));

  EXPECT_EQ(Must(store().ListChanges(run_)), request.changes);
  EXPECT_EQ(Must(store().ListWorkerRecords(run_)), request.workers);
  const RunStatus status = Must(store().GetRunStatus(run_));
  EXPECT_EQ(status.created_config, config_);
  EXPECT_EQ(status.config, request.changes[0].config);
  EXPECT_EQ(status.next_config, request.changes[1].config);
  EXPECT_EQ(status.settings_round, base::Round(6));
  EXPECT_EQ(status.accepted_image_count, 15);
  // A worker that has never stopped goes on, with its credit; nobody else has its name.
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  EXPECT_EQ(unit.round, base::Round(5));
  EXPECT_EQ(unit.lease, absl::Seconds(7));
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 6);
  WorkerIdentity thief = TestWorker(1);
  thief.secret = TestWorker(2).secret;
  EXPECT_THAT(exchange().Join(TestJoin(thief, config_)), base::StatusIs(kUnauthenticated));
}

TEST_P(ExchangeContractTest, ARunThatWasPausedIsPausedElsewhere) {
  NewRun request = TestNewRun(config_);
  request.version = base::WeightsVersion(4);
  request.units = TestUnits(config_, base::Round(5));
  request.pause_reason = "lunch";

  run_ = Must(store().CreateRun(request));

  EXPECT_EQ(Status().state, domain::RunState::kPaused);
  EXPECT_EQ(Status().state_reason, "lunch");
  ASSERT_OK(store().SetRunState(run_, domain::RunState::kRunning, ""));
  Join(TestWorker(1));
  EXPECT_EQ(ClaimUnit(TestWorker(1)).round, base::Round(5));
}

TEST_P(ExchangeContractTest, APastThatCannotBeIsRefused) {
  NewRun fresh = TestNewRun(config_);
  fresh.version = base::WeightsVersion(4);
  fresh.units = TestUnits(config_, base::Round(5));
  const auto refused = [&](const std::function<void(NewRun&)>& change) {
    NewRun request = fresh;
    change(request);
    EXPECT_THAT(store().CreateRun(request), base::StatusIs(kInvalid));
  };
  refused([&](NewRun& run) { run.changes = {{base::Round(7), config_, ""}}; });
  refused([&](NewRun& run) { run.changes = {{base::Round(1), config_, ""}}; });
  refused([&](NewRun& run) {
    run.changes = {{base::Round(3), config_, ""}, {base::Round(3), config_, ""}};
  });
  refused([&](NewRun& run) {
    run.changes = {{base::Round(3), config_, ""}};
    run.changes[0].config.seed += 1;
  });
  WorkerRecord record;
  record.summary.worker = TestWorker(1).id;
  record.secret_sha256 = base::Sha256("secret");
  record.incarnation = base::Incarnation(1);
  refused([&](NewRun& run) { run.workers = {record, record}; });
  record.secret_sha256 = "short";
  refused([&](NewRun& run) { run.workers = {record}; });
  EXPECT_THAT(store().ListWorkerRecords(kNoSuchRun), base::StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, ALeaseChangesAtOnce) {
  StartRun();
  Join(TestWorker(1));
  domain::RunConfig changed = config_;
  changed.lease = absl::Seconds(7);
  ASSERT_OK(store().ChangeSettings(run_, changed, ""));

  EXPECT_EQ(ClaimUnit(TestWorker(1)).lease, absl::Seconds(7));
}

TEST_P(ExchangeContractTest, WhatCannotChangeIsRefused) {
  StartRun();
  domain::RunConfig changed = config_;
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""),
              base::StatusIs(kInvalid, HasSubstr("nothing")));
  changed.seed += 1;
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""),
              base::StatusIs(kInvalid, HasSubstr("seed")));
  changed = config_;
  changed.adam.learning_rate = -1;
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""),
              base::StatusIs(kInvalid, HasSubstr("learning_rate")));
  changed.adam.learning_rate = 1e-4;
  EXPECT_THAT(store().ChangeSettings(run_, changed, "two\nlines"), base::StatusIs(kInvalid));
  EXPECT_THAT(store().ChangeSettings(kNoSuchRun, changed, ""), base::StatusIs(kNotFound));
  EXPECT_THAT(store().ListChanges(kNoSuchRun), base::StatusIs(kNotFound));
  Finish();
  EXPECT_THAT(store().ChangeSettings(run_, changed, ""), base::StatusIs(kFailedPrecondition));
  EXPECT_THAT(Must(store().ListChanges(run_)), IsEmpty());
}

TEST_P(ExchangeContractTest, WhatWouldBecomeOfASubmissionIsToldBeforeItsBytes) {
  StartRun(2);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const auto check = [&](int worker, const WorkUnit& of, int surplus_images = 0) {
    const SubmitRequest request = TestSubmit(config_, TestWorker(worker), of);
    return exchange().CheckSubmission({.worker = request.worker,
                                       .run = run_,
                                       .unit = request.unit,
                                       .attempt = request.attempt,
                                       .image_count = request.stats.image_count + surplus_images,
                                       .micro_batch_count = request.stats.micro_batch_count,
                                       .sha256 = request.payload.sha256});
  };
  EXPECT_THAT(check(1, unit), base::IsOkAndHolds(std::nullopt));
  EXPECT_EQ(Progress(1).leased, 1) << "asking changes nothing";
  // A gateway asks by itself, and its client sends the bytes in any case.
  if (backend().DecodesGradients()) return;

  WorkUnit unknown = unit;
  unknown.unit = base::UnitId(unit.unit.value() + 1'000'000);
  EXPECT_THAT(check(1, unknown), base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(check(1, unit, 1), base::StatusIs(kInvalid));
  EXPECT_THAT(check(3, unit), base::StatusIs(absl::StatusCode::kUnauthenticated));
  EXPECT_THAT(check(2, unit), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  ASSERT_OK(Submit(TestWorker(1), unit));
  EXPECT_THAT(check(1, unit), base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));

  // What is said once is counted once, whoever says it.
  const WorkUnit lost = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, lost.unit, lost.attempt));
  ClaimUnit(TestWorker(2));
  const int64_t before = Summary(TestWorker(1)).wasted_image_count;
  EXPECT_THAT(check(1, lost), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_THAT(Submit(TestWorker(1), lost), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count,
            before + static_cast<int64_t>(lost.image_indices.size()));
}

TEST_P(ExchangeContractTest, AZombieIsSuperseded) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit zombie = ClaimUnit(TestWorker(1));
  backend().AdvanceTime(config_.lease);
  ASSERT_OK(store().ReapExpiredLeases(run_, leadership_));
  const WorkUnit current = ClaimUnit(TestWorker(2));
  ASSERT_EQ(current.attempt, base::Attempt(2));

  EXPECT_THAT(Submit(TestWorker(1), zombie, 1.0f),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_THAT(Submit(TestWorker(2), current, 2.0f),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(Submit(TestWorker(1), zombie, 1.0f),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));

  EXPECT_EQ(Must(store().FetchGradient(run_, zombie.unit)).sha256,
            TestGradient(config_, 2.0f).sha256);
  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 0);
  EXPECT_EQ(Summary(TestWorker(2)).accepted_unit_count, 1);
}

TEST_P(ExchangeContractTest, TheSameWorkersEarlierAttemptIsSuperseded) {
  StartRun(1);
  Join(TestWorker(1));
  const WorkUnit first = ClaimUnit(TestWorker(1));
  ASSERT_OK(exchange().Release(TestWorker(1), run_, first.unit, first.attempt));
  ClaimUnit(TestWorker(1));

  EXPECT_THAT(Submit(TestWorker(1), first), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
}

TEST_P(ExchangeContractTest, ASubmissionToADoneUnitIsSuperseded) {
  StartRun(1);
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  ASSERT_OK(Submit(TestWorker(1), unit));

  EXPECT_THAT(Submit(TestWorker(2), unit), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
}

TEST_P(ExchangeContractTest, ASubmissionAfterItsRoundIsClosed) {
  StartRun(2);
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  Publish();

  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kClosed));

  EXPECT_EQ(Summary(TestWorker(1)).accepted_unit_count, 0);
  EXPECT_THAT(store().FetchGradient(run_, unit.unit), base::StatusIs(kNotFound));
}

TEST_P(ExchangeContractTest, AnotherWorkersAttemptCannotBeHandedIn) {
  StartRun();
  Join(TestWorker(1));
  Join(TestWorker(2));
  const WorkUnit unit = ClaimUnit(TestWorker(1));

  EXPECT_THAT(Submit(TestWorker(2), unit), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(2)).accepted_unit_count, 0);
  EXPECT_EQ(Summary(TestWorker(2)).wasted_image_count, 0);

  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, AnAttemptThatWasNeverIssuedIsRefused) {
  StartRun();
  Join(TestWorker(1));
  WorkUnit unit = ClaimUnit(TestWorker(1));
  unit.attempt = base::Attempt(2);
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
  EXPECT_EQ(Summary(TestWorker(1)).wasted_image_count, 0);  // nor does it hide what is wasted later
  unit.attempt = base::Attempt(0);
  EXPECT_THAT(Submit(TestWorker(1), unit), base::StatusIs(kInvalid));
  unit.attempt = base::Attempt(1);
  unit.unit = kNoSuchUnit;
  EXPECT_THAT(Submit(TestWorker(1), unit), base::StatusIs(kNotFound));
  unit.unit = base::UnitId(0);
  EXPECT_THAT(Submit(TestWorker(1), unit), base::StatusIs(kInvalid));
}

TEST_P(ExchangeContractTest, AUnitOfAnotherRunIsNotFound) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const domain::RunConfig other = TinyRunConfig("other");
  const base::RunId other_run = Must(store().CreateRun(TestNewRun(other)));
  ASSERT_OK(exchange().Join(TestJoin(TestWorker(1), other)));
  WorkUnit stray = unit;
  stray.run = other_run;

  EXPECT_THAT(Submit(TestWorker(1), stray), base::StatusIs(kNotFound));
  EXPECT_THAT(store().FetchGradient(other_run, unit.unit), base::StatusIs(kNotFound));
  EXPECT_OK(exchange().Release(TestWorker(1), other_run, unit.unit, unit.attempt));

  EXPECT_EQ(Progress(1).leased, 1);
}

TEST_P(ExchangeContractTest, MalformedSubmissionsAreRefused) {
  StartRun();
  Join(TestWorker(1));
  const WorkUnit unit = ClaimUnit(TestWorker(1));
  const std::vector<std::function<void(SubmitRequest&)>> flaws = {
      [](SubmitRequest& r) { r.stats.image_count = 3; },
      [](SubmitRequest& r) { r.stats.image_count = -4; },
      [](SubmitRequest& r) { r.stats.micro_batch_count = 1; },
      [](SubmitRequest& r) { r.stats.micro_batch_count = 0; },
      [](SubmitRequest& r) { r.stats.discriminator_loss = std::nan(""); },
      [](SubmitRequest& r) { r.stats.generator_loss = HUGE_VAL; },
      [](SubmitRequest& r) { r.stats.real_accuracy = -HUGE_VAL; },
      [](SubmitRequest& r) { r.stats.fake_accuracy = std::nan(""); },
      [](SubmitRequest& r) { r.stats.compute_seconds = HUGE_VAL; },
      [](SubmitRequest& r) { r.stats.discriminator_loss = 1e308; },
      [](SubmitRequest& r) { r.stats.discriminator_loss = -1e308; },
      [](SubmitRequest& r) {
        r.stats.discriminator_loss = std::nextafter(domain::kDivergedLoss, 1e5);
      },
      [](SubmitRequest& r) {
        r.stats.generator_loss = std::nextafter(-domain::kDivergedLoss, -1e5);
      },
      [](SubmitRequest& r) { r.stats.real_accuracy = std::nextafter(1.0, 2.0); },
      [](SubmitRequest& r) { r.stats.real_accuracy = -std::numeric_limits<double>::denorm_min(); },
      [](SubmitRequest& r) { r.stats.fake_accuracy = 1e30; },
      [](SubmitRequest& r) { r.stats.fake_accuracy = -1; },
      [](SubmitRequest& r) { r.stats.compute_seconds = -0.001; },
      [](SubmitRequest& r) {
        r.stats.compute_seconds = std::nextafter(domain::kMaxComputeSeconds, 1e9);
      },
      [](SubmitRequest& r) { r.payload.codec = static_cast<tensor::Codec>(77); },
      [](SubmitRequest& r) { r.payload.sha256 = "short"; },
      [](SubmitRequest& r) { r.payload = Payload::FromBytes(tensor::Codec::kFp32, ""); },
      [](SubmitRequest& r) { r.payload.bytes = nullptr; },
  };
  for (size_t i = 0; i < flaws.size(); ++i) {
    SubmitRequest request = TestSubmit(config_, TestWorker(1), unit);
    flaws[i](request);
    EXPECT_THAT(exchange().Submit(request), base::StatusIs(kInvalid)) << "flaw " << i;
  }
  EXPECT_EQ(Progress(1).leased, 1);
  EXPECT_THAT(Submit(TestWorker(1), unit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_P(ExchangeContractTest, BytesThatDoNotMatchTheirChecksumAreRefused) {
  StartRun();
  Join(TestWorker(1));
  SubmitRequest request = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
  request.payload.sha256 = base::Sha256("something else");

  EXPECT_THAT(exchange().Submit(request), base::StatusIs(absl::StatusCode::kDataLoss));

  EXPECT_EQ(Progress(1).leased, 1);
}

TEST_P(ExchangeContractTest, AUnitWhoseImagesDoNotDivideEvenlyCountsFewerMicroBatches) {
  NewRun request = TestNewRun(config_);
  request.units.resize(1);
  request.units[0].image_indices = {1, 2, 3, 4, 5};  // micro-batches of 2: the last one takes 3
  run_ = Must(store().CreateRun(request));
  Join(TestWorker(1));
  SubmitRequest submit = TestSubmit(config_, TestWorker(1), ClaimUnit(TestWorker(1)));
  submit.stats.image_count = 5;

  submit.stats.micro_batch_count = 3;
  EXPECT_THAT(exchange().Submit(submit), base::StatusIs(kInvalid));
  submit.stats.micro_batch_count = 2;
  EXPECT_THAT(exchange().Submit(submit), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_EQ(Summary(TestWorker(1)).accepted_image_count, 5);
}

}  // namespace gannet::exchange
