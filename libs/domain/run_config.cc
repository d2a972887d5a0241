#include "libs/domain/run_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/training_choices.h"

namespace gannet {
namespace {

// Limits that others rely on: streams of noise are named by a slot below 4,096 and a position below
// 2^20, and positions in the endless sequence of images stay below 2^63 (10^9 x 2^12 x 2^20).
constexpr int64_t kMaxRoundCount = 1'000'000'000;
constexpr int kMaxUnitsPerRound = 4096;
constexpr int kMaxImagesPerUnit = 1 << 20;
constexpr int kMaxMicroBatch = 4096;
constexpr int kMaxLatentDim = 1024;
constexpr int kMaxBaseWidth = 512;
constexpr int64_t kMaxImageCount = int64_t{1} << 31;
constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxShownBytes = 80;
constexpr absl::Duration kMinLease = absl::Milliseconds(100);
constexpr absl::Duration kMaxLease = absl::Hours(24);
constexpr absl::Duration kMaxDeadline = absl::Hours(24);
constexpr double kMaxSpareAfter = 1000;
constexpr int64_t kMaxPosition = kMaxRoundCount * kMaxUnitsPerRound * kMaxImagesPerUnit;

// The shortest text that gives the same number again.
std::string ShowNumber(double value) {
  char text[32];
  const auto result = std::to_chars(text, text + sizeof text, value);
  return std::string(text, result.ptr);
}

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                  c == '-';
         });
}

// Collects what is wrong, so that all of it is said at once.
class Problems {
 public:
  void CheckInteger(const char* name, int64_t value, int64_t min, int64_t max) {
    if (value >= min && value <= max) return;
    Add(absl::StrCat(name, " must be between ", min, " and ", max, ", got ", value));
  }

  // Written so that NaN fails.
  void CheckNumber(const char* name, double value, bool in_range, const char* range) {
    if (in_range) return;
    Add(absl::StrCat(name, " must be ", range, ", got ", ShowNumber(value)));
  }

  void Add(std::string text) { texts_.push_back(std::move(text)); }

  absl::Status ToStatus() const {
    if (texts_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("values out of range: ", absl::StrJoin(texts_, "; ")));
  }

 private:
  std::vector<std::string> texts_;
};

// Collects "name a -> b".
class Differences {
 public:
  template <typename T>
  void Compare(const char* name, const T& a, const T& b) {
    if (a != b) texts_.push_back(absl::StrCat(name, " ", a, " -> ", b));
  }

  void Compare(const char* name, double a, double b) {
    if (a != b) texts_.push_back(absl::StrCat(name, " ", ShowNumber(a), " -> ", ShowNumber(b)));
  }

  void Add(std::string text) { texts_.push_back(std::move(text)); }

  std::string ToText() const { return absl::StrJoin(texts_, ", "); }

 private:
  std::vector<std::string> texts_;
};

std::string FlagText(bool flag) { return flag ? "true" : "false"; }

std::string ShortDigest(const DataFingerprint& data) { return data.digest.substr(0, 12); }

}  // namespace

std::string DescribeDifference(const DataFingerprint& expected, const DataFingerprint& got) {
  if (expected == got) return "";
  Differences differences;
  differences.Compare("kind", expected.kind, got.kind);
  differences.Compare("images", expected.image_count, got.image_count);
  if (expected.digest != got.digest) {
    differences.Compare("digest", ShortDigest(expected), ShortDigest(got));
  }
  return absl::StrCat("the data sets differ (expected -> got): ", differences.ToText(),
                      "; expected ", expected.description, ", got ", got.description);
}

namespace {

void CheckObjective(const ObjectiveConfig& objective, Problems& problems) {
  if (!IsLossName(objective.loss)) {
    problems.Add(absl::StrCat("loss must be one of ", JoinLossNames(), ", got '",
                              Printable(objective.loss, kMaxShownBytes), "'"));
  }
  problems.CheckNumber("real_label", objective.real_label,
                       objective.real_label > 0 && objective.real_label <= 1,
                       "above 0 and at most 1");
  if (LossIgnoresTarget(objective.loss) && objective.real_label != 1) {
    problems.Add(absl::StrCat("real_label must be 1 with the loss ", objective.loss,
                              ", which knows no target, got ", ShowNumber(objective.real_label)));
  }
  if (const std::string wrong = CheckAugmentList(objective.augment); !wrong.empty()) {
    problems.Add(absl::StrCat("augment ", wrong, ", got '",
                              Printable(objective.augment, kMaxShownBytes), "'"));
  }
}

}  // namespace

absl::Status ValidateObjective(const ObjectiveConfig& objective) {
  Problems problems;
  CheckObjective(objective, problems);
  return problems.ToStatus();
}

