#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "libs/telemetry/metrics.h"

namespace gannet::gateway {

// Waits until `condition` holds; false when it does not within 30 s.
bool AwaitTrue(const std::function<bool()>& condition);

// What /metrics says on a port of this machine.
std::string Scrape(int port);

// The value of a series in such a text, named with its labels in order: NAME{a="x",b="y"}; -1 when
// it is not there.
double MetricValue(const std::string& text, const std::string& series);

// A gauge that can be read.
class ReadableGauge final : public telemetry::Gauge {
 public:
  void Set(double value) override { value_ = value; }
  void Add(double by) override { value_ = value_ + by; }
  double value() const { return value_; }

 private:
  std::atomic<double> value_ = 0;
};

}  // namespace gannet::gateway
