#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/typed_id.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/store.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::checkpoint {

// A run between two rounds, from which it goes on bit for bit. As a file it is a safetensors file
// that any reader of that format opens:
//
//   generator.…, discriminator.…   parameters and BatchNorm buffers, named as PyTorch's state_dict
//   ….exp_avg, ….exp_avg_sq, step  Adam's state of both networks
//   ….ema                          the generator's average, where one is kept
//   history                        F64, a row per round behind it: round, epoch, gradients, images,
//                                  both losses, both accuracies, seconds
//
// and in its metadata "gannet_checkpoint" (the version of this format), "rounds", "run_config" (the
// JSON of gannet.v1.RunConfig), "sha256" (over the bytes of all tensors and the other metadata, so
// that a damaged file is not taken for a state) and "format": "pt". The file of `gannet export` has
// "run_archive", too (the JSON of gannet.v1.RunArchive): settings that were changed, and who has
// contributed.
struct Checkpoint {
  domain::RunConfig config;         // as it holds for the next round
  base::WeightsVersion version{0};  // rounds behind it
  tensor::TensorBundle weights;     // layout WeightsSpec
  tensor::TensorBundle adam_state;  // layout AdamStateSpec
  std::vector<exchange::RoundSummary> history;
  std::optional<exchange::RunArchive> archive;
};

std::string EncodeCheckpoint(const Checkpoint& checkpoint);

// Returns: INVALID_ARGUMENT - not a checkpoint, cut short, damaged, or its tensors are not those of
// its own config, naming the first that differ. Never reads beyond `bytes`, whatever they are.
absl::StatusOr<Checkpoint> DecodeCheckpoint(absl::string_view bytes);

// Writes the file whole or not at all, and to the disk.
// Returns: UNAVAILABLE - with the system's reason; RESOURCE_EXHAUSTED - as EncodeSafetensorsFile.
// Then the file that was there before stays.
absl::Status WriteCheckpointFile(const std::string& path, const Checkpoint& checkpoint);

// Returns: NOT_FOUND - no such file; DATA_LOSS - it cannot be read; INVALID_ARGUMENT - as
// DecodeCheckpoint. All name the file.
absl::StatusOr<Checkpoint> ReadCheckpointFile(const std::string& path);

// What was published last, decoded.
// Returns: INVALID_ARGUMENT - the snapshot's bytes are damaged.
absl::StatusOr<Checkpoint> CheckpointFromSnapshot(const domain::RunConfig& config,
                                                  const exchange::Store::Snapshot& snapshot,
                                                  std::vector<exchange::RoundSummary> history);

// The run that goes on from the checkpoint, with these settings in place of its own.
// Returns: INVALID_ARGUMENT - the tensors are not those of `config`, naming the first that differ,
// or no round is left to do.
absl::StatusOr<exchange::NewRun> RunFromCheckpoint(const Checkpoint& checkpoint,
                                                   const domain::RunConfig& config);

// The run of an archive as it was, under another name if that is not empty, and with another number
// of rounds if that is not zero. Without an archive: as RunFromCheckpoint.
// Returns: as RunFromCheckpoint.
absl::StatusOr<exchange::NewRun> RunFromArchive(const Checkpoint& checkpoint,
                                                const std::string& name, int64_t round_count);

// FOLDER/round_000123.safetensors.
std::string CheckpointPath(const std::string& folder, base::WeightsVersion version);

// The checkpoint files in a folder, oldest round first; empty when there is no such folder.
std::vector<std::string> ListCheckpoints(const std::string& folder);

}  // namespace gannet::checkpoint
