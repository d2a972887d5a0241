#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/check.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"
#include "prometheus/registry.h"

namespace gannet::telemetry {

// Inside of Metrics. Not for other libraries.
struct Metrics::State {
  enum class Kind { kCounter, kGauge, kHistogram };

  // What all metrics of one name have in common.
  struct Family {
    Kind kind;
    std::string help;
    std::vector<double> bounds;

    friend bool operator==(const Family&, const Family&) = default;
  };

  using Key = std::pair<std::string, MetricLabels>;

  // Ends the process when `name` was used before for something else.
  void CheckSameFamily(const std::string& name, Family family) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const auto [it, added] = families.emplace(name, family);
    GANNET_CHECK(added || it->second == family);
  }

  const std::shared_ptr<prometheus::Registry> registry = std::make_shared<prometheus::Registry>();
  base::Mutex mu;
  std::map<std::string, Family> families ABSL_GUARDED_BY(mu);
  std::map<Key, std::unique_ptr<Counter>> counters ABSL_GUARDED_BY(mu);
  std::map<Key, std::unique_ptr<Gauge>> gauges ABSL_GUARDED_BY(mu);
  std::map<Key, std::unique_ptr<Histogram>> histograms ABSL_GUARDED_BY(mu);
};

}  // namespace gannet::telemetry
