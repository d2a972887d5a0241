#pragma once

#include "absl/status/statusor.h"
#include "libs/base/typed_id.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/run_dump.h"

namespace gannet::exchange {

// Looks into a memory backend.
//
// Thread safety: Dump may be called from any thread.
class MemoryBackendInspector {
 public:
  // What is stored about a run.
  // Returns: NOT_FOUND.
  static absl::StatusOr<RunDump> Dump(MemoryBackend& backend, base::RunId run);
};

}  // namespace gannet::exchange
