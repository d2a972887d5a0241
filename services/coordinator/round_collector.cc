#include "services/coordinator/round_collector.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/unit_state.h"
#include "libs/exchange/validation.h"

namespace gannet::coordinator {
namespace {

// Of a gradient: far more images than a unit can have.
constexpr double kMaxWeight = 1e12;

// When a training has diverged, the largest gradient is named as the likely cause when it is so
// many times the next one.
constexpr double kSuspiciousFactor = 10;

}  // namespace

RoundCollector::RoundCollector(exchange::Store& store, base::RunId run,
                               const domain::RunConfig& config,
                               std::unique_ptr<aggregate::Aggregator> aggregator,
                               const exchange::Leadership& leadership,
                               telemetry::RetryingCaller& retry, base::Clock& clock,
                               telemetry::Logger& log, CoordinatorMetrics& metrics)
    : store_(store),
      run_(run),
      spec_(domain::GradientSpec(config.model)),
      micro_batch_(config.micro_batch),
      codec_(config.gradient_codec),
      aggregator_(std::move(aggregator)),
      leadership_(leadership),
      retry_(retry),
      clock_(clock),
      log_(log),
      metrics_(metrics) {}

void RoundCollector::Begin(base::Round round, int unit_count, double stale_weight) {
  round_ = round;
  unit_count_ = unit_count;
  stale_weight_ = stale_weight;
  next_slot_ = 0;
  held_.clear();
  folded_.clear();
  extents_.clear();
  aggregator_->Reset();
  fold_time_ = absl::ZeroDuration();
}

bool RoundCollector::complete() const { return next_slot_ == unit_count_; }

bool RoundCollector::StillHas(const exchange::RoundProgress& progress) const {
  std::map<base::Slot, const exchange::GradientInfo*> stored;
  for (const exchange::GradientInfo& info : progress.gradients) stored[info.slot] = &info;
  const auto has = [&](const exchange::GradientInfo& taken) {
    const auto found = stored.find(taken.slot);
    return found != stored.end() && found->second->unit == taken.unit &&
           found->second->attempt == taken.attempt && found->second->sha256 == taken.sha256;
  };
  return absl::c_all_of(folded_, has) &&
         absl::c_all_of(held_, [&](const auto& item) { return has(item.second.info); });
}

absl::Status RoundCollector::Take(const exchange::RoundProgress& progress) {
  for (const exchange::GradientInfo& info : progress.gradients) {
    if (info.slot.value() < next_slot_ || held_.count(info.slot) > 0) continue;
    if (!aggregator_->needs_all() && info.slot.value() >= next_slot_ + kMaxHeld) break;
    GANNET_RETURN_IF_ERROR(Fetch(info).status());
    GANNET_RETURN_IF_ERROR(FoldWhatIsNext());
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RoundCollector::TakeLast(const exchange::RoundProgress& progress, int quorum) {
  for (const exchange::GradientInfo& info : progress.gradients) {
    if (info.slot.value() < next_slot_) continue;
    if (held_.count(info.slot) == 0) {
      GANNET_ASSIGN_OR_RETURN(const bool usable, Fetch(info));
      if (!usable) continue;
    }
    GANNET_RETURN_IF_ERROR(FoldFirstHeld());
  }
  if (static_cast<int>(folded_.size()) < quorum) {
    Begin(round_, unit_count_, stale_weight_);
    return false;
  }
  next_slot_ = unit_count_;
  return true;
}

absl::Status RoundCollector::TakeStale(const exchange::RoundProgress& progress) {
  GANNET_CHECK(complete());
  for (const exchange::GradientInfo& info : progress.stale) {
    if (WeightOf(info) <= 0) continue;
    GANNET_ASSIGN_OR_RETURN(const bool usable, Fetch(info));
    if (!usable) continue;
    GANNET_RETURN_IF_ERROR(Fold(std::move(held_.at(info.slot))));
    held_.erase(info.slot);
  }
  return absl::OkStatus();
}

double RoundCollector::WeightOf(const exchange::GradientInfo& info) const {
  return info.stats.image_count * domain::StaleWeight(stale_weight_, info.stale_rounds);
}

absl::StatusOr<bool> RoundCollector::Fetch(const exchange::GradientInfo& info) {
  const absl::Duration start = clock_.Steady();
  absl::StatusOr<exchange::Payload> payload =
      retry_.CallFor("fetch a gradient", [&] { return store_.FetchGradient(run_, info.unit); });
  // What the progress said may be history by now: the next look tells.
  if (payload.status().code() == absl::StatusCode::kNotFound) return false;
  // A worker in direct mode writes to the database itself: what it wrote may be no payload at all.
  if (payload.status().code() == absl::StatusCode::kDataLoss) {
    GANNET_RETURN_IF_ERROR(Reject(info, payload.status()));
    return false;
  }
  GANNET_RETURN_IF_ERROR(payload.status());
  if (payload->sha256 != info.sha256) return false;

  absl::StatusOr<tensor::TensorBundle> gradient = Decode(info, *payload);
  metrics_.fetch_seconds.Observe(absl::ToDoubleSeconds(clock_.Steady() - start));
  if (!gradient.ok()) {
    GANNET_RETURN_IF_ERROR(Reject(info, gradient.status()));
    return false;
  }
  held_.emplace(info.slot, Held{info, *std::move(gradient)});
  return true;
}

absl::StatusOr<tensor::TensorBundle> RoundCollector::Decode(
    const exchange::GradientInfo& info, const exchange::Payload& payload) const {
  GANNET_RETURN_IF_ERROR(exchange::ValidateStats(info.stats));
  const int micro_batches = std::max(1, info.stats.image_count / micro_batch_);
  if (info.stats.micro_batch_count != micro_batches) {
    return absl::InvalidArgumentError(
        absl::StrCat("stats.micro_batch_count is not the unit's: expected ", micro_batches,
                     ", got ", info.stats.micro_batch_count));
  }
  GANNET_RETURN_IF_ERROR(exchange::CheckCodec(codec_, payload.codec));
  // What has no weight could not be folded.
  GANNET_RETURN_IF_ERROR(exchange::ValidateBetween("weight", std::numeric_limits<double>::min(),
                                                   kMaxWeight, WeightOf(info)));
  if (!payload.IsIntact()) return absl::DataLossError("the bytes do not match their checksum");
  GANNET_ASSIGN_OR_RETURN(tensor::TensorBundle gradient,
                          DecodeBundle(*payload.bytes, payload.codec));
  GANNET_RETURN_IF_ERROR(gradient.CheckSpec(spec_));
  GANNET_RETURN_IF_ERROR(domain::CheckGradientValues(gradient));
  GANNET_RETURN_IF_ERROR(aggregator_->Check(gradient, WeightOf(info)));
  return gradient;
}

absl::Status RoundCollector::Reject(const exchange::GradientInfo& info,
                                    const absl::Status& reason) {
  const std::string worker = DescribeWorker(info.worker);
  log_.Warning(info.stale_rounds > 0 ? "a stale gradient is unusable and skipped"
                                     : "gradient is unusable, its unit is requeued",
               {{"round", round_.value()},
                {"slot", info.slot.value()},
                {"unit", info.unit.value()},
                {"attempt", info.attempt.value()},
                {"worker", worker},
                {"reason", reason}});
  absl::Status status = retry_.Call("reject a gradient", [&] {
    return store_.RejectGradient(
        run_, leadership_, info.unit,
        base::Printable(absl::StrCat("gradient of ", worker, ": ", reason.message()),
                        exchange::kMaxReasonChars));
  });
  // A repeat of a rejection whose answer was lost finds nothing.
  if (!status.ok() && status.code() != absl::StatusCode::kNotFound) return status;
  metrics_.rejected_gradients.Increment();
  return absl::OkStatus();
}

std::string RoundCollector::DescribeWorker(const base::WorkerId& worker) {
  const std::string id = absl::StrCat("worker ", worker.value());
  base::WorkerId before;
  while (true) {
    const absl::StatusOr<std::vector<exchange::WorkerSummary>> page =
        store_.ListWorkers(run_, before, exchange::kMaxPage);
    // Its name is worth no failure.
    if (!page.ok()) return id;
    for (const exchange::WorkerSummary& summary : *page) {
      if (summary.worker != worker || summary.display_name.empty()) continue;
      return absl::StrCat(id, " ('", summary.display_name, "')");
    }
    if (page->size() < static_cast<size_t>(exchange::kMaxPage)) return id;
    before = page->back().worker;
  }
}

absl::StatusOr<bool> RoundCollector::RejectOutlier() {
  GANNET_CHECK(complete());
  const int outlier = domain::FindOutlier(extents_);
  if (outlier < 0) return false;
  const exchange::GradientInfo info = folded_[static_cast<size_t>(outlier)];
  const domain::GradientExtent& extent = extents_[static_cast<size_t>(outlier)];
  GANNET_RETURN_IF_ERROR(
      Reject(info, absl::InvalidArgumentError(absl::StrCat(
                       "it stands out among the gradients of its round: its largest value is ",
                       extent.parameters, ", its largest batch statistic ", extent.statistics,
                       ", more than ", domain::kOutlierFactor, " times the median of all"))));
  return true;
}

std::string RoundCollector::DescribeLargest() {
  if (folded_.empty()) return "";
  const auto largest = absl::c_max_element(
      extents_, [](const domain::GradientExtent& a, const domain::GradientExtent& b) {
        return a.parameters < b.parameters;
      });
  const exchange::GradientInfo& info = folded_[static_cast<size_t>(largest - extents_.begin())];
  double others = 0;
  for (auto it = extents_.begin(); it != extents_.end(); ++it) {
    if (it != largest) others = std::max(others, it->parameters);
  }
  const std::string text = absl::StrCat("the largest value, ", largest->parameters, ", came from ",
                                        DescribeWorker(info.worker), ", slot ", info.slot.value(),
                                        ", unit ", info.unit.value());
  return folded_.size() == 1 ? text : absl::StrCat(text, "; of the others: ", others);
}

bool RoundCollector::LargestStandsOut() const {
  std::vector<double> values;
  for (const domain::GradientExtent& extent : extents_) values.push_back(extent.parameters);
  if (values.size() < 2) return false;
  absl::c_sort(values);
  return values.back() > kSuspiciousFactor * values[values.size() - 2];
}

absl::Status RoundCollector::FoldWhatIsNext() {
  while (!held_.empty() && held_.begin()->first.value() == next_slot_) {
    GANNET_RETURN_IF_ERROR(FoldFirstHeld());
  }
  return absl::OkStatus();
}

absl::Status RoundCollector::FoldFirstHeld() {
  Held held = std::move(held_.begin()->second);
  held_.erase(held_.begin());
  next_slot_ = held.info.slot.value() + 1;
  return Fold(std::move(held));
}

absl::Status RoundCollector::Fold(Held held) {
  const absl::Duration start = clock_.Steady();
  const domain::GradientExtent extent = domain::ExtentOf(held.gradient);
  GANNET_RETURN_IF_ERROR(aggregator_->Add(std::move(held.gradient), WeightOf(held.info)));
  folded_.push_back(std::move(held.info));
  extents_.push_back(extent);
  fold_time_ += clock_.Steady() - start;
  return absl::OkStatus();
}

absl::StatusOr<FoldedRound> RoundCollector::Finish() {
  GANNET_CHECK(complete());
  const absl::Duration start = clock_.Steady();
  FoldedRound round;
  GANNET_ASSIGN_OR_RETURN(round.gradient, aggregator_->Finish());
  exchange::RoundSummary& summary = round.summary;
  summary.round = round_;
  std::vector<std::string> checksums;
  double weights = 0;
  for (const exchange::GradientInfo& info : folded_) {
    const exchange::GradientStats& stats = info.stats;
    const double weight = WeightOf(info);
    weights += weight;
    if (info.stale_rounds > 0) ++round.stale_count;
    round.consumed.push_back(info.unit);
    checksums.push_back(info.sha256);
    // Steps of the running averages of batch norm, which know no weights.
    if (info.stale_rounds == 0) round.micro_batch_count += stats.micro_batch_count;
    summary.gradient_count += 1;
    summary.image_count += stats.image_count;
    summary.discriminator_loss += weight * stats.discriminator_loss;
    summary.generator_loss += weight * stats.generator_loss;
    summary.real_accuracy += weight * stats.real_accuracy;
    summary.fake_accuracy += weight * stats.fake_accuracy;
  }
  round.consumed_sha256 = exchange::ConsumedSha256(checksums);
  summary.discriminator_loss /= weights;
  summary.generator_loss /= weights;
  summary.real_accuracy /= weights;
  summary.fake_accuracy /= weights;
  fold_time_ += clock_.Steady() - start;
  metrics_.aggregate_seconds.Observe(absl::ToDoubleSeconds(fold_time_));
  return round;
}

}  // namespace gannet::coordinator
