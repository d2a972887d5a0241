#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/domain/run_config.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet {

// Weights and the networks they belong to.
struct WeightsFile {
  ModelConfig model;
  TensorBundle weights;  // layout WeightsSpec(model)
};

// Reads weights.safetensors as a coordinator writes it; the model follows from the shapes. A
// checkpoint gives the weights in it, with the generator's average where it has one; of a
// generator.safetensors the discriminator is missing and has initial weights.
// Returns: NOT_FOUND - no such file; INVALID_ARGUMENT - not such a file, saying what was expected.
absl::StatusOr<WeightsFile> ReadWeightsFile(const std::string& path);

// The model that weights of these shapes belong to.
// Returns: INVALID_ARGUMENT - none.
absl::StatusOr<ModelConfig> ModelOf(const TensorBundle& weights);

}  // namespace gannet
