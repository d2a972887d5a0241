#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/periodic_runner.h"
#include "libs/base/status_macros.h"
#include "libs/telemetry/metrics.h"
#include "libs/telemetry/metrics_state.h"
#include "prometheus/exposer.h"

namespace gannet {
namespace {

struct Address {
  std::string for_civetweb;  // "1.2.3.4:80", "[::1]:80"
  sockaddr_storage socket{};
  socklen_t socket_bytes = 0;
};

absl::Status NotAnAddress(const std::string& listen) {
  return absl::InvalidArgumentError(
      absl::StrCat("the metrics address must be HOST:PORT with an IP address or localhost as HOST "
                   "and a PORT of 0 to 65535, got '",
                   listen, "'"));
}

absl::StatusOr<Address> ParseAddress(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return NotAnAddress(listen);
  std::string host = listen.substr(0, colon);
  const std::string port_text = listen.substr(colon + 1);
  int port = 0;
  if (port_text.empty() || port_text.find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(port_text, &port) || port > 65535) {
    return NotAnAddress(listen);
  }
  if (host == "localhost") host = "127.0.0.1";

  Address address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.socket);
    if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6->sin6_addr) != 1) {
      return NotAnAddress(listen);
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<uint16_t>(port));
    address.socket_bytes = sizeof(sockaddr_in6);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.socket);
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) != 1) return NotAnAddress(listen);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    address.socket_bytes = sizeof(sockaddr_in);
  }
  address.for_civetweb = absl::StrCat(host, ":", port);
  return address;
}

// Says why a server cannot listen there. civetweb only says that it cannot, so the bind is tried
// again here.
absl::Status ExplainFailure(const Address& address, const std::string& listen, const char* what) {
  const int fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address.socket), address.socket_bytes) != 0) {
      error = errno;
    }
    close(fd);
  }
  switch (error) {
    case EADDRINUSE:
      return absl::UnavailableError(
          absl::StrCat("the metrics port is in use: stop the other process or choose another "
                       "*.metrics_listen (port 0 picks a free one), got '",
                       listen, "'"));
    case EACCES:
      return absl::PermissionDeniedError(absl::StrCat(
          "this user may not open the metrics port: choose one above 1023, got '", listen, "'"));
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return absl::InvalidArgumentError(
          absl::StrCat("the metrics address is none of this machine's, got '", listen, "'"));
    default:
      return absl::UnavailableError(
          absl::StrCat("cannot serve metrics at '", listen,
                       "': ", error == 0 ? std::string(what) : std::string(std::strerror(error))));
  }
}

// Connects and hangs up at once.
void Knock(const Address& address) {
  const int fd = socket(address.socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  // Whether it succeeds does not matter.
  (void)connect(fd, reinterpret_cast<const sockaddr*>(&address.socket), address.socket_bytes);
  close(fd);
}

}  // namespace

struct MetricsServer::State {
  std::unique_ptr<prometheus::Exposer> exposer;
  Address bound;
};

MetricsServer::MetricsServer() : state_(std::make_unique<State>()) {}

MetricsServer::~MetricsServer() {
  if (state_->exposer == nullptr) return;
  // civetweb notices that it shall stop only when somebody connects, or after two seconds.
  PeriodicRunner knocker(absl::Milliseconds(20), [this] { Knock(state_->bound); });
  state_->exposer.reset();
}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(Metrics& metrics,
                                                                    const std::string& listen) {
  GANNET_ASSIGN_OR_RETURN(const Address address, ParseAddress(listen));
  std::unique_ptr<MetricsServer> server(new MetricsServer());
  // civetweb throws when it cannot bind.
  try {
    server->state_->exposer = std::make_unique<prometheus::Exposer>(address.for_civetweb);
    server->state_->exposer->RegisterCollectable(metrics.state_->registry);
    for (const int port : server->state_->exposer->GetListeningPorts()) server->port_ = port;
    server->state_->bound = address;
    // sin_port and sin6_port lie at the same place.
    reinterpret_cast<sockaddr_in*>(&server->state_->bound.socket)->sin_port =
        htons(static_cast<uint16_t>(server->port_));
  } catch (const std::exception& e) {
    return ExplainFailure(address, listen, e.what());
  }
  return server;
}

}  // namespace gannet
