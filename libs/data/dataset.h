#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace gannet {

// How a data set is found and read.
struct DatasetOptions {
  std::string kind = "procedural";  // "procedural", "folder", "zip", "idx"
  std::string path;                 // folder, zip or idx file; unused for "procedural"
  int image_size =
      64;  // output side in pixels: the shorter side is scaled to it, then the centre is cut out
  uint64_t seed = 1;       // "procedural" only
  int64_t count = 10'000;  // "procedural" only
};

// What Join compares; kind and digest as in domain's DataFingerprint.
struct DatasetFingerprint {
  std::string kind;
  int64_t image_count = 0;
  std::string digest;       // 64 hexadecimal digits
  std::string description;  // one line for people
};

// An ordered set of RGB images. Image index = bytewise order of relative paths (folder, zip),
// position in the file (idx), or the counter (procedural).
//
// Thread safety: const methods may be called from any thread.
class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual int64_t size() const = 0;
  virtual const DatasetFingerprint& fingerprint() const = 0;

  // Name for people, such as the relative path.
  virtual std::string NameOf(int64_t index) const = 0;

  // Writes image `index` as 8-bit RGB, planar (3 x image_size x image_size).
  // Returns: OUT_OF_RANGE - no such index; DATA_LOSS - the file cannot be read or decoded, naming
  // it.
  virtual absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const = 0;

  // Class or attribute bits of the image; 0 where there are none.
  virtual int64_t LabelOf(int64_t /*index*/) const { return 0; }
};

// Opens a data set.
// Returns: INVALID_ARGUMENT - an option is wrong; NOT_FOUND - the path does not exist;
// FAILED_PRECONDITION - nothing readable in it, or a file of another format, saying what was
// expected.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options);

// Pixel values to the network's [-1, 1]: v / 127.5 - 1, exactly that expression in float.
void RgbToFloat(absl::Span<const uint8_t> rgb, absl::Span<float> out);

}  // namespace gannet
