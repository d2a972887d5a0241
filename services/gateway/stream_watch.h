#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"

namespace gannet::gateway {

// How slow a stream of bytes may be. A home uplink of 0.5 Mbit/s carries about 55,000 bytes a
// second, 27,000 each when two gradients are sent at a time: well above what is asked for here.
struct StreamLimits {
  // Without a byte for so long it stands still.
  absl::Duration stall_limit = absl::Minutes(1);
  // After the grace, so many bytes a second on average over the time since then.
  absl::Duration grace = absl::Seconds(30);
  int64_t least_bytes_per_second = 16 << 10;
  // However fast.
  absl::Duration time_limit = absl::Minutes(30);
};

// Whether a stream that has taken `elapsed` for `bytes`, the last of them `since_moved` ago, may go
// on. Returns: DEADLINE_EXCEEDED - it may not; the message says why.
absl::Status CheckPace(const StreamLimits& limits, absl::Duration elapsed,
                       absl::Duration since_moved, int64_t bytes);

// The streams in progress of one kind, and how fast they are: whoever is too slow is cut, so that
// nobody holds a place by standing in it.
//
// Thread safety: all methods may be called from any thread. Cuts come from the thread that calls
// CutSlow or CutSlowest, without a lock held, and may come after the stream was destroyed: a cut
// must hold nothing but weak references.
// Ownership and lifetime: the clock must outlive it, and it must outlive its streams.
class StreamWatch {
 public:
  using Cut = std::function<void(const absl::Status&)>;

  // A stream in progress, until destroyed.
  class Stream {
   public:
    ~Stream() { watch_.Remove(id_); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    // So many more bytes have come, or gone.
    void Moved(int64_t bytes) { watch_.Note(id_, bytes); }

   private:
    friend class StreamWatch;
    Stream(StreamWatch& watch, int64_t id) : watch_(watch), id_(id) {}

    StreamWatch& watch_;
    const int64_t id_;
  };

  StreamWatch(base::Clock& clock, const StreamLimits& limits) : clock_(clock), limits_(limits) {}

  // Watches a stream that begins now. `cut` is called once at most.
  std::unique_ptr<Stream> Watch(Cut cut);

  // Cuts every stream that is too slow; returns how many.
  int CutSlow();

  // Cuts the slowest of those that are past their grace, to make room; whether there was one.
  bool CutSlowest();

 private:
  struct Entry {
    Cut cut;
    absl::Duration started_at;
    absl::Duration moved_at;
    int64_t bytes = 0;
  };

  void Remove(int64_t id);
  void Note(int64_t id, int64_t bytes);

  base::Clock& clock_;
  const StreamLimits limits_;
  base::Mutex mu_;
  int64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<int64_t, Entry> entries_ ABSL_GUARDED_BY(mu_);  // those that are cut are gone from here
};

}  // namespace gannet::gateway
