#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gannet::telemetry {

// Handles to metrics: made once, kept, cheap to use from any thread. They live as long as their
// Metrics.
class Counter {
 public:
  virtual ~Counter() = default;
  // A counter never goes back: anything but a positive finite number is ignored.
  virtual void Increment(double by = 1) = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
  virtual void Add(double by) = 0;
};
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

using MetricLabels = std::map<std::string, std::string>;

// The metrics of one service: a registry of its own, no global one. Names follow Prometheus:
// gannet_SERVICE_quantity_unit(_total), base units, few label values (never a worker or unit id).
//
// Thread safety: all methods may be called from any thread.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same handle. A name or label that Prometheus does not allow,
  // one name for two kinds of metric or with two help texts, or bounds that do not rise ends the
  // process: names are ours.
  Counter& AddCounter(const std::string& name, const std::string& help,
                      const MetricLabels& labels = {});
  Gauge& AddGauge(const std::string& name, const std::string& help,
                  const MetricLabels& labels = {});
  Histogram& AddHistogram(const std::string& name, const std::string& help,
                          const std::vector<double>& bounds, const MetricLabels& labels = {});

  // Everything in Prometheus' text format.
  std::string Render() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Bucket bounds for durations in seconds, 1 ms to 5 min.
const std::vector<double>& DurationBounds();

// Serves /metrics over HTTP until destroyed.
class MetricsServer {
 public:
  // `listen` is "HOST:PORT"; HOST is an IP address (IPv6 in brackets) or "localhost"; port 0 picks
  // a free one. Returns: INVALID_ARGUMENT - not an address, or none of this machine; UNAVAILABLE -
  // the port is in use; PERMISSION_DENIED - a port that this user may not open.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(Metrics& metrics,
                                                              const std::string& listen);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  int bound_port() const { return port_; }

 private:
  MetricsServer();
  struct State;
  std::unique_ptr<State> state_;
  int port_ = 0;
};

}  // namespace gannet::telemetry
