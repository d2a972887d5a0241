#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace gannet::domain {

// What a member holds, its range and its meaning are said by its row in run_settings.cc; the values
// here are the defaults.

// The networks (docs/models.md).
struct ModelConfig {
  int image_size = 64;  // one of kModelImageSizes
  int latent_dim = 100;
  int base_width = 64;         // channels of the feature map at half the image's resolution
  std::string kind = "dcgan";  // one of kModelNames

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
  // Of the exponential moving average of the generator's parameters, per update; 0: none is kept.
  double ema_decay = 0;

  bool keeps_average() const { return ema_decay > 0; }

  // Step sizes in force.
  double GeneratorRate() const {
    return learning_rate_generator != 0 ? learning_rate_generator : learning_rate;
  }
  double DiscriminatorRate() const {
    return learning_rate_discriminator != 0 ? learning_rate_discriminator : learning_rate;
  }

  friend bool operator==(const AdamConfig&, const AdamConfig&) = default;
};

// What the networks are trained for.
struct ObjectiveConfig {
  std::string loss = "bce";  // one of kLossNames
  double real_label = 1.0;   // below 1: one-sided label smoothing (Salimans et al. 2016)
  std::string augment = {};  // list of kAugmentNames; empty: none (DiffAugment, Zhao et al. 2020)
  bool flip = false;         // half of the real images are mirrored

  friend bool operator==(const ObjectiveConfig&, const ObjectiveConfig&) = default;
};

// INVALID_ARGUMENT - naming what is wrong.
absl::Status ValidateObjective(const ObjectiveConfig& objective);

// When a round may end without all of its units, and when a straggler gets a speculative copy.
struct RoundPolicy {
  // Gradients without which a round is not published; 0: one of every unit, which alone makes two
  // trainings equal bit for bit.
  int quorum = 0;
  // With a quorum, a round that has it stays open so long for the others, counted from its
  // beginning.
  absl::Duration round_deadline = absl::ZeroDuration();
  // With a quorum, the weight of a gradient that is one round stale, against one that is not stale
  // at all; one that is s rounds stale counts stale_weight^s (see StaleWeight). 0: a stale gradient
  // is refused.
  double stale_weight = 0;
  // When nothing else is left to do, a unit that has been computed for so many times the median
  // (see Store) is given to a second worker, too: whichever is submitted first counts. 0: never.
  double speculation_multiplier = 3;

  friend bool operator==(const RoundPolicy&, const RoundPolicy&) = default;
};

// Where the sequence of images stands: it is at `position` when `round` begins. Only a change of
// units or images during the run moves it (see ChangeConfig).
struct PlanOrigin {
  int64_t round = 1;
  int64_t position = 0;

  friend bool operator==(const PlanOrigin&, const PlanOrigin&) = default;
};

// Identifies the content and order of a data set.
struct DataFingerprint {
  std::string kind;  // as data.kind, but for a packed one: that of what was packed
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
// weights, whoever computes. Every member but plan_origin and data, which nobody sets, has a row in
// run_settings.h.
struct RunConfig {
  std::string name = "default";
  uint64_t seed = 1;
  ModelConfig model;
  AdamConfig adam;
  ObjectiveConfig objective;
  int images_per_unit = 320;
  int units_per_round = 3;
  int micro_batch = 32;
  int64_t round_count = 1000;
  absl::Duration lease = absl::Seconds(300);
  int gradient_codec = 1;  // one of kCodecNumbers
  RoundPolicy policy;
  PlanOrigin plan_origin;
  DataFingerprint data;

  friend bool operator==(const RunConfig&, const RunConfig&) = default;
};

// INVALID_ARGUMENT - naming every setting (see FindMistakes) or other value out of range at once.
absl::Status ValidateRunConfig(const RunConfig& config);

// Returns: INVALID_ARGUMENT - a setting differs that cannot change while a run is under way
// (RunSetting::change), or the data does, naming it.
absl::Status CheckOnlyChangeable(const RunConfig& current, const RunConfig& changed);

// `changed` as it holds from `round` on, when `current` has held until then and `next` would hold
// otherwise (`current`, or a change that `changed` replaces): the sequence of images goes on where
// it is.
// Returns: as CheckOnlyChangeable; INVALID_ARGUMENT - something is out of range, or nothing differs
// from `next`.
absl::StatusOr<RunConfig> ChangeConfig(const RunConfig& current, const RunConfig& next,
                                       RunConfig changed, int64_t round);

// Names the settings in which two configs differ, "run.seed 1 -> 2, …", and what differs of the
// data; empty when they are equal.
std::string DescribeDifference(const RunConfig& a, const RunConfig& b);

}  // namespace gannet::domain
