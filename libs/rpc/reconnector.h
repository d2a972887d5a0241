#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/channel.h"

namespace gannet::rpc {

// Lets channels that have lost their server find it again between calls.
//
// A blocking client of gRPC makes progress only while one of its threads is inside a call: nobody
// else reads the sockets (but for gRPC's backup poller, once in five seconds). A call on a channel
// that is not connected fails at once, so an attempt to connect that begins during the caller's
// pause is not looked at until its time is over, and with TLS, which needs several looks, that can
// repeat for ever. This thread looks until the channels are connected.
//
// Thread safety: all methods may be called from any thread.
class Reconnector {
 public:
  explicit Reconnector(std::vector<std::shared_ptr<grpc::Channel>> channels);

  // Ends within a fifth of a second, connected or not.
  ~Reconnector();

  Reconnector(const Reconnector&) = delete;
  Reconnector& operator=(const Reconnector&) = delete;

  // To be called when a call has failed for want of a connection. Returns at once; attempts go on,
  // as often as the channels' back-off permits, until every channel is connected.
  void Reconnect();

 private:
  void Run();
  bool IsStopping();
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mu_) { return wanted_ || stopping_; }

  const std::vector<std::shared_ptr<grpc::Channel>> channels_;
  absl::Mutex mu_;
  bool wanted_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // last: starts when all else exists
};

}  // namespace gannet::rpc
