#include "libs/exchange/memory_backend.h"

#include "libs/exchange/memory/memory_exchange.h"
#include "libs/exchange/memory/memory_state.h"
#include "libs/exchange/memory/memory_store.h"

namespace gannet::exchange {

MemoryBackend::MemoryBackend(base::Clock& clock, int blob_ring)
    : state_(std::make_unique<memory::State>(clock, blob_ring)),
      store_(std::make_unique<memory::MemoryStore>(*state_)),
      exchange_(std::make_unique<memory::MemoryExchange>(*state_)) {}

MemoryBackend::~MemoryBackend() = default;

Store& MemoryBackend::store() { return *store_; }
Exchange& MemoryBackend::exchange() { return *exchange_; }

}  // namespace gannet::exchange
