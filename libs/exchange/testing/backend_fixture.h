#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"
#include "libs/exchange/testing/run_dump.h"
#include "libs/exchange/testing/state_dump.h"

namespace gannet::exchange {

// An empty backend of its own whose time stands still until a test moves it: what the contract
// suite and the random-operations comparison run against. A gateway in front of a backend is a
// fixture, too: its exchange() is the gateway's client, its store() the store behind it.
//
// Thread safety: store() and exchange() as those interfaces; the rest from one thread.
class BackendFixture {
 public:
  virtual ~BackendFixture() = default;

  virtual Store& store() = 0;
  virtual Exchange& exchange() = 0;

  // Moves the time by which leases, leadership and presence are judged. Tests move it by whole
  // milliseconds. Waits (Claim, AwaitChange) are not shortened: they take real time.
  virtual void AdvanceTime(absl::Duration by) = 0;

  // What is stored about a run. Fails the test when it cannot be read.
  virtual RunDump Dump(base::RunId run) = 0;
  std::string DumpState(base::RunId run) { return FormatRunDump(Dump(run)); }

  // Whether something on the way to the exchange decodes gradients and refuses what does not fit
  // the run's model (a gateway does, the backends do not).
  virtual bool DecodesGradients() const { return false; }
};

using BackendFixtureFactory = std::function<std::unique_ptr<BackendFixture>()>;

}  // namespace gannet::exchange
