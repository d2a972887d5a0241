#include "services/gateway/refusal_reporter.h"

#include <utility>

namespace gannet::gateway {
namespace {

// What goes on being true is said again before the report is too old to count.
constexpr absl::Duration kRepeatAfter = absl::Seconds(20);
static_assert(kRepeatAfter < exchange::kGatewayReportLife);

}  // namespace

RefusalReporter::RefusalReporter(exchange::GatewayReports& reports, Refusals& refusals,
                                 std::string gateway, base::Clock& clock, telemetry::Logger& log,
                                 absl::Duration interval)
    : reports_(reports),
      refusals_(refusals),
      gateway_(std::move(gateway)),
      clock_(clock),
      log_(log),
      runner_(interval, [this] { Report(); }) {}

void RefusalReporter::Report() {
  const std::vector<domain::RefusalReason> current = refusals_.Current();
  const absl::Duration now = clock_.Steady();
  if (current == reported_ && (current.empty() || now - reported_at_ < kRepeatAfter)) return;
  exchange::GatewayReport report{gateway_, {}};
  for (const domain::RefusalReason reason : current)
    report.refusing.emplace_back(domain::RefusalLabel(reason));
  if (const absl::Status status = reports_.Report(report); !status.ok()) {
    // Refusals are in the log and the metrics, too, and the next look comes soon.
    log_.Debug("the database was not told what is refused", {{"reason", status}});
    return;
  }
  reported_ = current;
  reported_at_ = now;
}

}  // namespace gannet::gateway
