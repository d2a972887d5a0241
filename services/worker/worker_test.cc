#include "services/worker/worker.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/status_macros.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/forwarding_exchange.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::worker {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

// An exchange into whose calls a test injects faults: `before` may refuse a call, `after` may lose
// its answer.
class FaultInjectingExchange final : public ForwardingExchange {
 public:
  using Fault = std::function<absl::Status(absl::string_view call)>;

  using ForwardingExchange::ForwardingExchange;

  Fault before = [](absl::string_view) { return absl::OkStatus(); };
  Fault after = [](absl::string_view) { return absl::OkStatus(); };
  std::function<void(WorkUnit&)> change_unit = [](WorkUnit&) {};
  std::function<void(Attempt)> after_fail = [](Attempt) {};
  std::atomic<int> fetches{0};
  std::vector<std::string> joined;  // the runs asked for

  absl::StatusOr<JoinResult> Join(const JoinRequest& r) override {
    joined.push_back(r.run_name);
    return WithFaults("join", [&] { return ForwardingExchange::Join(r); });
  }
  absl::StatusOr<ClaimResult> Claim(const ClaimRequest& r) override {
    return WithFaults("claim", [&] {
      absl::StatusOr<ClaimResult> result = ForwardingExchange::Claim(r);
      if (result.ok() && result->unit.has_value()) change_unit(*result->unit);
      return result;
    });
  }
  absl::StatusOr<Payload> FetchWeights(const FetchWeightsRequest& request) override {
    ++fetches;
    return WithFaults("fetch", [&] { return ForwardingExchange::FetchWeights(request); });
  }
  absl::StatusOr<SubmitOutcome> Submit(const SubmitRequest& r) override {
    return WithFaults("submit", [&] { return ForwardingExchange::Submit(r); });
  }
  absl::Status Release(const WorkerIdentity& w, RunId run, UnitId unit, Attempt attempt) override {
    return WithFaults("release",
                      [&] { return ForwardingExchange::Release(w, run, unit, attempt); });
  }
  absl::Status Fail(const WorkerIdentity& w, RunId run, UnitId unit, Attempt attempt,
                    const std::string& reason) override {
    GANNET_RETURN_IF_ERROR(ForwardingExchange::Fail(w, run, unit, attempt, reason));
    after_fail(attempt);
    return absl::OkStatus();
  }
  absl::Status Leave(const WorkerIdentity& w, RunId run) override {
    return WithFaults("leave", [&] { return ForwardingExchange::Leave(w, run); });
  }

 private:
  template <typename Call>
  auto WithFaults(absl::string_view name, Call call) -> decltype(call()) {
    if (absl::Status status = before(name); !status.ok()) return status;
    auto answer = call();
    if (absl::Status status = after(name); !status.ok()) return status;
    return answer;
  }
};

// The database's clock, which a test may set forward.
class MovableClock final : public Clock {
 public:
  absl::Time Now() override { return real_.Now() + absl::Seconds(ahead_seconds_.load()); }
  absl::Duration Steady() override { return real_.Steady(); }
  void Advance(absl::Duration by) { ahead_seconds_ += absl::ToInt64Seconds(by); }

 private:
  RealClock real_;
  std::atomic<int64_t> ahead_seconds_{0};
};

// The real images, but a test sees each read and may make it fail.
class WatchedDataset final : public Dataset {
 public:
  WatchedDataset(std::unique_ptr<Dataset> inner, std::function<absl::Status(int64_t)> on_read)
      : inner_(std::move(inner)), on_read_(std::move(on_read)) {}

  int64_t size() const override { return inner_->size(); }
  const DatasetFingerprint& fingerprint() const override { return inner_->fingerprint(); }
  std::string NameOf(int64_t index) const override { return inner_->NameOf(index); }
  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    if (absl::Status status = on_read_(index); !status.ok()) return status;
    return inner_->ReadRgb(index, out);
  }

 private:
  const std::unique_ptr<Dataset> inner_;
  const std::function<absl::Status(int64_t)> on_read_;
};

class WorkerTest : public ::testing::Test {
 protected:
  static constexpr int64_t kImageCount = 64;

