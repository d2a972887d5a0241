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
class FaultInjectingExchange final : public exchange::ForwardingExchange {
 public:
  using Fault = std::function<absl::Status(absl::string_view call)>;

  using exchange::ForwardingExchange::ForwardingExchange;

  Fault before = [](absl::string_view) { return absl::OkStatus(); };
  Fault after = [](absl::string_view) { return absl::OkStatus(); };
  std::function<void(exchange::WorkUnit&)> change_unit = [](exchange::WorkUnit&) {};
  std::function<void(base::Attempt)> after_fail = [](base::Attempt) {};
  std::atomic<int> fetches{0};
  std::vector<std::string> joined;  // the runs asked for

  absl::StatusOr<exchange::JoinResult> Join(const exchange::JoinRequest& r) override {
    joined.push_back(r.run_name);
    return WithFaults("join", [&] { return exchange::ForwardingExchange::Join(r); });
  }
  absl::StatusOr<exchange::ClaimResult> Claim(const exchange::ClaimRequest& r) override {
    return WithFaults("claim", [&] {
      absl::StatusOr<exchange::ClaimResult> result = exchange::ForwardingExchange::Claim(r);
      if (result.ok() && result->unit.has_value()) change_unit(*result->unit);
      return result;
    });
  }
  absl::StatusOr<exchange::Payload> FetchWeights(
      const exchange::FetchWeightsRequest& request) override {
    ++fetches;
    return WithFaults("fetch", [&] { return exchange::ForwardingExchange::FetchWeights(request); });
  }
  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::SubmitRequest& r) override {
    return WithFaults("submit", [&] { return exchange::ForwardingExchange::Submit(r); });
  }
  absl::Status Release(const exchange::WorkerIdentity& w, base::RunId run, base::UnitId unit,
                       base::Attempt attempt) override {
    return WithFaults("release",
                      [&] { return exchange::ForwardingExchange::Release(w, run, unit, attempt); });
  }
  absl::Status Fail(const exchange::WorkerIdentity& w, base::RunId run, base::UnitId unit,
                    base::Attempt attempt, const std::string& reason) override {
    GANNET_RETURN_IF_ERROR(exchange::ForwardingExchange::Fail(w, run, unit, attempt, reason));
    after_fail(attempt);
    return absl::OkStatus();
  }
  absl::Status Leave(const exchange::WorkerIdentity& w, base::RunId run) override {
    return WithFaults("leave", [&] { return exchange::ForwardingExchange::Leave(w, run); });
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
class MovableClock final : public base::Clock {
 public:
  absl::Time Now() override { return real_.Now() + absl::Seconds(ahead_seconds_.load()); }
  absl::Duration Steady() override { return real_.Steady(); }
  void Advance(absl::Duration by) { ahead_seconds_ += absl::ToInt64Seconds(by); }

 private:
  base::RealClock real_;
  std::atomic<int64_t> ahead_seconds_{0};
};

// The real images, but a test sees each read and may make it fail.
class WatchedDataset final : public data::Dataset {
 public:
  WatchedDataset(std::unique_ptr<data::Dataset> inner, std::function<absl::Status(int64_t)> on_read)
      : inner_(std::move(inner)), on_read_(std::move(on_read)) {}

  int64_t size() const override { return inner_->size(); }
  const data::DatasetFingerprint& fingerprint() const override { return inner_->fingerprint(); }
  std::string NameOf(int64_t index) const override { return inner_->NameOf(index); }
  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    if (absl::Status status = on_read_(index); !status.ok()) return status;
    return inner_->ReadRgb(index, out);
  }

 private:
  const std::unique_ptr<data::Dataset> inner_;
  const std::function<absl::Status(int64_t)> on_read_;
};

class WorkerTest : public ::testing::Test {
 protected:
  static constexpr int64_t kImageCount = 64;

