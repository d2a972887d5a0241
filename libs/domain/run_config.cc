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
constexpr absl::Duration kMinLease = absl::Milliseconds(100);
constexpr absl::Duration kMaxLease = absl::Hours(24);

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

absl::Status ValidateRunConfig(const RunConfig& config) {
  Problems problems;
  if (!IsName(config.name)) {
    problems.Add(absl::StrCat("name must have 1 to ", kMaxNameBytes,
                              " letters, digits, dots, dashes or underscores"));
  }
  if (config.model.image_size != 32 && config.model.image_size != 64) {
    problems.Add(absl::StrCat("image_size must be 32 or 64, got ", config.model.image_size));
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
  problems.CheckNumber("real_label", config.real_label,
                       config.real_label > 0 && config.real_label <= 1, "above 0 and at most 1");
  problems.CheckInteger("images_per_unit", config.images_per_unit, 1, kMaxImagesPerUnit);
  problems.CheckInteger("units_per_round", config.units_per_round, 1, kMaxUnitsPerRound);
  problems.CheckInteger("micro_batch", config.micro_batch, 1, kMaxMicroBatch);
  problems.CheckInteger("round_count", config.round_count, 1, kMaxRoundCount);
  if (config.lease < kMinLease || config.lease > kMaxLease) {
    problems.Add(absl::StrCat("lease must be between ", absl::FormatDuration(kMinLease), " and ",
                              absl::FormatDuration(kMaxLease), ", got ",
                              absl::FormatDuration(config.lease)));
  }
  problems.CheckInteger("gradient_codec", config.gradient_codec, 1, 2);
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
  differences.Compare("real_label", a.real_label, b.real_label);
  differences.Compare("images_per_unit", a.images_per_unit, b.images_per_unit);
  differences.Compare("units_per_round", a.units_per_round, b.units_per_round);
  differences.Compare("micro_batch", a.micro_batch, b.micro_batch);
  differences.Compare("round_count", a.round_count, b.round_count);
  differences.Compare("lease", absl::FormatDuration(a.lease), absl::FormatDuration(b.lease));
  differences.Compare("gradient_codec", a.gradient_codec, b.gradient_codec);
  differences.Compare("data.kind", a.data.kind, b.data.kind);
  differences.Compare("data.image_count", a.data.image_count, b.data.image_count);
  if (a.data.digest != b.data.digest) {
    differences.Compare("data.digest", ShortDigest(a.data), ShortDigest(b.data));
  }
  return differences.ToText();
}

}  // namespace gannet
