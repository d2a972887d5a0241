#include "services/gateway/task_pool.h"

#include <atomic>
#include <future>

#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "services/gateway/testing/waiting.h"

namespace gannet::gateway {
namespace {

TEST(TaskPoolTest, RunsEveryTaskOnce) {
  ReadableGauge queued;
  std::atomic<int> ran = 0;
  TaskPool pool(3, 1'000, queued);

  for (int i = 0; i < 1'000; ++i) EXPECT_OK(pool.Run([&ran] { ++ran; }));
  pool.Stop();

  EXPECT_EQ(ran, 1'000);
  EXPECT_EQ(queued.value(), 0);
}

TEST(TaskPoolTest, AFullQueueRefusesAndTakesAgainLater) {
  ReadableGauge queued;
  TaskPool pool(1, 2, queued);
  std::promise<void> started;
  std::promise<void> go;
  ASSERT_OK(pool.Run([&] {
    started.set_value();
    go.get_future().wait();
  }));
  started.get_future().wait();
  ASSERT_OK(pool.Run([] {}));
  ASSERT_OK(pool.Run([] {}));
  EXPECT_EQ(queued.value(), 2);

  EXPECT_THAT(pool.Run([] { ADD_FAILURE(); }),
              base::StatusIs(absl::StatusCode::kResourceExhausted));

  go.set_value();
  EXPECT_TRUE(AwaitTrue([&] { return pool.Run([] {}).ok(); }));
}

TEST(TaskPoolTest, AfterStopNothingIsTaken) {
  ReadableGauge queued;
  TaskPool pool(1, 2, queued);
  pool.Stop();
  pool.Stop();

  EXPECT_THAT(pool.Run([] { ADD_FAILURE(); }), base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gannet::gateway