  void SetUp() override {
    config_ = TinyRunConfig();
    config_.model = {.image_size = 32, .latent_dim = 8, .base_width = 4};
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Dataset> dataset, OpenFaces(kImageCount));
    const DatasetFingerprint& data = dataset->fingerprint();
    config_.data = {data.kind, data.image_count, data.digest, data.description};
    NewRun run = TestNewRun(config_);
    run.weights = Payload::FromBytes(Codec::kFp32,
                                     *EncodeBundle(InitialWeights(config_.model, 1), Codec::kFp32));
    ASSERT_OK_AND_ASSIGN(run_, backend_.store().CreateRun(run));
    ASSERT_OK_AND_ASSIGN(leadership_,
                         backend_.store().AcquireLeadership(run_, TestLeader(1), absl::Hours(1)));
  }

  static absl::StatusOr<std::unique_ptr<Dataset>> OpenFaces(int64_t count) {
    return OpenDataset(
        {.kind = "procedural", .path = "", .image_size = 32, .seed = 1, .count = count});
  }

  // A worker over `exchange_`; its images are those `on_read_` lets pass.
  std::unique_ptr<Worker> MakeWorker(int number, int64_t image_count = kImageCount) {
    WorkerOptions options;
    options.identity = TestWorker(number, starts_);
    options.display_name = absl::StrCat("worker ", number);
    options.peer = "the test";
    options.claim_wait = absl::Milliseconds(50);
    options.backoff = {.initial = absl::Microseconds(10), .max = absl::Milliseconds(1)};
    options.failure_pause = options.backoff;
    options.spool_path = spool_path_;
    stops_.push_back(std::make_unique<StopSignal>());
    return std::make_unique<Worker>(
        options, exchange_,
        [this, image_count](int) -> absl::StatusOr<std::unique_ptr<Dataset>> {
          if (open_images_) return open_images_();
          auto faces = OpenFaces(image_count);
          if (!faces.ok()) return faces.status();
          return std::make_unique<WatchedDataset>(*std::move(faces), on_read_);
        },
        MakeGradientComputer, *stops_.back(), clock_, NullLogger(), metrics_);
  }

  // Waits until the round's state is as wanted.
  RoundProgress AwaitRound(Round round, const std::function<bool(const RoundProgress&)>& wanted) {
    while (true) {
      absl::StatusOr<RoundProgress> progress = backend_.store().GetRoundProgress(run_, round);
      EXPECT_OK(progress);
      if (!progress.ok() || wanted(*progress)) return progress.value_or(RoundProgress{});
      backend_.store().AwaitChange(run_, absl::Milliseconds(5));
    }
  }

  RoundProgress AwaitGradients(Round round) {
    return AwaitRound(round, [&](const RoundProgress& progress) {
      return static_cast<int>(progress.gradients.size()) == config_.units_per_round;
    });
  }

  // Lets a worker work until a unit has failed for good. Returns the reason that the run was given.
  std::string WhyAUnitFails();

  // Publishes the round with the weights it had.
  void Publish(Round round, bool finished) {
    PublishRequest request =
        TestPublish(config_, run_, leadership_, WeightsVersion(round.value() - 1));
    request.weights = Payload::FromBytes(
        Codec::kFp32, *EncodeBundle(InitialWeights(config_.model, 1), Codec::kFp32));
    request.finished = finished;
    if (finished) request.next_units.clear();
    ASSERT_OK(backend_.store().PrepareRound(run_, leadership_, Round(round.value() + 1)));
    ASSERT_OK(backend_.store().Publish(request));
  }

  std::vector<std::unique_ptr<StopSignal>> stops_;
  RealClock clock_;
  MovableClock database_clock_;
  MemoryBackend backend_{database_clock_};
  FaultInjectingExchange exchange_{backend_.exchange()};
  // In place of the faces, if it is set.
  std::function<absl::StatusOr<std::unique_ptr<Dataset>>()> open_images_;
  std::function<absl::Status(int64_t)> on_read_ = [](int64_t) { return absl::OkStatus(); };
  Metrics metrics_;
  std::string spool_path_;
  int64_t starts_ = 1;
  RunConfig config_;
  RunId run_;
  Leadership leadership_;
};

