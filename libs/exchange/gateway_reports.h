#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace gannet::exchange {

// What a gateway says of itself.
struct GatewayReport {
  std::string gateway;  // its name: "HOST:PORT", at most kMaxGatewayNameChars plain ones
  std::vector<std::string> refusing;  // RefusalLabel of each reason of the last minute

  friend bool operator==(const GatewayReport&, const GatewayReport&) = default;
};

// A report counts for so long. A gateway that refuses repeats it more often.
inline constexpr absl::Duration kGatewayReportLife = absl::Minutes(1);

// What a report may say.
inline constexpr int kMaxGatewayNameChars = 80;
inline constexpr int kMaxRefusals = 32;
inline constexpr int kMaxRefusalChars = 40;  // of one of them

// At most so many gateways are remembered, the newest.
inline constexpr int kMaxGatewayReports = 100;

// What gateways tell the people who look after a class: for `gannet status`, whichever gateway it
// is that refuses. A worker in direct mode may report, too, so nothing but text hangs on it.
//
// Thread safety: all methods may be called from any thread.
// Errors of every call: UNAVAILABLE - the database cannot be reached.
class GatewayReports {
 public:
  virtual ~GatewayReports() = default;

  // Replaces the gateway's report. Without reasons it is forgotten.
  // Returns: INVALID_ARGUMENT - the name is none, or a reason is no label.
  virtual absl::Status Report(const GatewayReport& report) = 0;

  // The reports of the last kGatewayReportLife, by name.
  virtual absl::StatusOr<std::vector<GatewayReport>> List() = 0;
};

}  // namespace gannet::exchange
