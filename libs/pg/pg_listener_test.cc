#include "libs/pg/pg_listener.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/mutex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::pg {
namespace {

constexpr absl::Duration kLimit = absl::Seconds(60);

// What the listener said so far.
class Recorder {
 public:
  PgListener::Callbacks callbacks() {
    return {[this](const std::string& channel, const std::string& payload) {
              base::MutexLock lock(mu_);
              heard_.push_back(channel + ":" + payload);
              cv_.NotifyAll();
            },
            [this] {
              base::MutexLock lock(mu_);
              ++connected_;
              cv_.NotifyAll();
            }};
  }

  bool AwaitConnected(int times) {
    base::MutexLock lock(mu_);
    while (connected_ < times) {
      if (!cv_.WaitFor(mu_, kLimit)) return connected_ >= times;
    }
    return true;
  }

  std::vector<std::string> AwaitHeard(size_t count) {
    base::MutexLock lock(mu_);
    while (heard_.size() < count) {
      if (!cv_.WaitFor(mu_, kLimit)) break;
    }
    return heard_;
  }

 private:
  base::Mutex mu_;
  base::CondVar cv_;
  int connected_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::string> heard_ ABSL_GUARDED_BY(mu_);
};

PgConnectionParams ParamsOf(const std::string& url) {
  PgConnectionOptions options;
  options.url = url;
  return *MakeConnectionParams(options);
}

class PgListenerTest : public ::testing::Test {
 protected:
  ~PgListenerTest() override { server_.DropDatabase(url_); }

  store::TestPostgres& server_ = store::TestPostgres::Get();
  const std::string url_ = server_.CreateEmptyDatabase();
  Recorder recorder_;
};

TEST_F(PgListenerTest, NotificationsOfItsChannelsArrive) {
  PgListener listener(ParamsOf(url_), {"one", "two"}, recorder_.callbacks(),
                      telemetry::NullLogger());
  ASSERT_TRUE(recorder_.AwaitConnected(1));

  ASSERT_OK(server_.Run(url_, "NOTIFY one, 'a'; NOTIFY three, 'b'; NOTIFY two, 'c'"));

  EXPECT_THAT(recorder_.AwaitHeard(2), ::testing::ElementsAre("one:a", "two:c"));
}

TEST_F(PgListenerTest, ItListensAgainAfterARestartAndSaysSo) {
  PgListener listener(ParamsOf(url_), {"one"}, recorder_.callbacks(), telemetry::NullLogger(),
                      {absl::Milliseconds(1), absl::Milliseconds(20), 2.0});
  ASSERT_TRUE(recorder_.AwaitConnected(1));

  server_.Stop(store::TestPostgres::StopMode::kImmediate);
  server_.Start();

  ASSERT_TRUE(recorder_.AwaitConnected(2));
  ASSERT_OK(server_.Run(url_, "NOTIFY one, 'again'"));
  EXPECT_THAT(recorder_.AwaitHeard(1), ::testing::ElementsAre("one:again"));
}

TEST_F(PgListenerTest, ItStopsWhileTheServerIsDown) {
  server_.Stop(store::TestPostgres::StopMode::kFast);
  {
    PgListener listener(ParamsOf(url_), {"one"}, recorder_.callbacks(), telemetry::NullLogger());
    listener.Stop();
    listener.Stop();
  }
  server_.Start();

  EXPECT_OK(server_.Run(url_, "SELECT 1"));
}

}  // namespace
}  // namespace gannet::pg