// Runs a worker in a thread of its own.
class RunningWorker {
 public:
  explicit RunningWorker(Worker& worker)
      : worker_(worker), thread_([this] { report_ = worker_.Run(); }) {}
  ~RunningWorker() {
    worker_.RequestStop();
    if (thread_.joinable()) thread_.join();
  }

  absl::StatusOr<WorkerReport> Wait() {
    thread_.join();
    return report_;
  }

 private:
  Worker& worker_;
  absl::StatusOr<WorkerReport> report_ = absl::UnknownError("not run");
  std::thread thread_;
};

std::string WorkerTest::WhyAUnitFails() {
  exchange_.after_fail = [this](Attempt attempt) {
    database_clock_.Advance(ReturnDelay(attempt, ReturnCause::kFailed));
  };
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);
  return AwaitRound(Round(1), [](const RoundProgress& p) { return p.failed > 0; }).failure_reason;
}

TEST_F(WorkerTest, WorksUntilTheRunIsFinished) {
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);

  AwaitGradients(Round(1));
  Publish(Round(1), false);
  AwaitGradients(Round(2));
  Publish(Round(2), true);

  ASSERT_OK_AND_ASSIGN(const WorkerReport report, running.Wait());
  EXPECT_EQ(report.end, WorkerReport::End::kRunFinished);
  EXPECT_EQ(report.accepted_units, 2 * config_.units_per_round);
  EXPECT_EQ(report.accepted_images, 2 * config_.units_per_round * config_.images_per_unit);
  EXPECT_EQ(report.lost_units, 0);
}

TEST_F(WorkerTest, TheTimeOfTransfersIsMeasured) {
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);
  AwaitGradients(Round(1));
  Publish(Round(1), true);
  ASSERT_OK(running.Wait());

  const std::string metrics = metrics_.Render();
  for (const char* direction : {"sending", "receiving"}) {
    const std::string name =
        absl::StrCat("gannet_worker_transfer_seconds_total{direction=\"", direction, "\"} ");
    const size_t found = metrics.find("\n" + name);
    ASSERT_NE(found, std::string::npos) << direction;
    EXPECT_GT(std::strtod(metrics.c_str() + found + 1 + name.size(), nullptr), 0) << direction;
  }
}

TEST_F(WorkerTest, WeightsAreFetchedOncePerVersion) {
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);

  AwaitGradients(Round(1));
  EXPECT_EQ(exchange_.fetches, 1);
  Publish(Round(1), false);
  AwaitGradients(Round(2));

  EXPECT_EQ(exchange_.fetches, 2);
}

TEST_F(WorkerTest, AStopGivesTheUnitBackAtOnce) {
  StopSignal reading;
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  on_read_ = [&](int64_t) {
    reading.Request();
    worker->RequestStop();
    return absl::OkStatus();
  };
  RunningWorker running(*worker);

  reading.AwaitFor(absl::InfiniteDuration());
  ASSERT_OK_AND_ASSIGN(const WorkerReport report, running.Wait());

  EXPECT_EQ(report.end, WorkerReport::End::kAskedToStop);
  ASSERT_OK_AND_ASSIGN(const RoundProgress progress,
                       backend_.store().GetRoundProgress(run_, Round(1)));
  EXPECT_EQ(progress.ready, config_.units_per_round);
  EXPECT_EQ(progress.leased, 0);
}

