#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace gannet {

// The networks: a DCGAN (Radford et al. 2015) of 32x32 or 64x64 images.
struct ModelConfig {
  int image_size = 64;  // 32 or 64
  int latent_dim = 100;
  int base_width = 64;  // channels of the feature map at half the image's resolution

  friend bool operator==(const ModelConfig&, const ModelConfig&) = default;
};

// Adam (Kingma and Ba 2014): one configuration for both networks, but for the step size, which may
// differ (the two time-scale rule, Heusel et al. 2017).
struct AdamConfig {
  double learning_rate = 2e-4;
  double beta1 = 0.5;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double learning_rate_generator = 0;      // 0: learning_rate
  double learning_rate_discriminator = 0;  // 0: learning_rate

  // Step sizes in force.
  double GeneratorRate() const {
    return learning_rate_generator != 0 ? learning_rate_generator : learning_rate;
  }
  double DiscriminatorRate() const {
    return learning_rate_discriminator != 0 ? learning_rate_discriminator : learning_rate;
  }

  friend bool operator==(const AdamConfig&, const AdamConfig&) = default;
};

// Identifies the content and order of a data set.
struct DataFingerprint {
  std::string kind;  // "procedural", "folder", "zip", "idx"
  int64_t image_count = 0;
  std::string digest;       // 64 hexadecimal digits
  std::string description;  // for people; not compared

  friend bool operator==(const DataFingerprint& a, const DataFingerprint& b) {
    return a.kind == b.kind && a.image_count == b.image_count && a.digest == b.digest;
  }
};

// Says in one sentence how `got` differs from `expected`; empty when they are equal.
std::string DescribeDifference(const DataFingerprint& expected, const DataFingerprint& got);

// Everything that decides the course of a training. Two runs with equal configs end with equal
// weights, whoever computes.
struct RunConfig {
  std::string name = "default";
  uint64_t seed = 1;
  ModelConfig model;
  AdamConfig adam;
  double real_label = 1.0;  // below 1: one-sided label smoothing (Salimans et al. 2016)
  int images_per_unit = 320;
  int units_per_round = 3;
  int micro_batch = 32;
  int64_t round_count = 1000;
  absl::Duration lease = absl::Seconds(300);
  int gradient_codec = 1;  // gannet.v1.Codec
  DataFingerprint data;

  friend bool operator==(const RunConfig&, const RunConfig&) = default;
};

// INVALID_ARGUMENT - naming every value out of range at once.
absl::Status ValidateRunConfig(const RunConfig& config);

// Names the keys in which two configs differ, "seed 1 -> 2, …"; empty when they are equal.
std::string DescribeDifference(const RunConfig& a, const RunConfig& b);

}  // namespace gannet
