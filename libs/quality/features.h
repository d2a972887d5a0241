#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace gannet::quality {

// Features of images, a row of `dimensions` numbers each, in which sets of images are compared
// (set_distance.h).
struct Features {
  int64_t count = 0;
  int64_t dimensions = 0;
  std::vector<float> values;  // count x dimensions
};

// Turns images into features. Images are planar, 3 x image_size x image_size floats in [-1, 1]
// each, one after the other.
//
// Thread safety: none.
class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;

  // Returns: INVALID_ARGUMENT - not whole images, or no image; INTERNAL - the network failed, or
  // gave something else than a row of finite numbers per image.
  virtual absl::StatusOr<Features> Extract(absl::Span<const float> images, int image_size) = 0;
};

// A small network whose weights are fixed random numbers, so that everybody has the same one
// without a download: images are brought to 32 pixels (means of squares, or repeated pixels), then
// three times convolution 4x4 of stride 2 (3 to 32, 64, 128 channels, weights N(0, 2 / inputs) from
// the Philox stream (1, kFeatureWeights, layer, 0), He et al. 2015) and LeakyReLU 0.2, then each
// channel's mean over the upper and over the lower half: 256 numbers. Random features see layout,
// colours and texture, but no meaning: distances in them order trainings of one data set, and are
// not to be compared with an FID of Inception's features.
std::unique_ptr<FeatureNetwork> MakeRandomFeatureNetwork();

// A network of one's own, such as Inception for FID, as TorchScript: called with a float tensor
// (n, 3, image_size, image_size) in [-1, 1], it returns a float tensor (n, dimensions).
// Returns: NOT_FOUND - no such file; INVALID_ARGUMENT - not a TorchScript file.
absl::StatusOr<std::unique_ptr<FeatureNetwork>> LoadTorchScriptNetwork(const std::string& path);

}  // namespace gannet::quality
