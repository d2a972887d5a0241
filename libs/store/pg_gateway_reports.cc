#include "libs/store/pg_gateway_reports.h"

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/status_macros.h"
#include "libs/pg/sql_values.h"

namespace gannet::store {
namespace {

constexpr pg::SqlStatement kReport = {"report_gateway", "SELECT gannet.report_gateway($1, $2)"};
constexpr pg::SqlStatement kList = {
    "list_gateway_reports",
    "SELECT gateway, refusing FROM gannet.gateway_report "
    "WHERE reported_at > clock_timestamp() - $1::bigint * interval '1 second' ORDER BY gateway",
    true};

}  // namespace

absl::Status PgGatewayReports::Report(const exchange::GatewayReport& report) {
  pg::SqlParams params;
  params.Text(report.gateway).Text(absl::StrJoin(report.refusing, ","));
  return pool_.Execute(kReport, params).status();
}

absl::StatusOr<std::vector<exchange::GatewayReport>> PgGatewayReports::List() {
  pg::SqlParams params;
  params.Int(absl::ToInt64Seconds(exchange::kGatewayReportLife));
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kList, params));
  std::vector<exchange::GatewayReport> reports;
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    exchange::GatewayReport report;
    report.gateway = row.Text("gateway");
    report.refusing = absl::StrSplit(row.Text("refusing"), ',');
    GANNET_RETURN_IF_ERROR(row.status());
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace gannet::store