  void SetUp() override {
    config_ = exchange::TinyRunConfig();
    config_.model = {.image_size = 32, .latent_dim = 8, .base_width = 4};
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<data::Dataset> dataset, OpenFaces(kImageCount));
    const data::DatasetFingerprint& data = dataset->fingerprint();
    config_.data = {data.kind, data.image_count, data.digest, data.description};
    exchange::NewRun run = exchange::TestNewRun(config_);
    run.weights = exchange::Payload::FromBytes(
        tensor::Codec::kFp32,
        *EncodeBundle(gan::InitialWeights(config_.model, 1), tensor::Codec::kFp32));
    ASSERT_OK_AND_ASSIGN(run_, backend_.store().CreateRun(run));
    ASSERT_OK_AND_ASSIGN(leadership_, backend_.store().AcquireLeadership(
                                          run_, exchange::TestLeader(1), absl::Hours(1)));
  }

  static absl::StatusOr<std::unique_ptr<data::Dataset>> OpenFaces(int64_t count) {
    return data::OpenDataset(
        {.kind = "procedural", .path = "", .image_size = 32, .seed = 1, .count = count});
  }

  // A worker over `exchange_`; its images are those `on_read_` lets pass.
  std::unique_ptr<Worker> MakeWorker(int number, int64_t image_count = kImageCount) {
    WorkerOptions options;
    options.identity = exchange::TestWorker(number, starts_);
    options.display_name = absl::StrCat("worker ", number);
    options.peer = "the test";
    options.claim_wait = absl::Milliseconds(50);
    options.backoff = {.initial = absl::Microseconds(10), .max = absl::Milliseconds(1)};
    options.failure_pause = options.backoff;
    options.spool_path = spool_path_;
    stops_.push_back(std::make_unique<base::StopSignal>());
    return std::make_unique<Worker>(
        options, exchange_,
        [this, image_count](int) -> absl::StatusOr<std::unique_ptr<data::Dataset>> {
          if (open_images_) return open_images_();
          auto faces = OpenFaces(image_count);
          if (!faces.ok()) return faces.status();
          return std::make_unique<WatchedDataset>(*std::move(faces), on_read_);
        },
        gan::MakeGradientComputer, *stops_.back(), clock_, telemetry::NullLogger(), metrics_);
  }

  // Waits until the round's state is as wanted.
  exchange::RoundProgress AwaitRound(
      base::Round round, const std::function<bool(const exchange::RoundProgress&)>& wanted) {
    while (true) {
      absl::StatusOr<exchange::RoundProgress> progress =
          backend_.store().GetRoundProgress(run_, round);
      EXPECT_OK(progress);
      if (!progress.ok() || wanted(*progress)) return progress.value_or(exchange::RoundProgress{});
      backend_.store().AwaitChange(run_, absl::Milliseconds(5));
    }
  }

  exchange::RoundProgress AwaitGradients(base::Round round) {
    return AwaitRound(round, [&](const exchange::RoundProgress& progress) {
      return static_cast<int>(progress.gradients.size()) == config_.units_per_round;
    });
  }

  // Lets a worker work until a unit has failed permanently. Returns the reason that the run was
  // given.
  std::string WhyAUnitFails();

  // Publishes the round with the weights it had.
  void Publish(base::Round round, bool finished) {
    exchange::PublishRequest request =
        exchange::TestPublish(config_, run_, leadership_, base::WeightsVersion(round.value() - 1));
    request.weights = exchange::Payload::FromBytes(
        tensor::Codec::kFp32,
        *EncodeBundle(gan::InitialWeights(config_.model, 1), tensor::Codec::kFp32));
    request.finished = finished;
    if (finished) request.next_units.clear();
    ASSERT_OK(backend_.store().ReclaimOldBlobs(run_, leadership_, base::Round(round.value() + 1)));
    ASSERT_OK(backend_.store().Publish(request));
  }

  std::vector<std::unique_ptr<base::StopSignal>> stops_;
  base::RealClock clock_;
  MovableClock database_clock_;
  exchange::MemoryBackend backend_{database_clock_};
  FaultInjectingExchange exchange_{backend_.exchange()};
  // In place of the faces, if it is set.
  std::function<absl::StatusOr<std::unique_ptr<data::Dataset>>()> open_images_;
  std::function<absl::Status(int64_t)> on_read_ = [](int64_t) { return absl::OkStatus(); };
  telemetry::Metrics metrics_;
  std::string spool_path_;
  int64_t starts_ = 1;
  domain::RunConfig config_;
  base::RunId run_;
  exchange::Leadership leadership_;
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
  exchange_.after_fail = [this](base::Attempt attempt) {
    database_clock_.Advance(domain::RequeueBackoff(attempt, domain::RequeueCause::kFailed));
  };
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);
  return AwaitRound(base::Round(1), [](const exchange::RoundProgress& p) { return p.failed > 0; })
      .failure_reason;
}

