#include "services/coordinator/best_tracker.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/gan/gan.h"
#include "libs/tensor/codec.h"

namespace gannet::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Generators that differ: all weights zero (grey images), and those of a beginning.
enum class Kind { kGrey, kUntrained };

class BestTrackerTest : public ::testing::Test {
 protected:
  BestTrackerTest() {
    std::string name = ::testing::TempDir() + "/gannet_best_XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~BestTrackerTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<BestTracker> MakeTracker() {
    quality::ReferenceImages reference =
        *quality::ReadReferenceImages({.kind = "procedural", .path = "", .image_size = 32}, 8, 0);
    return std::make_unique<BestTracker>(
        folder_, std::make_shared<quality::ReferenceImages>(std::move(reference)),
        telemetry::NullLogger(), metrics_);
  }

  // As a leader begins, whose database takes or refuses what is handed on.
  void Begin(BestTracker& tracker, int64_t version) {
    tracker.Begin(config_, base::WeightsVersion(version), stored_,
                  [this](const exchange::BestWeights& best, const exchange::Payload& weights) {
                    if (refused_.ok()) stored_ = best;
                    if (refused_.ok()) stored_weights_ = weights;
                    return refused_;
                  });
  }

  void Measure(BestTracker& tracker, int64_t version, Kind kind) {
    tensor::TensorBundle weights = gan::InitialWeights(config_.model, 1);
    if (kind == Kind::kGrey) {
      for (tensor::Tensor& tensor : weights.mutable_tensors())
        tensor = tensor::Tensor::Zeros(tensor.spec);
    }
    const exchange::Store::Snapshot snapshot = {
        base::WeightsVersion(version),
        exchange::Payload::FromBytes(tensor::Codec::kFp32,
                                     *EncodeBundle(weights, tensor::Codec::kFp32)),
        exchange::TestAdamState(config_, 0.5f)};
    tracker.Offer({config_, snapshot, {}});
    tracker.Await();
  }

  // Of the lines of quality.csv, in order.
  std::vector<int64_t> Rounds() const { return Column(0); }
  int64_t BestRoundOfTable() const {
    const std::vector<double> distances = Distances();
    const auto best = std::min_element(distances.begin(), distances.end());
    return Rounds()[static_cast<size_t>(best - distances.begin())];
  }

  std::vector<double> Distances() const {
    std::vector<double> distances;
    for (const std::string& line : Lines()) {
      const std::vector<std::string> cells = absl::StrSplit(line, ',');
      EXPECT_TRUE(absl::SimpleAtod(cells.at(1), &distances.emplace_back()));
    }
    return distances;
  }

  absl::StatusOr<checkpoint::Checkpoint> Best() const {
    return checkpoint::ReadCheckpointFile(folder_ + "/checkpoints/best.safetensors");
  }

  domain::RunConfig config_ = exchange::TinyRunConfig("faces");
  telemetry::Metrics registry_;
  CoordinatorMetrics metrics_{registry_};
  std::string folder_;
  std::optional<exchange::BestWeights> stored_;
  exchange::Payload stored_weights_;
  absl::Status refused_;

 private:
  std::vector<std::string> Lines() const {
    std::ifstream file(folder_ + "/quality.csv");
    std::stringstream text;
    text << file.rdbuf();
    std::vector<std::string> lines = absl::StrSplit(text.str(), '\n', absl::SkipEmpty());
    EXPECT_EQ(lines.at(0), "round,distance");
    lines.erase(lines.begin());
    return lines;
  }
  std::vector<int64_t> Column(size_t column) const {
    std::vector<int64_t> values;
    for (const std::string& line : Lines()) {
      const std::vector<std::string> cells = absl::StrSplit(line, ',');
      EXPECT_TRUE(absl::SimpleAtoi(cells.at(column), &values.emplace_back()));
    }
    return values;
  }
};

TEST_F(BestTrackerTest, TheStateWithTheLeastDistanceIsKept) {
  const auto tracker = MakeTracker();
  Begin(*tracker, 0);
  Measure(*tracker, 10, Kind::kGrey);
  Measure(*tracker, 20, Kind::kUntrained);
  Measure(*tracker, 30, Kind::kGrey);
  Measure(*tracker, 30, Kind::kGrey);  // a last round that was due, too

  EXPECT_THAT(Rounds(), ElementsAre(10, 20, 30));
  ASSERT_NE(Distances()[0], Distances()[1]);
  EXPECT_EQ(Distances()[0], Distances()[2]);
  ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint best, Best());
  EXPECT_EQ(best.version.value(), BestRoundOfTable());
  EXPECT_LT(best.version.value(), 30) << "one as good as the best is not better";
}

