#include "libs/base/malloc_tuning.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace gannet::base {
namespace {

// Address space, not memory: what is never touched costs nothing.
constexpr size_t kReserve = size_t{1} << 30;

}  // namespace

void TuneMalloc() {
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  static std::atomic<bool> done{false};
  if (done.exchange(true)) return;
  // Nothing is mapped on its own and nothing is given back: everything comes from the one heap.
  // Other arenas cannot grow past 64 MiB, so there is only the main one.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
  mallopt(M_TOP_PAD, 64 << 20);
  mallopt(M_ARENA_MAX, 1);
  // The heap grows once, and what it has grown by is advised to be huge pages: only then does
  // Linux use them with its default setting.
  void* const reserve = malloc(kReserve);
  if (reserve == nullptr) return;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(reserve) + page - 1) & ~(page - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(reserve) + kReserve) & ~(page - 1);
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  free(reserve);
#endif
}

}  // namespace gannet::base
