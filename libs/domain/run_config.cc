#include "libs/domain/run_config.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/hex.h"
#include "libs/base/setting.h"
#include "libs/domain/run_settings.h"

namespace gannet::domain {
namespace {

// Positions in the endless sequence of images stay below 2^63: 10^9 rounds of 2^12 units of 2^16
// images, whatever was changed during the run.
constexpr int64_t kMaxRoundCount = 1'000'000'000;
constexpr int64_t kMaxPosition = kMaxRoundCount * 4096 * 65'536;
constexpr int64_t kMaxImageCount = int64_t{1} << 31;

std::string ShortDigest(const DataFingerprint& data) { return data.digest.substr(0, 12); }

// Collects "name a -> b".
class Differences {
 public:
  template <typename T>
  void Compare(const std::string& name, const T& a, const T& b) {
    if (a != b) texts_.push_back(absl::StrCat(name, " ", a, " -> ", b));
  }

  std::string ToText() const { return absl::StrJoin(texts_, ", "); }

 private:
  std::vector<std::string> texts_;
};

void CheckInteger(const char* name, int64_t value, int64_t min, int64_t max,
                  std::vector<std::string>& problems) {
  if (value >= min && value <= max) return;
  problems.push_back(absl::StrCat(name, " must be between ", min, " and ", max, ", got ", value));
}

absl::Status OutOfRange(const std::vector<std::string>& problems) {
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("values out of range: ", absl::StrJoin(problems, "; ")));
}

std::vector<std::string> MessagesOf(const std::vector<base::SettingMistake>& mistakes) {
  std::vector<std::string> messages;
  messages.reserve(mistakes.size());
  for (const base::SettingMistake& mistake : mistakes) messages.push_back(mistake.message);
  return messages;
}

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

absl::Status ValidateObjective(const ObjectiveConfig& objective) {
  RunConfig config;
  config.objective = objective;
  return OutOfRange(MessagesOf(FindMistakes(config)));
}

absl::Status ValidateRunConfig(const RunConfig& config) {
  std::vector<std::string> problems = MessagesOf(FindMistakes(config));
  CheckInteger("plan_origin.round", config.plan_origin.round, 1, kMaxRoundCount + 1, problems);
  CheckInteger("plan_origin.position", config.plan_origin.position, 0, kMaxPosition, problems);
  if (config.data.kind.empty()) problems.push_back("data.kind must not be empty");
  CheckInteger("data.image_count", config.data.image_count, 1, kMaxImageCount, problems);
  if (!base::IsHex(config.data.digest, 64)) {
    problems.push_back("data.digest must be 64 lower-case hexadecimal digits");
  }
  return OutOfRange(problems);
}

std::string DescribeDifference(const RunConfig& a, const RunConfig& b) {
  Differences differences;
  for (const RunSetting& row : RunSettings()) {
    if (row.get(a) == row.get(b)) continue;
    differences.Compare(row.name, base::SettingText(row, row.get(a)),
                        base::SettingText(row, row.get(b)));
  }
  // No setting, or not the one of that name: of a packed data set the kind is that of its images.
  differences.Compare("data.kind", a.data.kind, b.data.kind);
  differences.Compare("data.image_count", a.data.image_count, b.data.image_count);
  if (a.data.digest != b.data.digest) {
    differences.Compare("data.digest", ShortDigest(a.data), ShortDigest(b.data));
  }
  return differences.ToText();
}

absl::Status CheckOnlyChangeable(const RunConfig& current, const RunConfig& changed) {
  RunConfig fixed = changed;
  for (const RunSetting& row : RunSettings()) {
    if (row.change != SettingChange::kNever) row.set(fixed, row.get(current));
  }
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
    return absl::InvalidArgumentError(absl::StrCat("run.rounds must be at least ", round,
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

}  // namespace gannet::domain