namespace {

void CheckPolicy(const RunConfig& config, Problems& problems) {
  const RoundPolicy& policy = config.policy;
  problems.CheckInteger("quorum", policy.quorum, 0, config.units_per_round);
  if (policy.deadline < absl::ZeroDuration() || policy.deadline > kMaxDeadline) {
    problems.Add(absl::StrCat("round_deadline must be between 0s and ",
                              absl::FormatDuration(kMaxDeadline), ", got ",
                              absl::FormatDuration(policy.deadline)));
  } else if (policy.deadline > absl::ZeroDuration() && policy.quorum == 0) {
    problems.Add("round_deadline needs a quorum: without one a round waits for every unit");
  }
  const double stale = policy.stale_weight;
  problems.CheckNumber("stale_weight", stale, stale >= 0 && stale <= 1,
                       "0 (stale gradients are refused) to 1");
  if (stale > 0 && policy.quorum == 0) {
    problems.Add("stale_weight needs a quorum: without one no gradient is late");
  }
  const double spare = policy.spare_after;
  problems.CheckNumber("spare_after", spare, spare == 0 || (spare >= 1 && spare <= kMaxSpareAfter),
                       "0 (never) or at least 1 and at most 1000");
  problems.CheckInteger("plan_origin.round", config.plan_origin.round, 1, kMaxRoundCount + 1);
  problems.CheckInteger("plan_origin.position", config.plan_origin.position, 0, kMaxPosition);
}

}  // namespace

absl::Status ValidateRunConfig(const RunConfig& config) {
  Problems problems;
  if (!IsName(config.name)) {
    problems.Add(absl::StrCat("name must have 1 to ", kMaxNameBytes,
                              " letters, digits, dots, dashes or underscores"));
  }
  if (!IsModelName(config.model.kind)) {
    problems.Add(absl::StrCat("model kind must be one of ", JoinModelNames(), ", got '",
                              Printable(config.model.kind, kMaxShownBytes), "'"));
  }
  if (!IsModelImageSize(config.model.image_size)) {
    problems.Add(absl::StrCat("image_size must be one of ", JoinModelImageSizes(), ", got ",
                              config.model.image_size));
  }
  problems.CheckInteger("latent_dim", config.model.latent_dim, 1, kMaxLatentDim);
  problems.CheckInteger("base_width", config.model.base_width, 1, kMaxBaseWidth);
  const AdamConfig& adam = config.adam;
  problems.CheckNumber("learning_rate", adam.learning_rate,
                       adam.learning_rate > 0 && adam.learning_rate <= 1, "above 0 and at most 1");
  for (const auto& [name, rate] :
       {std::pair{"learning_rate_generator", adam.learning_rate_generator},
        {"learning_rate_discriminator", adam.learning_rate_discriminator}}) {
    problems.CheckNumber(name, rate, rate >= 0 && rate <= 1,
                         "at least 0 (0 means learning_rate) and at most 1");
  }
  problems.CheckNumber("beta1", adam.beta1, adam.beta1 >= 0 && adam.beta1 < 1,
                       "at least 0 and below 1");
  problems.CheckNumber("beta2", adam.beta2, adam.beta2 >= 0 && adam.beta2 < 1,
                       "at least 0 and below 1");
  problems.CheckNumber("epsilon", adam.epsilon, adam.epsilon > 0 && adam.epsilon <= 1,
                       "above 0 and at most 1");
  problems.CheckNumber("ema_decay", adam.ema_decay, adam.ema_decay >= 0 && adam.ema_decay < 1,
                       "at least 0 and below 1");
  CheckObjective(config.objective, problems);
  problems.CheckInteger("images_per_unit", config.images_per_unit, 1, kMaxImagesPerUnit);
  problems.CheckInteger("units_per_round", config.units_per_round, 1, kMaxUnitsPerRound);
  problems.CheckInteger("micro_batch", config.micro_batch, 1, kMaxMicroBatch);
  problems.CheckInteger("round_count", config.round_count, 1, kMaxRoundCount);
  if (config.lease < kMinLease || config.lease > kMaxLease) {
    problems.Add(absl::StrCat("lease must be between ", absl::FormatDuration(kMinLease), " and ",
                              absl::FormatDuration(kMaxLease), ", got ",
                              absl::FormatDuration(config.lease)));
  }
  if (!IsCodecNumber(config.gradient_codec)) {
    problems.Add(absl::StrCat("gradient_codec must be one of ", JoinCodecNumbers(), ", got ",
                              config.gradient_codec));
  }
  CheckPolicy(config, problems);
  if (config.data.kind.empty()) problems.Add("data.kind must not be empty");
  problems.CheckInteger("data.image_count", config.data.image_count, 1, kMaxImageCount);
  if (!IsHex(config.data.digest, 64)) {
    problems.Add("data.digest must be 64 lower-case hexadecimal digits");
  }
  return problems.ToStatus();
}

