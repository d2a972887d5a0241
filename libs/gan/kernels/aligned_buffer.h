#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

// Uninitialised memory for products, from the beginning of a cache line on: no vector that is read
// or written there lies across two, and threads that write next to each other do not share one.
// Throws std::bad_alloc.

namespace gannet::gan {

inline constexpr std::align_val_t kCacheLine{64};

struct RoomDeleter {
  void operator()(void* memory) const { ::operator delete(memory, kCacheLine); }
};

template <typename T>
using AlignedBuffer = std::unique_ptr<T[], RoomDeleter>;

// Of float or double.
template <typename T>
AlignedBuffer<T> AllocateAligned(int64_t count) {
  return AlignedBuffer<T>(
      static_cast<T*>(::operator new(static_cast<size_t>(count) * sizeof(T), kCacheLine)));
}

}  // namespace gannet::gan
