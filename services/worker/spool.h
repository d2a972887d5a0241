#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/exchange/exchange.h"

namespace gannet::worker {

// A finished gradient in a file until the run has answered, so that not even a killed worker
// wastes its work: its next start submits it. One at a time, as the uploader has it.
//
// Nothing here may stop a worker: a gradient that cannot be kept, or is found damaged, is computed
// again by somebody.
//
// Thread safety: none.
class Spool {
 public:
  // An empty path keeps nothing.
  explicit Spool(std::string path) : path_(std::move(path)) {}

  // Keeps everything but who the worker is.
  // Returns: UNAVAILABLE - with the system's reason.
  absl::Status Write(const exchange::SubmitRequest& request) const;

  // What was written and not removed; nothing when there is none.
  // Returns: DATA_LOSS - it is damaged.
  absl::StatusOr<std::optional<exchange::SubmitRequest>> Load() const;

  void Remove() const;

 private:
  const std::string path_;
};

}  // namespace gannet::worker
