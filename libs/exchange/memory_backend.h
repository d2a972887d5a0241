#pragma once

#include <memory>

#include "libs/base/clock.h"
#include "libs/base/typed_id.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"

namespace gannet::memory {
class MemoryExchange;
class MemoryStore;
struct State;
}  // namespace gannet::memory

namespace gannet::exchange {

// Exchange and Store in process, over one state: what PostgreSQL is to a class, this is to
// `train-local` and tests. Every decision is libs/domain's; nothing survives the
// process. Payloads are shared, never copied.
//
// Leases, leadership and presence are judged by the clock's Now(); waits (Claim, AwaitChange) take
// real time, so that a clock that stands still does not stop them.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the clock must outlive the backend; store() and exchange() live as long
// as the backend, which must outlive every call in progress.
class MemoryBackend {
 public:
  // Bytes of gradients and weights are reclaimed for those `blob_ring` rounds later. Memory is
  // dearer than disk: whoever needs none but the last may ask for three, the fewest with which a
  // round can be prepared while the one before is computed.
  explicit MemoryBackend(base::Clock& clock, int blob_ring = kBlobRing);
  ~MemoryBackend();
  MemoryBackend(const MemoryBackend&) = delete;
  MemoryBackend& operator=(const MemoryBackend&) = delete;

  Store& store();
  Exchange& exchange();

 private:
  friend class MemoryBackendInspector;  // of the tests

  std::unique_ptr<memory::State> state_;
  std::unique_ptr<memory::MemoryStore> store_;
  std::unique_ptr<memory::MemoryExchange> exchange_;
};

}  // namespace gannet::exchange
