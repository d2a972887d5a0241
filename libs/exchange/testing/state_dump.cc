#include "libs/exchange/testing/state_dump.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/base/hex.h"

namespace gannet::exchange {
namespace {

const char* UnitStateName(domain::UnitState state) {
  switch (state) {
    case domain::UnitState::kReady:
      return "ready";
    case domain::UnitState::kLeased:
      return "leased";
    case domain::UnitState::kDone:
      return "done";
    case domain::UnitState::kFailed:
      return "failed";
    case domain::UnitState::kClosed:
      return "closed";
  }
  return "unknown";
}

std::string Short(const std::string& sha256) { return base::HexEncode(sha256).substr(0, 16); }

std::string StatsText(const GradientStats& stats) {
  return absl::StrCat(stats.image_count, "/", stats.micro_batch_count, " ",
                      stats.discriminator_loss, " ", stats.generator_loss, " ", stats.real_accuracy,
                      " ", stats.fake_accuracy, " ", stats.compute_seconds);
}

std::string UnitLine(const UnitDump& unit) {
  std::string line = absl::StrCat("unit r", unit.round.value(), " s", unit.slot.value(), " ",
                                  UnitStateName(unit.state), " attempt ", unit.attempt.value());
  if (unit.state != domain::UnitState::kClosed && unit.state != domain::UnitState::kFailed) {
    absl::StrAppend(&line, " holder ", unit.holder.value().empty() ? "-" : unit.holder.value());
  }
  absl::StrAppend(&line, " failures ", unit.failures, " reason=\"", unit.failure_reason, "\"");
  if (unit.state == domain::UnitState::kReady || unit.state == domain::UnitState::kLeased) {
    for (const base::WorkerId& worker : unit.failed_by) {
      absl::StrAppend(&line, " failed_by ", worker.value());
    }
  }
  if (unit.state == domain::UnitState::kLeased) {
    absl::StrAppend(&line, " remaining ", absl::FormatDuration(unit.lease_remaining),
                    " since_progress ", absl::FormatDuration(unit.since_progress), " done ",
                    unit.micro_batches_done);
  }
  if (unit.state == domain::UnitState::kLeased) {
    absl::StrAppend(&line, " since_claim ", absl::FormatDuration(unit.since_claim));
  }
  if (unit.ready_in > absl::ZeroDuration()) {
    absl::StrAppend(&line, " ready_in ", absl::FormatDuration(unit.ready_in));
  }
  if (unit.reaped) absl::StrAppend(&line, " reaped");
  if (unit.consumed) absl::StrAppend(&line, " consumed");
  if (unit.is_speculative) absl::StrAppend(&line, " speculative copy");
  if (unit.stale_rounds > 0) absl::StrAppend(&line, " stale ", unit.stale_rounds);
  if (unit.wasted_attempt > base::Attempt(0)) {
    absl::StrAppend(&line, " wasted ", unit.wasted_attempt.value());
  }
  if (unit.gradient.has_value()) {
    const GradientDump& gradient = *unit.gradient;
    absl::StrAppend(&line, " gradient attempt ", gradient.attempt.value(), " worker ",
                    gradient.worker.value(), " ", StatsText(gradient.stats), " codec ",
                    static_cast<int>(gradient.codec), " sha ", Short(gradient.sha256),
                    gradient.has_bytes ? " bytes" : "");
  }
  return line;
}

}  // namespace

std::string FormatRunDump(const RunDump& dump) {
  std::string text =
      absl::StrCat("run ", dump.config.name, " ", domain::RunStateName(dump.state), " reason=\"",
                   dump.state_reason, "\" version ", dump.weights_version.value(), " adam ",
                   Short(dump.adam_sha256), "\n");
  absl::StrAppend(&text, "leader ", dump.leader.value().empty() ? "-" : dump.leader.value(),
                  " term ", dump.leader_term);
  if (!dump.leader.value().empty()) {
    absl::StrAppend(&text, " remaining ", absl::FormatDuration(dump.leadership_remaining));
  }
  absl::StrAppend(&text, " median ", absl::FormatDuration(dump.median_unit_time), "\n");
  for (const SettingsChange& change : dump.changes) {
    absl::StrAppend(&text, "change r", change.round.value(), " \"", change.reason, "\" ",
                    domain::DescribeDifference(dump.config, change.config), " origin ",
                    change.config.plan_origin.round, "/", change.config.plan_origin.position, "\n");
  }
  for (const WeightsDump& weights : dump.weights) {
    absl::StrAppend(&text, "weights ", weights.version.value(), " ", Short(weights.sha256),
                    weights.keep ? " keep" : "", "\n");
  }
  if (dump.best.has_value()) {
    absl::StrAppend(&text, "best ", dump.best->version.value(), " distance ", dump.best->distance,
                    " ", Short(dump.best_sha256), "\n");
  }
  for (const UnitDump& unit : dump.units) absl::StrAppend(&text, UnitLine(unit), "\n");
  for (const WorkerDump& worker : dump.workers) {
    absl::StrAppend(&text, "worker ", worker.worker.value(), " incarnation ",
                    worker.incarnation.value(), " name=\"", worker.display_name, "\" hardware=\"",
                    worker.hardware, "\"");
    absl::StrAppend(&text, " units ", worker.accepted_unit_count, " images ",
                    worker.accepted_image_count, " duplicates ", worker.duplicate_unit_count,
                    " wasted ", worker.wasted_image_count, " seen ",
                    absl::FormatDuration(worker.since_seen), worker.has_left ? " has_left" : "");
    if (worker.net_rejections > 0) {
      absl::StrAppend(&text, " rejected ", worker.net_rejections);
    }
    if (!worker.removed_reason.empty()) {
      absl::StrAppend(&text, " removed=\"", worker.removed_reason, "\"");
    }
    absl::StrAppend(&text, "\n");
  }
  for (const RoundSummary& round : dump.rounds) {
    absl::StrAppend(&text, "round ", round.round.value(), " epoch ", round.epoch, " gradients ",
                    round.gradient_count, " images ", round.image_count);
    absl::StrAppend(&text, " ", round.discriminator_loss, " ", round.generator_loss, " ",
                    round.real_accuracy, " ", round.fake_accuracy, " ", round.seconds, "\n");
  }
  return text;
}

}  // namespace gannet::exchange
