#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/config.h"
#include "libs/domain/run_config.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::cli {

// Weights and the networks they belong to.
struct WeightsFile {
  domain::ModelConfig model;
  tensor::TensorBundle weights;  // layout WeightsSpec(model)
};

// Reads weights.safetensors as a coordinator writes it. The model is what its metadata names, or,
// in files of other programs, what follows from the shapes. A checkpoint gives the weights in it,
// with the generator's average where it has one; of a generator.safetensors the discriminator is
// missing and has initial weights. Types and names may be those of other programs, too
// (foreign_file.h). Returns: NOT_FOUND - no such file; INVALID_ARGUMENT - not such a
// file, saying what was expected.
absl::StatusOr<WeightsFile> ReadWeightsFile(const std::string& path);

// The model that weights of these shapes belong to: `named` if they can be its, or else the first
// kind, size and width that has such shapes.
// Returns: INVALID_ARGUMENT - none.
absl::StatusOr<domain::ModelConfig> ModelOf(
    const tensor::TensorBundle& weights,
    const std::optional<domain::ModelConfig>& named = std::nullopt);

// Weights say of what networks they are: a flag --model.KEY that says otherwise would be ignored.
// Returns: INVALID_ARGUMENT - there is one.
absl::Status CheckModelFlags(const config::CommandLine& command_line, const config::Config& config,
                             const domain::ModelConfig& model);

}  // namespace gannet::cli
