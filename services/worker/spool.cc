#include "services/worker/spool.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "libs/base/atomic_file.h"
#include "libs/base/file_bytes.h"
#include "libs/base/hex.h"
#include "libs/exchange/validation.h"
#include "nlohmann/json.hpp"

namespace gannet::worker {
namespace {

// A line of JSON, then the payload.
constexpr absl::string_view kMagic = "GANNETSPOOL 1\n";

absl::Status Damaged(absl::string_view why) {
  return absl::DataLossError(absl::StrCat("the spooled gradient is damaged: ", why));
}

nlohmann::json ToJson(const exchange::SubmitRequest& request) {
  const exchange::GradientStats& stats = request.stats;
  return {{"run", request.run.value()},
          {"unit", request.unit.value()},
          {"attempt", request.attempt.value()},
          {"image_count", stats.image_count},
          {"micro_batch_count", stats.micro_batch_count},
          {"discriminator_loss", stats.discriminator_loss},
          {"generator_loss", stats.generator_loss},
          {"real_accuracy", stats.real_accuracy},
          {"fake_accuracy", stats.fake_accuracy},
          {"compute_seconds", stats.compute_seconds},
          {"codec", static_cast<int>(request.payload.codec)},
          {"sha256", base::HexEncode(request.payload.sha256)}};
}

}  // namespace

absl::Status Spool::Write(const exchange::SubmitRequest& request) const {
  if (path_.empty()) return absl::OkStatus();
  return base::WriteFileAtomically(
      path_, absl::StrCat(kMagic, ToJson(request).dump(), "\n", *request.payload.bytes));
}

absl::StatusOr<std::optional<exchange::SubmitRequest>> Spool::Load() const {
  if (path_.empty()) return std::optional<exchange::SubmitRequest>();
  absl::StatusOr<std::string> bytes =
      base::ReadFileBytes(path_, exchange::kMaxPayloadBytes + (1 << 20));
  if (absl::IsNotFound(bytes.status())) return std::optional<exchange::SubmitRequest>();
  if (!bytes.ok()) return Damaged(bytes.status().message());
  const size_t end = bytes->find('\n', kMagic.size());
  if (!absl::StartsWith(*bytes, kMagic) || end == std::string::npos) return Damaged("no header");
  const nlohmann::json json =
      nlohmann::json::parse(bytes->begin() + static_cast<std::ptrdiff_t>(kMagic.size()),
                            bytes->begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
  exchange::SubmitRequest request;
  std::string digest;
  try {
    request.run = base::RunId(json.at("run").get<int64_t>());
    request.unit = base::UnitId(json.at("unit").get<int64_t>());
    request.attempt = base::Attempt(json.at("attempt").get<int32_t>());
    request.stats.image_count = json.at("image_count").get<int>();
    request.stats.micro_batch_count = json.at("micro_batch_count").get<int>();
    request.stats.discriminator_loss = json.at("discriminator_loss").get<double>();
    request.stats.generator_loss = json.at("generator_loss").get<double>();
    request.stats.real_accuracy = json.at("real_accuracy").get<double>();
    request.stats.fake_accuracy = json.at("fake_accuracy").get<double>();
    request.stats.compute_seconds = json.at("compute_seconds").get<double>();
    request.payload.codec = static_cast<tensor::Codec>(json.at("codec").get<int>());
    digest = json.at("sha256").get<std::string>();
  } catch (const nlohmann::json::exception&) {
    return Damaged("its header is not complete");
  }
  request.payload = exchange::Payload::FromBytes(request.payload.codec, bytes->substr(end + 1));
  if (base::HexEncode(request.payload.sha256) != digest) return Damaged("its checksum differs");
  return std::optional<exchange::SubmitRequest>(std::move(request));
}

void Spool::Remove() const {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace gannet::worker
