#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/security/credentials.h"

namespace gannet::rpc {

// What a channel carries. Channels of different use never share a connection, so that a payload of
// many megabytes does not delay a heartbeat.
enum class ChannelUse { kControl, kBulk };

// How to reach a server.
struct ChannelOptions {
  std::string target;                                               // "HOST:PORT"
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;  // null: plaintext; see tls.h

  // A connection that goes silent is found dead after interval + timeout, calls in progress or not
  // (routers forget idle ones).
  absl::Duration keepalive_interval = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);

  // The longest pause between attempts to connect; gRPC's own default of two minutes would outlast
  // most restarts of a server.
  absl::Duration max_reconnect_pause = absl::Seconds(5);

  // How long an attempt to connect, TLS included, may take.
  absl::Duration connect_limit = absl::Seconds(5);

  int max_receive_message_bytes = 4 << 20;
};

// The variables gRPC takes a proxy from; see the manual page of curl for their history. Empty means
// unset.
struct ProxyEnvironment {
  std::string grpc_proxy = {};
  std::string https_proxy = {};
  std::string http_proxy = {};
  std::string no_grpc_proxy = {};
  std::string no_proxy = {};

  static ProxyEnvironment FromProcess();
};

// Whether gRPC will honour the environment's proxy for `target`. It takes the first of grpc_proxy,
// https_proxy and http_proxy that is set, speaks only http:// (CONNECT) to it, and passes over
// anything else in silence with a direct connection, which is never what was meant. Returns:
// INVALID_ARGUMENT - that value is not "http://HOST[:PORT]", naming the variable and what to do.
// Credentials in it are not shown.
absl::Status CheckProxy(const std::string& target, const ProxyEnvironment& environment);

// The proxy that gRPC goes through to reach `target`, as "http://HOST:PORT (https_proxy)" with
// credentials masked; empty when it connects directly. Meaningful after CheckProxy.
std::string ProxyFor(const std::string& target, const ProxyEnvironment& environment);

// Makes a channel; it connects at its first call and again whenever the connection is lost.
// Returns: INVALID_ARGUMENT - `target` is not an address, or as CheckProxy with the environment of
// this process.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options,
                                                           ChannelUse use);

// Gives the call `limit` from now on. Every call has a deadline.
void SetDeadline(grpc::ClientContext& context, absl::Duration limit);

}  // namespace gannet::rpc
