#include "cli/run_text.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/printable.h"
#include "libs/domain/refusal_reason.h"
#include "nlohmann/json.hpp"

namespace gannet::cli {
namespace {

constexpr int kBarMin = 8;
constexpr int kBarMax = 40;
// From here on the progress line tells how much of a unit's time is not computation.
constexpr double kShareWorthTelling = 0.3;

double ShareDone(const client::RunReport& report) {
  if (report.config.round_count <= 0) return 0;
  return std::clamp(static_cast<double>(report.weights_version.value()) /
                        static_cast<double>(report.config.round_count),
                    0.0, 1.0);
}

std::string RateText(const client::RunReport& report) {
  return report.images_per_second > 0 ? absl::StrFormat("%.0f img/s", report.images_per_second)
                                      : std::string("- img/s");
}

// Workers for whom a round has no unit.
int WorkersTooMany(const client::RunReport& report) {
  return report.state == domain::RunState::kRunning
             ? std::max(0, report.worker_count - report.config.units_per_round)
             : 0;
}

std::string WorkersText(const client::RunReport& report) {
  std::string text =
      absl::StrCat(report.worker_count, report.worker_count == 1 ? " worker" : " workers");
  if (const int idle = WorkersTooMany(report); idle > 0) {
    absl::StrAppend(&text, " (", idle, idle == 1 ? " waits)" : " wait)");
  }
  return text;
}

// "0.042 s", "3.1 s", "1200 s": three digits, where there are so many.
std::string SecondsText(double seconds) {
  const int decimals = seconds < 1 ? 3 : seconds < 10 ? 2 : seconds < 100 ? 1 : 0;
  return absl::StrFormat("%.*f s", decimals, seconds);
}

// Of the median unit's time what was not computation, 0 to 1; unset while nothing is known.
std::optional<double> ShareOnTheWay(const client::RunReport& report) {
  if (!(report.unit_seconds > 0) || !(report.unit_compute_seconds > 0)) return std::nullopt;
  return std::clamp(1 - report.unit_compute_seconds / report.unit_seconds, 0.0, 1.0);
}

// A reason by its label, which a newer gateway may have made up.
void AppendRefusal(std::string* text, const std::string& label) {
  const std::optional<domain::RefusalReason> reason = domain::RefusalOfLabel(label);
  absl::StrAppend(text, reason.has_value() ? std::string(domain::DescribeRefusal(*reason))
                                           : base::Printable(label));
}

std::string LossesText(const client::RunReport& report) {
  if (!report.last_round.has_value()) return "D - G -";
  return absl::StrFormat("D %.2f G %.2f", report.last_round->discriminator_loss,
                         report.last_round->generator_loss);
}

std::string LeftText(const client::RunReport& report) {
  if (report.state != domain::RunState::kRunning) return domain::RunStateName(report.state);
  const absl::Duration left = TimeLeft(report);
  return left == absl::InfiniteDuration() ? "- left" : absl::StrCat(ShortDuration(left), " left");
}

// Whether nobody is there to go on: past speed tells nothing then.
bool IsDeserted(const client::RunReport& report, Trainer trainer) {
  return trainer == Trainer::kClass && report.state == domain::RunState::kRunning &&
         report.worker_count == 0;
}

// Everything behind the bar.
std::vector<std::string> ProgressParts(const client::RunReport& report, Trainer trainer) {
  std::vector<std::string> parts = {
      absl::StrCat(report.weights_version.value(), "/", report.config.round_count),
      absl::StrFormat("%.0f %%", std::floor(100 * ShareDone(report))),
      IsDeserted(report, trainer) ? "- img/s" : RateText(report), LossesText(report)};
  if (trainer == Trainer::kClass) {
    parts.push_back(WorkersText(report));
    const std::optional<double> share = ShareOnTheWay(report);
    if (share.has_value() && *share >= kShareWorthTelling) {
      parts.push_back(absl::StrFormat("%.0f %% on the way", 100 * *share));
    }
  }
  parts.push_back(IsDeserted(report, trainer) ? "waits for a worker" : LeftText(report));
  return parts;
}

nlohmann::ordered_json RoundJson(const exchange::RoundSummary& round) {
  return {{"round", round.round.value()},
          {"epoch", round.epoch},
          {"gradient_count", round.gradient_count},
          {"image_count", round.image_count},
          {"discriminator_loss", round.discriminator_loss},
          {"generator_loss", round.generator_loss},
          {"real_accuracy", round.real_accuracy},
          {"fake_accuracy", round.fake_accuracy},
          {"seconds", round.seconds}};
}

}  // namespace

absl::Duration TimeLeft(const client::RunReport& report) {
  const int64_t rounds = report.config.round_count - report.weights_version.value();
  if (rounds <= 0) return absl::ZeroDuration();
  if (!(report.images_per_second > 0)) return absl::InfiniteDuration();
  const double images =
      static_cast<double>(rounds) * report.config.images_per_unit * report.config.units_per_round;
  return absl::Seconds(images / report.images_per_second);
}

std::string StatusText(const client::RunReport& report) {
  const domain::RunConfig& config = report.config;
  std::string text =
      absl::StrCat("run      ", base::Printable(config.name), " (id ", report.run.value(),
                   ")\nstate    ", domain::RunStateName(report.state));
  if (!report.state_reason.empty()) {
    absl::StrAppend(&text, ": ", base::Printable(report.state_reason));
  }
  absl::StrAppend(&text, "\nround    ", report.weights_version.value(), " of ", config.round_count,
                  absl::StrFormat(" (%.1f %%)", 100 * ShareDone(report)));
  if (report.last_round.has_value()) absl::StrAppend(&text, ", epoch ", report.last_round->epoch);
  if (!report.waiting_for.empty()) {
    absl::StrAppend(&text, "\nopen     ", base::Printable(report.waiting_for));
  }
  absl::StrAppend(&text, "\nspeed    ", RateText(report));
  if (report.state == domain::RunState::kRunning) absl::StrAppend(&text, ", ", LeftText(report));
  if (report.last_round.has_value()) {
    const exchange::RoundSummary& round = *report.last_round;
    absl::StrAppendFormat(
        &text,
        "\nlosses   discriminator %.3f, generator %.3f"
        "\nverdicts %.0f %% of real images called real, %.0f %% of generated ones "
        "called generated",
        round.discriminator_loss, round.generator_loss, 100 * round.real_accuracy,
        100 * round.fake_accuracy);
  }
  absl::StrAppend(&text, "\nworkers  ", report.worker_count, " heard from within 30 s");
  if (const int idle = WorkersTooMany(report); idle > 0) {
    absl::StrAppend(&text, ", ", idle, idle == 1 ? " of them waits" : " of them wait",
                    ": a round has ", config.units_per_round,
                    config.units_per_round == 1 ? " unit" : " units",
                    " (gannet set training.units_per_round=", report.worker_count, ")");
  }
  if (const std::optional<double> share = ShareOnTheWay(report); share.has_value()) {
    absl::StrAppendFormat(&text,
                          "\nnetwork  a unit takes %s, %s of that computing; %.0f %% goes "
                          "into sending, receiving and waiting",
                          SecondsText(report.unit_seconds),
                          SecondsText(report.unit_compute_seconds), 100 * *share);
  }
  for (const exchange::GatewayReport& gateway : report.gateways) {
    absl::StrAppend(&text, "\nrefusing ", base::Printable(gateway.gateway), ": ",
                    absl::StrJoin(gateway.refusing, "; ", AppendRefusal),
                    "; other workers continue (docs/operations.md, \"What a gateway refuses\")");
  }
  absl::StrAppend(&text, "\nunits    ", config.units_per_round, " a round, ",
                  config.images_per_unit, " images each\ndata     ",
                  base::Printable(config.data.description), ", ", config.data.image_count,
                  " images");
  if (report.wasted_image_count > 0) {
    absl::StrAppend(&text, "\nwasted   ", report.wasted_image_count,
                    " images in gradients that were not used");
  }
  if (report.best.has_value()) {
    absl::StrAppend(&text, "\nbest     round ", report.best->version.value(),
                    absl::StrFormat(", distance to real images %.4f", report.best->distance));
  }
  for (const client::ReportedChange& change : report.changes) {
    absl::StrAppend(&text, "\nchanged  from round ", change.round.value(), ": ",
                    change.difference.empty() ? "nothing, it was reverted"
                                              : base::Printable(change.difference));
    if (!change.reason.empty()) absl::StrAppend(&text, " (", base::Printable(change.reason), ")");
  }
  if (!report.latest_sample_path.empty()) {
    absl::StrAppend(&text, "\nsamples  ", base::Printable(report.latest_sample_path));
  }
  return absl::StrCat(text, "\n");
}

std::string StatusJson(const client::RunReport& report) {
  const absl::Duration left = TimeLeft(report);
  nlohmann::ordered_json json = {
      {"run_id", report.run.value()},
      {"name", report.config.name},
      {"state", domain::RunStateName(report.state)},
      {"state_reason", report.state_reason},
      {"rounds_done", report.weights_version.value()},
      {"round_count", report.config.round_count},
      {"images_per_second", report.images_per_second},
      {"seconds_left", nullptr},
      {"worker_count", report.worker_count},
      {"idle_worker_count", WorkersTooMany(report)},
      {"unit_seconds", nullptr},
      {"unit_compute_seconds", nullptr},
      {"last_round", nullptr},
      {"latest_sample_path", report.latest_sample_path},
      {"waiting_for", report.waiting_for},
      {"wasted_image_count", report.wasted_image_count},
      {"best", nullptr},
      {"changed_in_rounds", nlohmann::json::array()},
      {"gateways_refusing", nlohmann::json::object()},
      {"data",
       {{"kind", report.config.data.kind},
        {"image_count", report.config.data.image_count},
        {"digest", report.config.data.digest}}},
  };
  if (report.best.has_value()) {
    json["best"] = {{"round", report.best->version.value()}, {"distance", report.best->distance}};
  }
  if (ShareOnTheWay(report).has_value()) {
    json["unit_seconds"] = report.unit_seconds;
    json["unit_compute_seconds"] = report.unit_compute_seconds;
  }
  if (left != absl::InfiniteDuration()) json["seconds_left"] = absl::ToDoubleSeconds(left);
  for (const client::ReportedChange& change : report.changes) {
    json["changed_in_rounds"].push_back(change.round.value());
  }
  for (const exchange::GatewayReport& gateway : report.gateways) {
    json["gateways_refusing"][gateway.gateway] = gateway.refusing;
  }
  if (report.last_round.has_value()) json["last_round"] = RoundJson(*report.last_round);
  // Text that is not UTF-8 must not end the program.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string ProgressLine(const client::RunReport& report, int width, Trainer trainer) {
  const std::string rest = absl::StrJoin(ProgressParts(report, trainer), "  ");
  const int room = std::min(kBarMax, width - DisplayWidth(rest) - 4);  // brackets and two spaces
  if (room < kBarMin) return rest.substr(0, static_cast<size_t>(std::max(width, 0)));
  const int filled = static_cast<int>(ShareDone(report) * room);
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < room) bar.push_back('>');
  bar.resize(static_cast<size_t>(room), ' ');
  return absl::StrCat("[", bar, "]  ", rest);
}

std::string PlainProgressLine(const client::RunReport& report, Trainer trainer) {
  return absl::StrCat(trainer == Trainer::kClass ? "round " : "update ",
                      absl::StrJoin(ProgressParts(report, trainer), "  "));
}

}  // namespace gannet::cli