TEST_F(WorkerTest, WorksUntilTheRunIsFinished) {
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);

  AwaitGradients(base::Round(1));
  Publish(base::Round(1), false);
  AwaitGradients(base::Round(2));
  Publish(base::Round(2), true);

  ASSERT_OK_AND_ASSIGN(const WorkerReport report, running.Wait());
  EXPECT_EQ(report.end, WorkerReport::End::kRunFinished);
  EXPECT_EQ(report.accepted_units, 2 * config_.units_per_round);
  EXPECT_EQ(report.accepted_images, 2 * config_.units_per_round * config_.images_per_unit);
  EXPECT_EQ(report.wasted_units, 0);
}

TEST_F(WorkerTest, TheTimeOfTransfersIsMeasured) {
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);
  AwaitGradients(base::Round(1));
  Publish(base::Round(1), true);
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

  AwaitGradients(base::Round(1));
  EXPECT_EQ(exchange_.fetches, 1);
  Publish(base::Round(1), false);
  AwaitGradients(base::Round(2));

  EXPECT_EQ(exchange_.fetches, 2);
}

TEST_F(WorkerTest, AStopGivesTheUnitBackAtOnce) {
  base::StopSignal reading;
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
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress progress,
                       backend_.store().GetRoundProgress(run_, base::Round(1)));
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
  AwaitGradients(base::Round(1));
  Publish(base::Round(1), true);
  ASSERT_OK_AND_ASSIGN(const WorkerReport report, running.Wait());

  EXPECT_EQ(report.accepted_units, config_.units_per_round);
  EXPECT_FALSE(std::filesystem::exists(spool_path_));
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress progress,
                       backend_.store().GetRoundProgress(run_, base::Round(1)));
  // One that had been finished beside it may have taken its place in the file.
  EXPECT_THAT(progress.gradients,
              Contains(Field(&exchange::GradientInfo::attempt, base::Attempt(1))));
}

TEST_F(WorkerTest, AnUnreadableImageIsReportedByName) {
  on_read_ = [](int64_t) { return absl::DataLossError("cannot decode 000042.jpg"); };

  EXPECT_THAT(WhyAUnitFails(), HasSubstr("000042.jpg"));
  ASSERT_OK_AND_ASSIGN(const exchange::RunStatus status, backend_.store().GetRunStatus(run_));
  EXPECT_EQ(status.state, domain::RunState::kPaused);
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

  const exchange::RoundProgress progress = AwaitGradients(base::Round(1));
  Publish(base::Round(1), true);

  ASSERT_OK_AND_ASSIGN(const WorkerReport report, running.Wait());
  EXPECT_EQ(report.accepted_units, config_.units_per_round);
  EXPECT_EQ(report.wasted_units, 0);
  for (const exchange::GradientInfo& gradient : progress.gradients)
    EXPECT_EQ(gradient.attempt, base::Attempt(1));
}

TEST_F(WorkerTest, AnotherDataSetIsRefusedWithTheDifference) {
  const std::unique_ptr<Worker> worker = MakeWorker(1, kImageCount - 1);

  EXPECT_THAT(worker->Run(),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("63")));
}

TEST_F(WorkerTest, ANewIncarnationEndsTheOldOne) {
  base::StopSignal reading;
  base::StopSignal go_on;
  on_read_ = [&](int64_t) {
    reading.Request();
    go_on.AwaitFor(absl::InfiniteDuration());
    return absl::OkStatus();
  };
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);
  reading.AwaitFor(absl::InfiniteDuration());

  ASSERT_OK(backend_.exchange().Join(
      exchange::TestJoin(exchange::TestWorker(1, /*incarnation=*/2), config_)));
  go_on.Request();

  EXPECT_THAT(running.Wait(), base::StatusIs(absl::StatusCode::kFailedPrecondition));
  ASSERT_OK_AND_ASSIGN(const exchange::RoundProgress progress,
                       backend_.store().GetRoundProgress(run_, base::Round(1)));
  EXPECT_EQ(progress.gradients.size(), 0u);
}

