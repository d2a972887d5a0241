#include "libs/telemetry/metrics.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::telemetry {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// The whole answer to a GET of `path`, or "" when nobody answers.
std::string HttpGet(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
    EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t n = 0; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(n));
    }
  }
  close(fd);
  return answer;
}

TEST(MetricsTest, RendersEveryKind) {
  Metrics metrics;

  metrics.AddCounter("gannet_worker_units_total", "Units.", {{"outcome", "accepted"}}).Increment(2);
  metrics.AddGauge("gannet_worker_leases", "Leases.").Set(1.5);
  metrics.AddHistogram("gannet_worker_seconds", "Seconds.", {0.1, 1}).Observe(0.5);

  EXPECT_THAT(metrics.Render(),
              AllOf(HasSubstr("gannet_worker_units_total{outcome=\"accepted\"} 2\n"),
                    HasSubstr("# TYPE gannet_worker_units_total counter\n"),
                    HasSubstr("gannet_worker_leases 1.5\n"),
                    HasSubstr("gannet_worker_seconds_bucket{le=\"0.1\"} 0\n"),
                    HasSubstr("gannet_worker_seconds_bucket{le=\"1\"} 1\n")));
}

TEST(MetricsTest, SameNameAndLabelsGiveTheSameHandle) {
  Metrics metrics;

  Counter& a = metrics.AddCounter("gannet_x_total", "X.", {{"k", "1"}});
  Counter& b = metrics.AddCounter("gannet_x_total", "X.", {{"k", "2"}});
  Counter& again = metrics.AddCounter("gannet_x_total", "X.", {{"k", "1"}});

  EXPECT_EQ(&a, &again);
  EXPECT_NE(&a, &b);
}

TEST(MetricsTest, TwoMetricsObjectsShareNothing) {
  Metrics one;
  Metrics two;

  one.AddCounter("gannet_x_total", "X.").Increment();

  EXPECT_THAT(two.Render(), Not(HasSubstr("gannet_x_total")));
}

TEST(MetricsTest, ACounterNeverGoesBack) {
  Metrics metrics;
  Counter& counter = metrics.AddCounter("gannet_x_total", "X.");

  counter.Increment(3);
  counter.Increment(-1);
  counter.Increment(std::nan(""));
  counter.Increment(std::numeric_limits<double>::infinity());

  EXPECT_THAT(metrics.Render(), HasSubstr("gannet_x_total 3\n"));
}

TEST(MetricsTest, LabelValuesAreEscaped) {
  Metrics metrics;

  metrics.AddGauge("gannet_x", "X.", {{"k", "a\"b\nc"}}).Set(1);

  EXPECT_THAT(metrics.Render(), HasSubstr("gannet_x{k=\"a\\\"b\\nc\"} 1\n"));
}

TEST(MetricsTest, ManyThreadsLoseNothing) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        metrics.AddCounter("gannet_x_total", "X.").Increment();
        if (i % 100 == 0) metrics.Render();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_THAT(metrics.Render(), HasSubstr("gannet_x_total 4000\n"));
}

TEST(MetricsTest, DurationBoundsRunFromOneMillisecondToFiveMinutes) {
  EXPECT_EQ(DurationBounds().front(), 0.001);
  EXPECT_EQ(DurationBounds().back(), 300);
}

TEST(MetricsDeathTest, AWrongNameOfOursEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  Metrics metrics;
  metrics.AddCounter("gannet_x_total", "X.");

  EXPECT_DEATH(metrics.AddCounter("gannet-x", "X."), "CheckMetricName");
  EXPECT_DEATH(metrics.AddGauge("gannet_y", "Y.", {{"a b", "1"}}), "CheckLabelName");
  EXPECT_DEATH(metrics.AddHistogram("gannet_y", "Y.", {1, 2}, {{"le", "1"}}), "le");
  EXPECT_DEATH(metrics.AddHistogram("gannet_y", "Y.", {2, 1}), "bounds");
  EXPECT_DEATH(metrics.AddGauge("gannet_x_total", "X."), "family");
  EXPECT_DEATH(metrics.AddCounter("gannet_x_total", "Another text."), "family");
}

TEST(MetricsServerTest, ServesTheMetricsOnAFreePort) {
  Metrics metrics;
  metrics.AddCounter("gannet_x_total", "X.").Increment(5);

  ASSERT_OK_AND_ASSIGN(const auto server, MetricsServer::Start(metrics, "127.0.0.1:0"));

  EXPECT_GT(server->bound_port(), 0);
  EXPECT_THAT(HttpGet(server->bound_port(), "/metrics"),
              AllOf(HasSubstr("200 OK"), HasSubstr("gannet_x_total 5\n")));
}

TEST(MetricsServerTest, StopsServingWhenDestroyed) {
  Metrics metrics;
  ASSERT_OK_AND_ASSIGN(auto server, MetricsServer::Start(metrics, "localhost:0"));
  const int port = server->bound_port();

  server.reset();

  EXPECT_EQ(HttpGet(port, "/metrics"), "");
}

TEST(MetricsServerTest, APortInUseIsUnavailableAndNamesTheSetting) {
  Metrics metrics;
  ASSERT_OK_AND_ASSIGN(const auto first, MetricsServer::Start(metrics, "127.0.0.1:0"));

  const auto second =
      MetricsServer::Start(metrics, "127.0.0.1:" + std::to_string(first->bound_port()));

  EXPECT_THAT(second, base::StatusIs(absl::StatusCode::kUnavailable,
                                     AllOf(HasSubstr("in use"), HasSubstr("metrics_listen"))));
}

TEST(MetricsServerTest, WhatIsNoAddressIsRefused) {
  Metrics metrics;
  for (const char* listen : {"", "9101", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:-1",
                             "127.0.0.1:65536", ":9101", "nosuch.example:9101", "[::1:9101",
                             "127.0.0.1:0,127.0.0.1:0", "127.0.0.1: 0", "127.0.0.1:0s"}) {
    EXPECT_THAT(MetricsServer::Start(metrics, listen),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("HOST:PORT")))
        << listen;
  }
}

TEST(MetricsServerTest, AnAddressOfAnotherMachineIsRefused) {
  Metrics metrics;

  // TEST-NET-1 of RFC 5737: no machine has it.
  EXPECT_THAT(
      MetricsServer::Start(metrics, "192.0.2.1:0"),
      base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("none of this machine")));
}

}  // namespace
}  // namespace gannet::telemetry