TEST_F(WorkerTest, AFinishedGradientWaitsForTheNextStartWhenNobodyAnswers) {
  spool_path_ = absl::StrCat(::testing::TempDir(), "/gannet_kept_", ::getpid());
  std::atomic<bool> away = true;
  std::atomic<int> tries = 0;
  exchange_.before = [&](absl::string_view call) -> absl::Status {
    if (!away || (call != "submit" && call != "release" && call != "leave")) {
      return absl::OkStatus();
    }
    ++tries;
    return absl::UnavailableError("the gateway is away");
  };
  {
    const std::unique_ptr<Worker> worker = MakeWorker(1);
    RunningWorker running(*worker);
    while (tries == 0) std::this_thread::yield();
  }
  EXPECT_TRUE(std::filesystem::exists(spool_path_));
  away = false;
  ++starts_;

  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);
  AwaitGradients(Round(1));
  Publish(Round(1), true);
  ASSERT_OK_AND_ASSIGN(const WorkerReport report, running.Wait());

  EXPECT_EQ(report.accepted_units, config_.units_per_round);
  EXPECT_FALSE(std::filesystem::exists(spool_path_));
  ASSERT_OK_AND_ASSIGN(const RoundProgress progress,
                       backend_.store().GetRoundProgress(run_, Round(1)));
  // One that had been finished beside it may have taken its place in the file.
  EXPECT_THAT(progress.gradients, Contains(Field(&GradientInfo::attempt, Attempt(1))));
}

TEST_F(WorkerTest, AnUnreadableImageIsReportedByName) {
  on_read_ = [](int64_t) { return absl::DataLossError("cannot decode 000042.jpg"); };

  EXPECT_THAT(WhyAUnitFails(), HasSubstr("000042.jpg"));
  ASSERT_OK_AND_ASSIGN(const RunStatus status, backend_.store().GetRunStatus(run_));
  EXPECT_EQ(status.state, RunState::kPaused);
}

TEST_F(WorkerTest, AFileNameThatIsNoTextIsReportedAllTheSame) {
  on_read_ = [](int64_t) { return absl::DataLossError("cannot decode 02b\xff\nx.png"); };

  EXPECT_THAT(WhyAUnitFails(), HasSubstr("02b??x.png"));
}

TEST_F(WorkerTest, AGradientThatIsTooLargeFailsItsUnit) {
  exchange_.before = [](absl::string_view method) {
    return method == "submit" ? absl::OutOfRangeError("too large") : absl::OkStatus();
  };

  EXPECT_THAT(WhyAUnitFails(), HasSubstr("too large"));
}

TEST_F(WorkerTest, LostAnswersCostNothing) {
  std::atomic<int> call{0};
  exchange_.before = [&](absl::string_view) {
    return ++call % 3 == 0 ? absl::UnavailableError("refused") : absl::OkStatus();
  };
  exchange_.after = [&](absl::string_view) {
    return ++call % 2 == 0 ? absl::UnavailableError("answer lost") : absl::OkStatus();
  };
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);

  const RoundProgress progress = AwaitGradients(Round(1));
  Publish(Round(1), true);

  ASSERT_OK_AND_ASSIGN(const WorkerReport report, running.Wait());
  EXPECT_EQ(report.accepted_units, config_.units_per_round);
  EXPECT_EQ(report.lost_units, 0);
  for (const GradientInfo& gradient : progress.gradients) EXPECT_EQ(gradient.attempt, Attempt(1));
}

TEST_F(WorkerTest, AnotherDataSetIsRefusedWithTheDifference) {
  const std::unique_ptr<Worker> worker = MakeWorker(1, kImageCount - 1);

  EXPECT_THAT(worker->Run(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("63")));
}

TEST_F(WorkerTest, ANewIncarnationEndsTheOldOne) {
  StopSignal reading;
  StopSignal go_on;
  on_read_ = [&](int64_t) {
    reading.Request();
    go_on.AwaitFor(absl::InfiniteDuration());
    return absl::OkStatus();
  };
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);
  reading.AwaitFor(absl::InfiniteDuration());

  ASSERT_OK(backend_.exchange().Join(TestJoin(TestWorker(1, /*incarnation=*/2), config_)));
  go_on.Request();

  EXPECT_THAT(running.Wait(), StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK_AND_ASSIGN(const RoundProgress progress,
                       backend_.store().GetRoundProgress(run_, Round(1)));
  EXPECT_EQ(progress.gradients.size(), 0u);
}

// The images, by another digest than the run was begun with.
class RenamedDataset final : public Dataset {
 public:
  RenamedDataset(std::unique_ptr<Dataset> inner, bool knows_former) : inner_(std::move(inner)) {
    fingerprint_ = inner_->fingerprint();
    if (knows_former) fingerprint_.former_digest = fingerprint_.digest;
    fingerprint_.digest = std::string(64, 'b');
  }

