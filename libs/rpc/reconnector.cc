#include "libs/rpc/reconnector.h"

#include <chrono>
#include <utility>

namespace gannet::rpc {
namespace {

// How long the destructor may have to wait.
constexpr std::chrono::milliseconds kLook(200);

// Waits inside gRPC for up to kLook, which is what moves all connections of the process. Returns
// whether the channel is connected.
bool LookAfter(grpc::Channel& channel) {
  const grpc_connectivity_state state = channel.GetState(/*try_to_connect=*/true);
  if (state == GRPC_CHANNEL_READY) return true;
  channel.WaitForStateChange(state, std::chrono::system_clock::now() + kLook);
  return false;
}

}  // namespace

Reconnector::Reconnector(std::vector<std::shared_ptr<grpc::Channel>> channels)
    : channels_(std::move(channels)), thread_([this] { Run(); }) {}

Reconnector::~Reconnector() {
  {
    const absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  thread_.join();
}

void Reconnector::Reconnect() {
  const absl::MutexLock lock(&mu_);
  wanted_ = true;
}

bool Reconnector::IsStopping() {
  const absl::MutexLock lock(&mu_);
  return stopping_;
}

void Reconnector::Run() {
  while (true) {
    {
      const absl::MutexLock lock(&mu_);
      mu_.Await(absl::Condition(this, &Reconnector::HasWork));
      if (stopping_) return;
      wanted_ = false;
    }
    bool all_connected = false;
    while (!all_connected && !IsStopping()) {
      all_connected = true;
      for (const std::shared_ptr<grpc::Channel>& channel : channels_) {
        all_connected = LookAfter(*channel) && all_connected;
      }
    }
  }
}

}  // namespace gannet::rpc