std::string DescribeDifference(const RunConfig& a, const RunConfig& b) {
  Differences differences;
  differences.Compare("name", a.name, b.name);
  differences.Compare("seed", a.seed, b.seed);
  differences.Compare("model kind", a.model.kind, b.model.kind);
  differences.Compare("image_size", a.model.image_size, b.model.image_size);
  differences.Compare("latent_dim", a.model.latent_dim, b.model.latent_dim);
  differences.Compare("base_width", a.model.base_width, b.model.base_width);
  differences.Compare("learning_rate", a.adam.learning_rate, b.adam.learning_rate);
  differences.Compare("learning_rate_generator", a.adam.learning_rate_generator,
                      b.adam.learning_rate_generator);
  differences.Compare("learning_rate_discriminator", a.adam.learning_rate_discriminator,
                      b.adam.learning_rate_discriminator);
  differences.Compare("beta1", a.adam.beta1, b.adam.beta1);
  differences.Compare("beta2", a.adam.beta2, b.adam.beta2);
  differences.Compare("epsilon", a.adam.epsilon, b.adam.epsilon);
  differences.Compare("ema_decay", a.adam.ema_decay, b.adam.ema_decay);
  differences.Compare("loss", a.objective.loss, b.objective.loss);
  differences.Compare("real_label", a.objective.real_label, b.objective.real_label);
  differences.Compare("augment", a.objective.augment, b.objective.augment);
  differences.Compare("flip", FlagText(a.objective.flip), FlagText(b.objective.flip));
  differences.Compare("images_per_unit", a.images_per_unit, b.images_per_unit);
  differences.Compare("units_per_round", a.units_per_round, b.units_per_round);
  differences.Compare("micro_batch", a.micro_batch, b.micro_batch);
  differences.Compare("round_count", a.round_count, b.round_count);
  differences.Compare("lease", absl::FormatDuration(a.lease), absl::FormatDuration(b.lease));
  differences.Compare("gradient_codec", a.gradient_codec, b.gradient_codec);
  differences.Compare("quorum", a.policy.quorum, b.policy.quorum);
  differences.Compare("round_deadline", absl::FormatDuration(a.policy.deadline),
                      absl::FormatDuration(b.policy.deadline));
  differences.Compare("stale_weight", a.policy.stale_weight, b.policy.stale_weight);
  differences.Compare("spare_after", a.policy.spare_after, b.policy.spare_after);
  differences.Compare("data.kind", a.data.kind, b.data.kind);
  differences.Compare("data.image_count", a.data.image_count, b.data.image_count);
  if (a.data.digest != b.data.digest) {
    differences.Compare("data.digest", ShortDigest(a.data), ShortDigest(b.data));
  }
  return differences.ToText();
}

absl::Status CheckOnlyChangeable(const RunConfig& current, const RunConfig& changed) {
  RunConfig fixed = changed;
  fixed.adam.learning_rate = current.adam.learning_rate;
  fixed.adam.learning_rate_generator = current.adam.learning_rate_generator;
  fixed.adam.learning_rate_discriminator = current.adam.learning_rate_discriminator;
  fixed.images_per_unit = current.images_per_unit;
  fixed.units_per_round = current.units_per_round;
  fixed.round_count = current.round_count;
  fixed.lease = current.lease;
  fixed.policy = current.policy;
  fixed.plan_origin = current.plan_origin;
  if (fixed == current) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("cannot change while a run is under way, start a new one for it: ",
                   DescribeDifference(current, fixed)));
}

absl::StatusOr<RunConfig> ChangeConfig(const RunConfig& current, const RunConfig& next,
                                       RunConfig changed, int64_t round) {
  if (absl::Status status = CheckOnlyChangeable(current, changed); !status.ok()) return status;
  changed.plan_origin = next.plan_origin;
  if (changed == next) return absl::InvalidArgumentError("nothing would change");
  if (changed.round_count < round) {
    return absl::InvalidArgumentError(absl::StrCat("round_count must be at least ", round,
                                                   ", the round from which the change holds, got ",
                                                   changed.round_count));
  }
  const int64_t images_per_round = int64_t{current.units_per_round} * current.images_per_unit;
  changed.plan_origin = {.round = round,
                         .position = current.plan_origin.position +
                                     (round - current.plan_origin.round) * images_per_round};
  if (absl::Status valid = ValidateRunConfig(changed); !valid.ok()) return valid;
  return changed;
}

}  // namespace gannet
