#include "libs/rpc/call_metrics.h"

#include <array>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "libs/base/check.h"

namespace gannet::rpc {
namespace {

// Codes run from 0 (OK) to 16 (UNAUTHENTICATED).
constexpr size_t kCodeCount = 17;

}  // namespace

struct CallMetrics::Method {
  std::string name;
  telemetry::Histogram* duration = nullptr;
  // Made at first use, so that only codes that occur become time series. Two threads may make the
  // same one: the same labels give the same handle.
  std::array<std::atomic<telemetry::Counter*>, kCodeCount> calls{};
};

CallMetrics::CallMetrics(telemetry::Metrics& metrics, const std::string& prefix,
                         const std::vector<std::string>& service_names)
    : metrics_(metrics),
      prefix_(prefix),
      in_progress_(
          metrics.AddGauge(absl::StrCat(prefix, "_calls_in_progress"), "Calls not finished yet.")) {
  auto add = [this](const std::string& path, const std::string& name) {
    auto method = std::make_unique<Method>();
    method->name = name;
    method->duration = &metrics_.AddHistogram(absl::StrCat(prefix_, "_duration_seconds"),
                                              "Time from the start of a call to its end.",
                                              telemetry::DurationBounds(), {{"method", name}});
    methods_.emplace(path, std::move(method));
  };
  add("", "other");
  for (const std::string& service_name : service_names) {
    const auto* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service_name);
    GANNET_CHECK(service != nullptr);
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string& name = service->method(i)->name();
      add(absl::StrCat("/", service_name, "/", name), name);
    }
  }
}

CallMetrics::~CallMetrics() = default;

void CallMetrics::Started() { in_progress_.Add(1); }

void CallMetrics::Finished(absl::string_view path, absl::StatusCode code, absl::Duration duration) {
  in_progress_.Add(-1);
  auto found = methods_.find(std::string(path));
  if (found == methods_.end()) found = methods_.find("");
  Method& method = *found->second;
  method.duration->Observe(absl::ToDoubleSeconds(duration));
  const auto index = static_cast<size_t>(code) < kCodeCount
                         ? static_cast<size_t>(code)
                         : static_cast<size_t>(absl::StatusCode::kUnknown);
  telemetry::Counter* calls = method.calls[index].load(std::memory_order_acquire);
  if (calls == nullptr) {
    calls = &metrics_.AddCounter(
        absl::StrCat(prefix_, "_calls_total"), "Finished calls by method and status code.",
        {{"method", method.name},
         {"code", absl::StatusCodeToString(static_cast<absl::StatusCode>(index))}});
    method.calls[index].store(calls, std::memory_order_release);
  }
  calls->Increment();
}

}  // namespace gannet::rpc