// The images, by another digest than the run was begun with.
class RenamedDataset final : public data::Dataset {
 public:
  RenamedDataset(std::unique_ptr<data::Dataset> inner, bool knows_former)
      : inner_(std::move(inner)) {
    fingerprint_ = inner_->fingerprint();
    if (knows_former) fingerprint_.former_digest = fingerprint_.digest;
    fingerprint_.digest = std::string(64, 'b');
  }

  int64_t size() const override { return inner_->size(); }
  const data::DatasetFingerprint& fingerprint() const override { return fingerprint_; }
  std::string NameOf(int64_t index) const override { return inner_->NameOf(index); }
  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    return inner_->ReadRgb(index, out);
  }

 private:
  const std::unique_ptr<data::Dataset> inner_;
  data::DatasetFingerprint fingerprint_;
};

TEST_F(WorkerTest, OtherImagesAreRefusedButNotARunThatKnowsThemByTheirFormerDigest) {
  bool knows_former = false;
  open_images_ = [&]() -> absl::StatusOr<std::unique_ptr<data::Dataset>> {
    auto faces = OpenFaces(kImageCount);
    if (!faces.ok()) return faces.status();
    return std::make_unique<RenamedDataset>(*std::move(faces), knows_former);
  };
  EXPECT_THAT(MakeWorker(1)->Run(),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("data sets differ")));

  knows_former = true;
  const std::unique_ptr<Worker> worker = MakeWorker(2);
  RunningWorker running(*worker);
  AwaitGradients(base::Round(1));
  Publish(base::Round(1), true);

  ASSERT_OK(running.Wait());
}

// A database that was rolled back behind this worker's Join, or behind that of its start.
TEST_F(WorkerTest, AWorkerThatIsForgottenJoinsAgainAndGoesOn) {
  std::atomic<int> claims{0};
  exchange_.before = [&](absl::string_view method) {
    return method == "claim" && ++claims == 2 ? absl::UnauthenticatedError("join it first")
                                              : absl::OkStatus();
  };
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  RunningWorker running(*worker);

  AwaitGradients(base::Round(1));
  Publish(base::Round(1), true);

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

  AwaitGradients(base::Round(1));
  Publish(base::Round(1), true);

  ASSERT_OK(running.Wait());
  // Each time first to be told of the run, then with the data.
  EXPECT_THAT(exchange_.joined, ::testing::ElementsAre("", "", config_.name, "", ""));
}

// Weights of the same number that are others are fetched again.
TEST_F(WorkerTest, WeightsAreKnownByTheirChecksum) {
  const std::unique_ptr<Worker> worker = MakeWorker(1);
  bool renamed = false;
  exchange_.change_unit = [&](exchange::WorkUnit& unit) {
    // As an older gateway does: it names no checksum, so nobody knows whether these are the same.
    if (std::exchange(renamed, true)) unit.weights_sha256.clear();
  };
  RunningWorker running(*worker);

  AwaitGradients(base::Round(1));
  Publish(base::Round(1), true);

  ASSERT_OK(running.Wait());
  EXPECT_EQ(exchange_.fetches.load(), 2);
}

TEST_F(WorkerTest, TwoWorkersShareARound) {
  const std::unique_ptr<Worker> first = MakeWorker(1);
  const std::unique_ptr<Worker> second = MakeWorker(2);
  RunningWorker running_first(*first);
  RunningWorker running_second(*second);

  AwaitGradients(base::Round(1));
  Publish(base::Round(1), true);

  ASSERT_OK_AND_ASSIGN(const WorkerReport a, running_first.Wait());
  ASSERT_OK_AND_ASSIGN(const WorkerReport b, running_second.Wait());
  EXPECT_EQ(a.accepted_units + b.accepted_units, config_.units_per_round);
  EXPECT_EQ(a.wasted_units + b.wasted_units, 0);
}

}  // namespace
}  // namespace gannet::worker
