#include "services/coordinator/round_wait.h"

#include "absl/strings/str_cat.h"

namespace gannet::coordinator {
namespace {

// A unit that is claimed more often than this is logged: its workers may fall because of it.
constexpr int kManyAttempts = 5;

// "1 unit", "2 units".
std::string Count(int number, const char* what) {
  return absl::StrCat(number, " ", what, number == 1 ? "" : "s");
}

}  // namespace

std::string DescribeWait(const exchange::RunStatus& status, const domain::RunConfig& config,
                         const exchange::RoundProgress& progress) {
  std::string text = absl::StrCat(progress.gradients.size(), " of ",
                                  Count(config.units_per_round, "gradient"), " in");
  if (config.policy.quorum > 0) {
    absl::StrAppend(&text, " (", config.policy.quorum, " is the quorum)");
  }
  absl::StrAppend(&text, ", ", Count(progress.leased, "unit"), " leased, ",
                  Count(progress.ready, "unit"), " ready");
  if (progress.stale_leased > 0) {
    absl::StrAppend(&text, ", ", Count(progress.stale_leased, "unit"), " of earlier rounds leased");
  }
  if (progress.most_attempts > kManyAttempts) {
    absl::StrAppend(&text, ", slot ", progress.most_attempts_slot.value(), " was claimed ",
                    progress.most_attempts, " times without a result");
  }
  if (progress.failed > 0) absl::StrAppend(&text, ", ", progress.failed, " failed permanently");
  absl::StrAppend(&text, ", ",
                  status.worker_count == 0 ? "no worker is there: start one"
                                           : Count(status.worker_count, "worker") + " there");
  return text;
}

}  // namespace gannet::coordinator
