#include "libs/checkpoint/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "libs/base/atomic_file.h"
#include "libs/base/check.h"
#include "libs/base/file_bytes.h"
#include "libs/base/hex.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/checkpoint/weights_metadata.h"
#include "libs/domain/model_layout.h"
#include "libs/domain/round_plan.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/tensor/codec.h"
#include "libs/tensor/safetensors.h"

namespace gannet::checkpoint {
namespace {

constexpr char kFormatKey[] = "gannet_checkpoint";
constexpr char kFormatVersion[] = "1";
constexpr char kRoundsKey[] = "rounds";
constexpr char kArchiveKey[] = "run_archive";
constexpr char kSumKey[] = "sha256";
constexpr size_t kSha256Bytes = 32;
constexpr char kHistory[] = "history";
constexpr int64_t kHistoryColumns = 9;
constexpr absl::string_view kNamePrefix = "round_";
constexpr absl::string_view kNameSuffix = ".safetensors";

// Twice the largest network that a run may have, with its moments.
constexpr int64_t kMaxFileBytes = int64_t{8} << 30;

// Integers beyond this are not exact as doubles.
constexpr double kMaxExactInteger = 9007199254740992.0;

absl::Status NotACheckpoint(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("not a checkpoint of a run: ", why));
}

tensor::Tensor HistoryTensor(const std::vector<exchange::RoundSummary>& history) {
  std::vector<double> values;
  for (const exchange::RoundSummary& round : history) {
    values.insert(values.end(),
                  {static_cast<double>(round.round.value()), static_cast<double>(round.epoch),
                   static_cast<double>(round.gradient_count),
                   static_cast<double>(round.image_count), round.discriminator_loss,
                   round.generator_loss, round.real_accuracy, round.fake_accuracy, round.seconds});
  }
  return tensor::Tensor::FromF64(kHistory, {static_cast<int64_t>(history.size()), kHistoryColumns},
                                 values);
}

bool IsCount(double value, double most) {
  return value >= 0 && value <= most && std::floor(value) == value;
}

absl::StatusOr<std::vector<exchange::RoundSummary>> ReadHistory(const tensor::Tensor& tensor) {
  const tensor::TensorSpec& spec = tensor.spec;
  if (spec.dtype != tensor::Dtype::kF64 || spec.shape.size() != 2 ||
      spec.shape[1] != kHistoryColumns) {
    return NotACheckpoint(
        absl::StrCat("history has another form, expected F64[rounds,", kHistoryColumns, "]"));
  }
  std::vector<exchange::RoundSummary> history;
  for (int64_t i = 0; i < spec.shape[0]; ++i) {
    const absl::Span<const double> row = tensor.f64().subspan(
        static_cast<size_t>(i * kHistoryColumns), static_cast<size_t>(kHistoryColumns));
    if (!IsCount(row[0], kMaxExactInteger) || !IsCount(row[1], kMaxExactInteger) ||
        !IsCount(row[2], INT32_MAX) || !IsCount(row[3], INT32_MAX) ||
        !std::all_of(row.begin(), row.end(), [](double value) { return std::isfinite(value); })) {
      return NotACheckpoint(absl::StrCat("row ", i, " of the history has impossible numbers"));
    }
    exchange::RoundSummary round;
    round.round = base::Round(static_cast<int64_t>(row[0]));
    round.epoch = static_cast<int64_t>(row[1]);
    round.gradient_count = static_cast<int>(row[2]);
    round.image_count = static_cast<int>(row[3]);
    round.discriminator_loss = row[4];
    round.generator_loss = row[5];
    round.real_accuracy = row[6];
    round.fake_accuracy = row[7];
    round.seconds = row[8];
    history.push_back(round);
  }
  return history;
}

// Whether a tensor belongs to Adam's state rather than to the weights.
bool IsAdamState(const std::string& name) {
  return name == "step" || absl::EndsWith(name, ".exp_avg") ||
         absl::EndsWith(name, ".exp_avg_sq") || absl::EndsWith(name, domain::kAverageSuffix);
}

using Metadata = std::map<std::string, std::string>;

absl::Status CheckKeys(const Metadata& metadata) {
  for (const char* key : {kFormatKey, kRoundsKey, kRunConfigKey}) {
    if (metadata.contains(key)) continue;
    return NotACheckpoint(absl::StrCat("its metadata has no '", key,
                                       "' (weights alone cannot be trained on: name a file of the "
                                       "folder checkpoints)"));
  }
  return absl::OkStatus();
}

// SHA-256, as hexadecimal digits, over the tensors as they lie in a safetensors file, in its order,
// and over the metadata beside it.
std::string SumOf(absl::string_view file, const Metadata& metadata) {
  uint64_t header_bytes = 0;
  if (file.size() >= sizeof(header_bytes)) {
    std::memcpy(&header_bytes, file.data(), sizeof(header_bytes));  // little-endian, as we are
  }
  base::Sha256Hasher hasher;
  hasher.Update(
      file.substr(static_cast<size_t>(std::min<uint64_t>(file.size(), 8 + header_bytes))));
  for (const auto& [key, value] : metadata) {
    if (key != kSumKey) hasher.Update(absl::StrCat(key, "\n", value, "\n"));
  }
  return base::HexEncode(hasher.Finish());
}

}  // namespace

