#include "services/gateway/weights_cache.h"

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/telemetry/metrics.h"

namespace gannet::gateway {
namespace {

const base::RunId kRun(1);

exchange::Payload PayloadOf(size_t bytes) {
  return exchange::Payload::FromBytes(tensor::Codec::kFp32, std::string(bytes, 'w'));
}

class WeightsCacheTest : public ::testing::Test {
 protected:
  // One thread, so that a test can hold it.
  telemetry::Metrics registry_;
  GatewayMetrics metrics_{registry_};
  TaskPool pool_{1, 10, metrics_.bulk_tasks_queued};
  WeightsCache cache_{pool_, 100, metrics_};

  // Gets a version that weighs `bytes`, and counts the reads.
  absl::StatusOr<exchange::Payload> Get(int64_t version, size_t bytes = 30) {
    std::promise<absl::StatusOr<exchange::Payload>> answer;
    cache_.Get(
        {kRun, base::WeightsVersion(version), sha256_},
        [this, bytes]() -> absl::StatusOr<exchange::Payload> {
          ++reads_;
          return PayloadOf(bytes);
        },
        [&answer](absl::StatusOr<exchange::Payload> payload) {
          answer.set_value(std::move(payload));
        });
    return answer.get_future().get();
  }

  std::string sha256_ = std::string(32, '0');  // of what is asked for
  std::atomic<int> reads_ = 0;
};

TEST_F(WeightsCacheTest, ASecondRequestReadsNothing) {
  ASSERT_OK(Get(1));

  ASSERT_OK_AND_ASSIGN(const exchange::Payload payload, Get(1));

  EXPECT_EQ(payload.bytes->size(), 30u);
  EXPECT_EQ(reads_, 1);
}

// A database that was rolled back gives a number again.
TEST_F(WeightsCacheTest, OtherWeightsOfTheSameNumberAreRead) {
  sha256_ = std::string(32, 'a');
  ASSERT_OK(Get(1));
  sha256_ = std::string(32, 'b');

  ASSERT_OK(Get(1));

  EXPECT_EQ(reads_, 2);
}

TEST_F(WeightsCacheTest, WeightsAskedForByNumberAloneAreNotKept) {
  sha256_.clear();
  ASSERT_OK(Get(1));
  ASSERT_OK(Get(1));

  EXPECT_EQ(reads_, 2);
}

TEST_F(WeightsCacheTest, TheLeastRecentlyUsedMakesRoom) {
  ASSERT_OK(Get(1));
  ASSERT_OK(Get(2));
  ASSERT_OK(Get(3));
  ASSERT_OK(Get(1));
  ASSERT_OK(Get(4));  // 120 bytes are too many: version 2 goes
  ASSERT_EQ(reads_, 4);

  ASSERT_OK(Get(1));
  ASSERT_OK(Get(3));
  ASSERT_OK(Get(4));
  EXPECT_EQ(reads_, 4);
  ASSERT_OK(Get(2));
  EXPECT_EQ(reads_, 5);
}

TEST_F(WeightsCacheTest, OfARunAFewVersionsAreKept) {
  for (int64_t version = 1; version <= 5; ++version) ASSERT_OK(Get(version, 1));
  for (int64_t version = 2; version <= 5; ++version) ASSERT_OK(Get(version, 1));
  EXPECT_EQ(reads_, 5);

  ASSERT_OK(Get(1, 1));
  EXPECT_EQ(reads_, 6);
}

TEST_F(WeightsCacheTest, WhatIsTooLargeIsPassedOnAndNotKept) {
  ASSERT_OK(Get(1, 101));
  ASSERT_OK(Get(1, 101));

  EXPECT_EQ(reads_, 2);
}

TEST_F(WeightsCacheTest, AllWhoAskDuringAReadShareIt) {
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future().share();
  std::vector<std::promise<absl::StatusOr<exchange::Payload>>> answers(30);
  for (auto& answer : answers) {
    cache_.Get(
        {kRun, base::WeightsVersion(1), sha256_},
        [this, gone]() -> absl::StatusOr<exchange::Payload> {
          ++reads_;
          gone.wait();
          return PayloadOf(30);
        },
        [&answer](absl::StatusOr<exchange::Payload> payload) {
          answer.set_value(std::move(payload));
        });
  }

  go.set_value();

  for (auto& answer : answers) EXPECT_OK(answer.get_future().get());
  EXPECT_EQ(reads_, 1);
}

TEST_F(WeightsCacheTest, AnErrorAboutOneCallerDoesNotReachTheOthers) {
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future().share();
  std::vector<std::promise<absl::StatusOr<exchange::Payload>>> answers(3);
  for (size_t i = 0; i < answers.size(); ++i) {
    cache_.Get(
        {kRun, base::WeightsVersion(1), sha256_},
        [i, gone]() -> absl::StatusOr<exchange::Payload> {
          gone.wait();
          if (i == 0) return absl::FailedPreconditionError("stale incarnation");
          return PayloadOf(30);
        },
        [&answers, i](absl::StatusOr<exchange::Payload> payload) {
          answers[i].set_value(std::move(payload));
        });
  }

  go.set_value();

  EXPECT_THAT(answers[0].get_future().get(), base::StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_OK(answers[1].get_future().get());
  EXPECT_OK(answers[2].get_future().get());
}

TEST_F(WeightsCacheTest, AnErrorIsNotKept) {
  std::promise<absl::StatusOr<exchange::Payload>> answer;
  cache_.Get(
      {kRun, base::WeightsVersion(1), sha256_},
      []() -> absl::StatusOr<exchange::Payload> { return absl::NotFoundError("not kept"); },
      [&answer](absl::StatusOr<exchange::Payload> payload) {
        answer.set_value(std::move(payload));
      });
  ASSERT_THAT(answer.get_future().get(), base::StatusIs(absl::StatusCode::kNotFound));

  EXPECT_OK(Get(1));
}

TEST_F(WeightsCacheTest, ClearForgetsAndReadsInProgressAreNotKept) {
  ASSERT_OK(Get(1));
  std::promise<void> started;
  std::promise<void> go;
  std::promise<absl::StatusOr<exchange::Payload>> answer;
  cache_.Get(
      {kRun, base::WeightsVersion(2), sha256_},
      [&]() -> absl::StatusOr<exchange::Payload> {
        started.set_value();
        go.get_future().wait();
        return PayloadOf(30);
      },
      [&answer](absl::StatusOr<exchange::Payload> payload) {
        answer.set_value(std::move(payload));
      });
  started.get_future().wait();

  cache_.Clear();
  go.set_value();

  ASSERT_OK(answer.get_future().get());
  ASSERT_OK(Get(1));
  ASSERT_OK(Get(2));
  EXPECT_EQ(reads_, 3);
}

TEST_F(WeightsCacheTest, AStoppedPoolIsAnAnswer) {
  pool_.Stop();

  EXPECT_THAT(Get(1), base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gannet::gateway
