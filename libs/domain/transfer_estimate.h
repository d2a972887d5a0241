#pragma once

#include <cstdint>
#include <string>

#include "libs/domain/run_config.h"
#include "libs/tensor/codec.h"

namespace gannet::domain {

// What one work unit costs a worker, estimated from the settings alone.
struct UnitCost {
  int64_t weights_bytes = 0;   // received, once a round
  int64_t gradient_bytes = 0;  // sent
  double transfer_seconds = 0;
  double images_per_second = 0;
  double compute_seconds = 0;
};

// The assumptions: a worker whose line carries kAssumedMegabits each way (a busy Wi-Fi, an uplink
// at home) and a laptop that computes kAssumedImagesPerSecond of the default network's images of
// 64x64 pixels, and others in proportion to their work, never more than kAssumedMostImages.
inline constexpr double kAssumedMegabits = 20;
inline constexpr double kAssumedImagesPerSecond = 50;
inline constexpr double kAssumedMostImages = 1000;

UnitCost EstimateUnitCost(const ModelConfig& model, int images_per_unit, tensor::Codec codec);

// What to tell whoever begins such a training: that under the assumptions a unit takes longer to
// transfer than to compute, with the numbers and what to do. Empty when it does not.
std::string WarnOfTransfer(const ModelConfig& model, int images_per_unit, tensor::Codec codec);

}  // namespace gannet::domain