std::string EncodeCheckpoint(const Checkpoint& checkpoint) {
  tensor::TensorBundle all;
  all.mutable_tensors() = checkpoint.weights.tensors();
  for (const tensor::Tensor& tensor : checkpoint.adam_state.tensors()) all.Add(tensor);
  all.Add(HistoryTensor(checkpoint.history));
  Metadata metadata = {{"format", "pt"},
                       {kFormatKey, kFormatVersion},
                       {kRoundsKey, absl::StrCat(checkpoint.version.value())},
                       {kRunConfigKey, exchange::RunConfigToJson(checkpoint.config)}};
  if (checkpoint.archive.has_value()) {
    metadata[kArchiveKey] = exchange::RunArchiveToJson(*checkpoint.archive);
  }
  // Room for the sum, which is known only then. (Quotes of other values are escaped in the header.)
  metadata[kSumKey] = std::string(2 * kSha256Bytes, '0');
  std::string file = tensor::EncodeSafetensors(all, metadata);
  const std::string room = absl::StrCat("\"", kSumKey, "\":\"", metadata[kSumKey]);
  const size_t at = file.find(room);
  GANNET_CHECK(at != std::string::npos);
  const std::string sum = SumOf(file, metadata);
  file.replace(at + room.size() - sum.size(), sum.size(), sum);
  return file;
}

absl::StatusOr<Checkpoint> DecodeCheckpoint(absl::string_view bytes) {
  GANNET_ASSIGN_OR_RETURN(const Metadata metadata, tensor::ReadSafetensorsMetadata(bytes));
  GANNET_RETURN_IF_ERROR(CheckKeys(metadata));
  const std::string& format = metadata.at(kFormatKey);
  if (format != kFormatVersion) {
    return absl::InvalidArgumentError(
        absl::StrCat("checkpoint of another format, use the version of gannet that wrote it: "
                     "expected ",
                     kFormatVersion, ", got ", format.substr(0, 20)));
  }
  // Files written before checksums were added have none.
  if (const auto sum = metadata.find(kSumKey);
      sum != metadata.end() && sum->second != SumOf(bytes, metadata)) {
    return absl::InvalidArgumentError(
        "damaged: its contents do not match their checksum, take another copy");
  }
  Checkpoint checkpoint;
  GANNET_ASSIGN_OR_RETURN(checkpoint.config,
                          exchange::RunConfigFromJson(metadata.at(kRunConfigKey)));
  const std::string& rounds = metadata.at(kRoundsKey);
  int64_t version = 0;
  if (!absl::SimpleAtoi(rounds, &version) || version < 0 ||
      version > checkpoint.config.round_count) {
    return NotACheckpoint(absl::StrCat("rounds must be 0 to ", checkpoint.config.round_count,
                                       ", got ", rounds.substr(0, 30)));
  }
  checkpoint.version = base::WeightsVersion(version);

  if (const auto archive = metadata.find(kArchiveKey); archive != metadata.end()) {
    GANNET_ASSIGN_OR_RETURN(checkpoint.archive, exchange::RunArchiveFromJson(archive->second));
  }
  GANNET_ASSIGN_OR_RETURN(tensor::TensorBundle all, tensor::DecodeSafetensors(bytes));
  const tensor::Tensor* history = all.Find(kHistory);
  if (history == nullptr) return NotACheckpoint("it has no tensor 'history'");
  GANNET_ASSIGN_OR_RETURN(checkpoint.history, ReadHistory(*history));
  for (tensor::Tensor& tensor : all.mutable_tensors()) {
    if (tensor.spec.name == kHistory) continue;
    (IsAdamState(tensor.spec.name) ? checkpoint.adam_state : checkpoint.weights)
        .mutable_tensors()
        .push_back(std::move(tensor));
  }
  const domain::RunConfig& run = checkpoint.config;
  GANNET_RETURN_IF_ERROR(checkpoint.weights.CheckSpec(domain::WeightsSpec(run.model)));
  GANNET_RETURN_IF_ERROR(
      checkpoint.adam_state.CheckSpec(domain::AdamStateSpec(run.model, run.adam)));
  GANNET_RETURN_IF_ERROR(checkpoint.weights.CheckFinite());
  GANNET_RETURN_IF_ERROR(checkpoint.adam_state.CheckFinite());
  return checkpoint;
}

absl::Status WriteCheckpointFile(const std::string& path, const Checkpoint& checkpoint) {
  const std::string bytes = EncodeCheckpoint(checkpoint);
  // Settings and an archive's workers and changes are in the header.
  if (const absl::Status fits = tensor::CheckSafetensorsHeaderSize(bytes); !fits.ok()) {
    return absl::Status(fits.code(), absl::StrCat(fits.message(), ": ", path));
  }
  return base::WriteFileAtomically(path, bytes, base::Durability::kSynced);
}

