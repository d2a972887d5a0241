#include "services/gateway/refusal_reporter.h"

#include <utility>

namespace gannet::gateway {
namespace {

// What goes on being true is said again before the report is too old to count.
constexpr absl::Duration kRepeatAfter = absl::Seconds(20);
static_assert(kRepeatAfter < kGatewayReportLife);

}  // namespace

RefusalReporter::RefusalReporter(GatewayReports& reports, Refusals& refusals, std::string gateway,
                                 Clock& clock, Logger& log, absl::Duration interval)
    : reports_(reports),
      refusals_(refusals),
      gateway_(std::move(gateway)),
      clock_(clock),
      log_(log),
      runner_(interval, [this] { Look(); }) {}

void RefusalReporter::Look() {
  const std::vector<RefusalReason> current = refusals_.Current();
  const absl::Duration now = clock_.Steady();
  if (current == reported_ && (current.empty() || now - reported_at_ < kRepeatAfter)) return;
  GatewayReport report{gateway_, {}};
  for (const RefusalReason reason : current) report.refusing.emplace_back(RefusalLabel(reason));
  if (const absl::Status status = reports_.Report(report); !status.ok()) {
    // Refusals are in the log and the metrics, too, and the next look comes soon.
    log_.Debug("the database was not told what is refused", {{"reason", status}});
    return;
  }
  reported_ = current;
  reported_at_ = now;
}

}  // namespace gannet::gateway
