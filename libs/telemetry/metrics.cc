#include "libs/telemetry/metrics.h"

#include <cmath>
#include <memory>
#include <utility>

#include "libs/base/check.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics_state.h"
#include "prometheus/check_names.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/text_serializer.h"

namespace gannet::telemetry {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Increment(double by) override {
    if (std::isfinite(by) && by > 0) counter_.Increment(by);
  }

 private:
  prometheus::Counter& counter_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_.Set(value); }
  void Add(double by) override { gauge_.Increment(by); }

 private:
  prometheus::Gauge& gauge_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

void CheckNames(const std::string& name, const std::string& help, const MetricLabels& labels,
                bool histogram) {
  GANNET_CHECK(prometheus::CheckMetricName(name));
  GANNET_CHECK(!help.empty());
  for (const auto& [key, value] : labels) {
    GANNET_CHECK(prometheus::CheckLabelName(key));
    // The bucket label belongs to histograms themselves.
    GANNET_CHECK(!histogram || key != "le");
  }
}

void CheckBounds(const std::vector<double>& bounds) {
  GANNET_CHECK(!bounds.empty());
  for (size_t i = 0; i < bounds.size(); ++i) {
    GANNET_CHECK(std::isfinite(bounds[i]));
    GANNET_CHECK(i == 0 || bounds[i - 1] < bounds[i]);
  }
}

}  // namespace

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::AddCounter(const std::string& name, const std::string& help,
                             const MetricLabels& labels) {
  CheckNames(name, help, labels, false);
  const base::MutexLock lock(state_->mu);
  state_->CheckSameFamily(name, State::Family{State::Kind::kCounter, help, {}});
  auto& handle = state_->counters[{name, labels}];
  if (handle == nullptr) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(*state_->registry);
    handle = std::make_unique<PrometheusCounter>(family.Add(labels));
  }
  return *handle;
}

Gauge& Metrics::AddGauge(const std::string& name, const std::string& help,
                         const MetricLabels& labels) {
  CheckNames(name, help, labels, false);
  const base::MutexLock lock(state_->mu);
  state_->CheckSameFamily(name, State::Family{State::Kind::kGauge, help, {}});
  auto& handle = state_->gauges[{name, labels}];
  if (handle == nullptr) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(*state_->registry);
    handle = std::make_unique<PrometheusGauge>(family.Add(labels));
  }
  return *handle;
}

Histogram& Metrics::AddHistogram(const std::string& name, const std::string& help,
                                 const std::vector<double>& bounds, const MetricLabels& labels) {
  CheckNames(name, help, labels, true);
  CheckBounds(bounds);
  const base::MutexLock lock(state_->mu);
  state_->CheckSameFamily(name, State::Family{State::Kind::kHistogram, help, bounds});
  auto& handle = state_->histograms[{name, labels}];
  if (handle == nullptr) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(*state_->registry);
    handle = std::make_unique<PrometheusHistogram>(
        family.Add(labels, prometheus::Histogram::BucketBoundaries(bounds)));
  }
  return *handle;
}

std::string Metrics::Render() const {
  return prometheus::TextSerializer().Serialize(state_->registry->Collect());
}

const std::vector<double>& DurationBounds() {
  static const auto& bounds = *new std::vector<double>{
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 300};
  return bounds;
}

}  // namespace gannet::telemetry
