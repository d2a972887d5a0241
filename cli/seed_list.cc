#include "cli/seed_list.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/printable.h"

namespace gannet::cli {
namespace {

constexpr size_t kMaxSeeds = 4096;
constexpr uint64_t kMaxSeed = INT64_MAX;

bool ParseSeed(absl::string_view text, uint64_t& seed) {
  if (text.empty() || text.find_first_not_of("0123456789") != absl::string_view::npos) return false;
  return absl::SimpleAtoi(text, &seed) && seed <= kMaxSeed;
}

}  // namespace

absl::StatusOr<std::vector<uint64_t>> ParseSeedList(const std::string& text) {
  std::vector<uint64_t> seeds;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> ends = absl::StrSplit(part, absl::MaxSplits('-', 1));
    uint64_t first = 0, last = 0;
    const bool good = ParseSeed(ends.front(), first) && ParseSeed(ends.back(), last);
    if (!good || last < first) {
      return absl::InvalidArgumentError(
          absl::StrCat("not a list of seeds: '", base::Printable(text), "'"));
    }
    if (last - first >= kMaxSeeds - seeds.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("more than ", kMaxSeeds, " seeds: '", base::Printable(text), "'"));
    }
    for (uint64_t seed = first; seed <= last; ++seed) seeds.push_back(seed);
  }
  return seeds;
}

}  // namespace gannet::cli