TEST_F(BestTrackerTest, ARestartGoesOnWithTheBestSoFar) {
  auto tracker = MakeTracker();
  Begin(*tracker, 0);
  Measure(*tracker, 10, Kind::kGrey);
  Measure(*tracker, 20, Kind::kUntrained);
  Measure(*tracker, 30, Kind::kUntrained);
  const int64_t best = Best()->version.value();

  tracker = MakeTracker();
  Begin(*tracker, 25);
  EXPECT_THAT(Rounds(), ElementsAre(10, 20)) << "round 30 is not published";
  Measure(*tracker, 30, Kind::kGrey);

  EXPECT_THAT(Rounds(), ElementsAre(10, 20, 30));
  EXPECT_EQ(Best()->version.value(), best);
}

TEST_F(BestTrackerTest, ADatabaseThatHasGoneBackBehindTheBestKeepsTheLinesBefore) {
  auto tracker = MakeTracker();
  Begin(*tracker, 0);
  Measure(*tracker, 10, Kind::kUntrained);
  Measure(*tracker, 20, Kind::kGrey);
  const int64_t best = Best()->version.value();
  const std::vector<int64_t> before =
      best == 10 ? std::vector<int64_t>{} : std::vector<int64_t>{10};
  stored_.reset();

  tracker = MakeTracker();
  Begin(*tracker, best - 1);

  EXPECT_EQ(Rounds(), before);
  EXPECT_THAT(Best(), base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(checkpoint::ReadCheckpointFile(folder_ + "/checkpoints/abandoned_best.safetensors"));
  EXPECT_EQ(stored_, std::nullopt);
  Measure(*tracker, 15, Kind::kGrey);
  ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint again, Best());
  EXPECT_EQ(again.version, base::WeightsVersion(15));
}

TEST_F(BestTrackerTest, AnotherRunBeginsAnew) {
  auto tracker = MakeTracker();
  Begin(*tracker, 0);
  Measure(*tracker, 10, Kind::kUntrained);
  config_.seed += 1;
  stored_.reset();

  tracker = MakeTracker();
  Begin(*tracker, 20);

  EXPECT_THAT(Rounds(), IsEmpty());
  EXPECT_THAT(Best(), base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(checkpoint::ReadCheckpointFile(folder_ + "/checkpoints/best.of_faces.safetensors"))
      << "nothing is lost";
  Measure(*tracker, 30, Kind::kGrey);
  ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint best, Best());
  EXPECT_EQ(best.version, base::WeightsVersion(30));
}

TEST_F(BestTrackerTest, TheBestWeightsAreHandedOn) {
  const auto tracker = MakeTracker();
  Begin(*tracker, 0);
  EXPECT_EQ(stored_, std::nullopt);
  Measure(*tracker, 10, Kind::kGrey);
  Measure(*tracker, 20, Kind::kUntrained);

  ASSERT_OK_AND_ASSIGN(const checkpoint::Checkpoint best, Best());
  const std::vector<double> distances = Distances();
  ASSERT_TRUE(stored_.has_value());
  EXPECT_EQ(stored_->version, best.version);
  EXPECT_NEAR(stored_->distance, std::min(distances[0], distances[1]), 1e-6);
  EXPECT_EQ(*stored_weights_.bytes, *EncodeBundle(best.weights, tensor::Codec::kFp32));
}

TEST_F(BestTrackerTest, WhatCouldNotBeHandedOnIsTriedAgain) {
  auto tracker = MakeTracker();
  Begin(*tracker, 0);
  refused_ = absl::UnavailableError("the database is away");
  Measure(*tracker, 10, Kind::kUntrained);
  EXPECT_EQ(stored_, std::nullopt);
  refused_ = absl::OkStatus();

  Measure(*tracker, 20, Kind::kUntrained);  // as good as the first, not better
  ASSERT_TRUE(stored_.has_value());
  EXPECT_EQ(stored_->version, base::WeightsVersion(10));

  stored_.reset();
  tracker = MakeTracker();
  Begin(*tracker, 20);
  ASSERT_TRUE(stored_.has_value()) << "a database restored from a backup";
  EXPECT_EQ(stored_->version, base::WeightsVersion(10));
}

TEST_F(BestTrackerTest, OnAnotherMachineOnlyWhatIsBetterThanBeforeIsKept) {
  stored_ = {base::WeightsVersion(5), 0.0};
  const auto tracker = MakeTracker();
  Begin(*tracker, 8);

  Measure(*tracker, 10, Kind::kUntrained);

  EXPECT_EQ(stored_->version, base::WeightsVersion(5));
  EXPECT_THAT(Best(), base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Rounds(), ElementsAre(10));
}

TEST_F(BestTrackerTest, WhatCannotBeMeasuredIsLeftOut) {
  const auto tracker = MakeTracker();
  Begin(*tracker, 0);

  const exchange::Store::Snapshot snapshot = {
      base::WeightsVersion(10), exchange::Payload::FromBytes(tensor::Codec::kFp32, "no weights"),
      exchange::TestAdamState(config_, 0.5f)};
  tracker->Offer({config_, snapshot, {}});
  tracker->Await();

  EXPECT_THAT(Rounds(), IsEmpty());
}

}  // namespace
}  // namespace gannet::coordinator