absl::StatusOr<Checkpoint> ReadCheckpointFile(const std::string& path) {
  const auto named = [&](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(status.message(), ": ", path));
  };
  const absl::StatusOr<std::string> bytes = base::ReadFileBytes(path, kMaxFileBytes);
  if (!bytes.ok()) return named(bytes.status());
  absl::StatusOr<Checkpoint> checkpoint = DecodeCheckpoint(*bytes);
  if (!checkpoint.ok()) return named(checkpoint.status());
  return checkpoint;
}

absl::StatusOr<Checkpoint> CheckpointFromSnapshot(const domain::RunConfig& config,
                                                  const exchange::Store::Snapshot& snapshot,
                                                  std::vector<exchange::RoundSummary> history) {
  Checkpoint checkpoint;
  checkpoint.config = config;
  checkpoint.version = snapshot.version;
  checkpoint.history = std::move(history);
  GANNET_ASSIGN_OR_RETURN(checkpoint.weights,
                          DecodeBundle(*snapshot.weights.bytes, snapshot.weights.codec));
  GANNET_ASSIGN_OR_RETURN(checkpoint.adam_state,
                          DecodeBundle(*snapshot.adam_state.bytes, snapshot.adam_state.codec));
  return checkpoint;
}

absl::StatusOr<exchange::NewRun> RunFromCheckpoint(const Checkpoint& checkpoint,
                                                   const domain::RunConfig& config) {
  if (checkpoint.version.value() >= config.round_count) {
    return absl::InvalidArgumentError(
        absl::StrCat("the checkpoint has ", checkpoint.version.value(),
                     " updates behind it, ask for more than that: got ", config.round_count));
  }
  absl::Status fits = checkpoint.weights.CheckSpec(domain::WeightsSpec(config.model));
  if (fits.ok())
    fits = checkpoint.adam_state.CheckSpec(domain::AdamStateSpec(config.model, config.adam));
  if (checkpoint.config.model != config.model) {
    domain::RunConfig other = checkpoint.config;
    other.model = config.model;
    return absl::InvalidArgumentError(
        absl::StrCat("the checkpoint is of another architecture (",
                     domain::DescribeDifference(checkpoint.config, other), ")",
                     fits.ok() ? "" : ": ", fits.ok() ? "" : fits.message()));
  }
  if (!fits.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the checkpoint is of another architecture: ", fits.message()));
  }
  exchange::NewRun run;
  run.config = config;
  run.version = checkpoint.version;
  run.history = checkpoint.history;
  GANNET_ASSIGN_OR_RETURN(run.weights,
                          exchange::Payload::FromBundle(checkpoint.weights, tensor::Codec::kFp32));
  GANNET_ASSIGN_OR_RETURN(
      run.adam_state, exchange::Payload::FromBundle(checkpoint.adam_state, tensor::Codec::kFp32));
  run.units = domain::RoundPlanner(config).Plan(base::Round(checkpoint.version.value() + 1));
  return run;
}

absl::StatusOr<exchange::NewRun> RunFromArchive(const Checkpoint& checkpoint,
                                                const std::string& name, int64_t round_count) {
  const auto renamed = [&](domain::RunConfig config) {
    if (!name.empty()) config.name = name;
    if (round_count > 0) config.round_count = round_count;
    return config;
  };
  GANNET_ASSIGN_OR_RETURN(exchange::NewRun run,
                          RunFromCheckpoint(checkpoint, renamed(checkpoint.config)));
  if (!checkpoint.archive.has_value()) return run;
  run.config = renamed(checkpoint.archive->created_config);
  run.changes = checkpoint.archive->changes;
  for (exchange::SettingsChange& change : run.changes) change.config = renamed(change.config);
  run.workers = checkpoint.archive->workers;
  run.pause_reason = checkpoint.archive->pause_reason;
  return run;
}

std::string CheckpointPath(const std::string& folder, base::WeightsVersion version) {
  return absl::StrFormat("%s/%s%06d%s", folder, kNamePrefix, version.value(), kNameSuffix);
}

std::vector<std::string> ListCheckpoints(const std::string& folder) {
  std::map<int64_t, std::string> found;
  std::error_code error;
  std::filesystem::directory_iterator it(folder, error);
  for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    absl::string_view number = name;
    int64_t round = 0;
    if (absl::ConsumePrefix(&number, kNamePrefix) && absl::ConsumeSuffix(&number, kNameSuffix) &&
        absl::SimpleAtoi(number, &round)) {
      found[round] = it->path().string();
    }
  }
  std::vector<std::string> paths;
  paths.reserve(found.size());
  for (auto& [round, path] : found) paths.push_back(std::move(path));
  return paths;
}

}  // namespace gannet::checkpoint
