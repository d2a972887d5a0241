#include "libs/exchange/testing/memory_fixture.h"

#include "gtest/gtest.h"

namespace gannet::exchange {

RunDump MemoryFixture::Dump(base::RunId run) {
  absl::StatusOr<RunDump> dump = MemoryBackendInspector::Dump(backend_, run);
  if (!dump.ok()) {
    ADD_FAILURE() << dump.status();
    return RunDump();
  }
  return *std::move(dump);
}

std::unique_ptr<BackendFixture> MakeMemoryFixture() { return std::make_unique<MemoryFixture>(); }

}  // namespace gannet::exchange
