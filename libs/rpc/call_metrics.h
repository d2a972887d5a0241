#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/telemetry/metrics.h"

namespace gannet::rpc {

// Rate, errors and duration of calls, by method:
//   PREFIX_calls_total{method,code}          finished calls
//   PREFIX_duration_seconds{method}          from start to end, waiting included
//   PREFIX_calls_in_progress                 started and not finished
// `method` is the short name of a method of one of the named services, or "other": a peer cannot
// make new label values.
//
// Thread safety: all methods may be called from any thread.
class CallMetrics {
 public:
  // `service_names` are full protobuf names, "gannet.v1.ExchangeService"; their descriptors must be
  // linked in.
  CallMetrics(telemetry::Metrics& metrics, const std::string& prefix,
              const std::vector<std::string>& service_names);
  ~CallMetrics();
  CallMetrics(const CallMetrics&) = delete;
  CallMetrics& operator=(const CallMetrics&) = delete;

  void Started();

  // `path` as on the wire, "/gannet.v1.ExchangeService/Join".
  void Finished(absl::string_view path, absl::StatusCode code, absl::Duration duration);

 private:
  struct Method;

  telemetry::Metrics& metrics_;
  const std::string prefix_;
  telemetry::Gauge& in_progress_;
  // By path; the key "" is "other". Fixed after construction.
  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_;
};

}  // namespace gannet::rpc
