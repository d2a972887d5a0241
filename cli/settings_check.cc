#include "cli/settings_check.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "cli/dataset_source.h"
#include "libs/data/dataset.h"
#include "libs/pg/connection_params.h"
#include "services/coordinator/coordinator_config.h"
#include "services/gateway/gateway_config.h"
#include "services/worker/worker_server.h"

namespace gannet::cli {
namespace {

// Collects what is wrong, each line once: several programs may find the same.
class Findings {
 public:
  void Add(const absl::Status& status) {
    if (status.ok()) return;
    if (lines_.empty()) code_ = status.code();
    for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
      if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) {
        lines_.push_back(std::string(line));
      }
    }
  }

  absl::Status ToStatus() const { return absl::Status(code_, absl::StrJoin(lines_, "\n")); }

 private:
  absl::StatusCode code_ = absl::StatusCode::kOk;
  std::vector<std::string> lines_;
};

}  // namespace

absl::Status CheckSettings(const config::Config& config, bool files) {
  Findings findings;
  const auto add = [&](const absl::Status& status) {
    findings.Add(config::WithOrigins(config, status));
  };
  add(pg::CheckDatabaseUrl("database.url", config.database.url));
  add(coordinator::CheckCoordinatorSettings(config));
  add(worker::CheckWorkerSettings(config));
  if (!files) return findings.ToStatus();
  const absl::Status named = config::CheckNamedFiles(config);
  findings.Add(named);
  // What is in the files can be judged once all of them are there.
  if (named.ok()) {
    add(gateway::GatewayOptionsFrom(config, absl::Now()).status());
    add(worker::CheckWorkerFiles(config));
  }
  const absl::Status data = data::OpenDataset(ShownDatasetOptions(config)).status();
  if (!data.ok()) add(absl::Status(data.code(), absl::StrCat("data.path: ", data.message())));
  return findings.ToStatus();
}

}  // namespace gannet::cli