  int64_t size() const override { return inner_->size(); }
  const DatasetFingerprint& fingerprint() const override { return fingerprint_; }
  std::string NameOf(int64_t index) const override { return inner_->NameOf(index); }
  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    return inner_->ReadRgb(index, out);
  }

 private:
  const std::unique_ptr<Dataset> inner_;
  DatasetFingerprint fingerprint_;
};

TEST_F(WorkerTest, OtherImagesAreRefusedButNotARunThatKnowsThemByTheirFormerDigest) {
  bool knows_former = false;
  open_images_ = [&]() -> absl::StatusOr<std::unique_ptr<Dataset>> {
    auto faces = OpenFaces(kImageCount);
    if (!faces.ok()) return faces.status();
    return std::make_unique<RenamedDataset>(*std::move(faces), knows_former);
  };
  EXPECT_THAT(MakeWorker(1)->Run(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("data sets differ")));

  knows_former = true;
  const std::unique_ptr<Worker> worker = MakeWorker(2);
  RunningWorker running(*worker);
  AwaitGradients(Round(1));
  Publish(Round(1), true);

  ASSERT_OK(running.Wait());
}

// A database that has gone back behind this worker's Join, or behind that of its start.
TEST_F(WorkerTest, AWorkerThatIsForgottenJoinsAgainAndGoesOn) {
  std::atomic<int> claims{0};
  exchange_.before = [&](absl::string_view method) {
    return method == "claim" && ++claims == 2 ? absl::UnauthenticatedError("join it first")
                                              : absl::OkStatus();
  };
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);

  AwaitGradients(Round(1));
  Publish(Round(1), true);

  ASSERT_OK_AND_ASSIGN(const WorkerReport report, running.Wait());
  EXPECT_EQ(report.accepted_units, config_.units_per_round);
}

TEST_F(WorkerTest, AWorkerWhoseRunIsLostJoinsWhicheverIsThere) {
  std::atomic<int> claims{0};
  std::atomic<int> joins{0};
  exchange_.before = [&](absl::string_view method) {
    if (method == "claim" && ++claims == 2) return absl::UnauthenticatedError("join it first");
    if (method == "join" && ++joins == 3) return absl::NotFoundError("no such run");
    return absl::OkStatus();
  };
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);

  AwaitGradients(Round(1));
  Publish(Round(1), true);

  ASSERT_OK(running.Wait());
  // Each time first to be told of the run, then with the data.
  EXPECT_THAT(exchange_.joined, ::testing::ElementsAre("", "", config_.name, "", ""));
}

// Weights of the same number that are others are fetched again.
TEST_F(WorkerTest, WeightsAreKnownByTheirChecksum) {
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  bool renamed = false;
  exchange_.change_unit = [&](WorkUnit& unit) {
    // As a gateway of before: it names no checksum, so nobody knows whether these are the same.
    if (std::exchange(renamed, true)) unit.weights_sha256.clear();
  };
  RunningWorker running(*worker);

  AwaitGradients(Round(1));
  Publish(Round(1), true);

  ASSERT_OK(running.Wait());
  EXPECT_EQ(exchange_.fetches.load(), 2);
}

TEST_F(WorkerTest, TwoWorkersShareARound) {
  const std::unique_ptr<Worker> first = MakeWorker(1);
  const std::unique_ptr<Worker> second = MakeWorker(2);
  RunningWorker running_first(*first);
  RunningWorker running_second(*second);

  AwaitGradients(Round(1));
  Publish(Round(1), true);

  ASSERT_OK_AND_ASSIGN(const WorkerReport a, running_first.Wait());
  ASSERT_OK_AND_ASSIGN(const WorkerReport b, running_second.Wait());
  EXPECT_EQ(a.accepted_units + b.accepted_units, config_.units_per_round);
  EXPECT_EQ(a.lost_units + b.lost_units, 0);
}

}  // namespace
}  // namespace gannet::worker
