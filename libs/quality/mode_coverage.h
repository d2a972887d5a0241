#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"

namespace gannet::quality {

// How much of the variety of labelled real images a generator shows. A generated image has the
// label of the real image that it is nearest to. Where labels are bits, a mode is a pair of bits
// with values ("hat, and not smiling"); otherwise it is a class. Modes that fewer than one real
// image in a hundred has do not count, nor do images without a label (kNoLabel).
struct ModeCoverage {
  int64_t real_modes = 0;  // that real images have
  int64_t covered = 0;     // of them, those that generated images have at least a tenth as often
  // The mean, over modes, of how far the shares of generated and of real images are apart.
  double share_error = 0;
  // The same of each label bit: its share among real images, and among generated ones.
  struct Bit {
    std::string name;
    double real_share = 0;
    double generated_share = 0;
  };
  std::vector<Bit> bits;
};

// `real_labels` are those of the real images; `generated_labels` those of the real images that the
// generated ones are nearest to. `bit_names` may be empty (classes).
ModeCoverage MeasureModeCoverage(absl::Span<const int64_t> real_labels,
                                 absl::Span<const int64_t> generated_labels,
                                 const std::vector<std::string>& bit_names);

}  // namespace gannet::quality
