#pragma once

#include <memory>

#include "libs/base/testing/fake_clock.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/testing/backend_fixture.h"
#include "libs/exchange/testing/memory_inspector.h"

namespace gannet::exchange {

// The in-memory backend under a clock moved by hand: the reference that others are compared with.
class MemoryFixture final : public BackendFixture {
 public:
  Store& store() override { return backend_.store(); }
  Exchange& exchange() override { return backend_.exchange(); }
  void AdvanceTime(absl::Duration by) override { clock_.Advance(by); }
  RunDump Dump(base::RunId run) override;

 private:
  base::FakeClock clock_;
  MemoryBackend backend_{clock_};
};

std::unique_ptr<BackendFixture> MakeMemoryFixture();

}  // namespace gannet::exchange
