#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "libs/base/mutex.h"
#include "libs/data/dataset.h"

namespace gannet::worker {

// Reads the first images of the next unit while this one is computed, so that the computation does
// not begin with a wait for them. (The others are read while the first micro-batch is computed.)
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the data set outlives it. The destructor waits for the reading.
class ReadAhead {
 public:
  explicit ReadAhead(const data::Dataset& dataset) : dataset_(dataset) {}

  // Reads these images from a thread of its own, in order, as `image_bytes` bytes each. What was
  // read before is forgotten.
  void Begin(std::vector<int64_t> indices, size_t image_bytes);

  // Image `index` as 8-bit RGB, planar: what has been read ahead, if it has been, after waiting for
  // it if need be; otherwise it is read now.
  // Returns: as Dataset::ReadRgb.
  absl::Status Read(int64_t index, absl::Span<uint8_t> out) const;

 private:
  struct Batch {
    std::vector<int64_t> indices;  // in order of their numbers
    // By place in `indices`; empty: could not be read, and is tried again.
    std::shared_future<std::vector<std::vector<uint8_t>>> images;
  };

  const data::Dataset& dataset_;
  mutable base::Mutex mu_;
  std::shared_ptr<const Batch> batch_ ABSL_GUARDED_BY(mu_);  // null before the first
};

}  // namespace gannet::worker
