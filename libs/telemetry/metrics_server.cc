#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"
#include "libs/telemetry/metrics.h"
#include "libs/telemetry/process_metrics.h"

namespace gannet::telemetry {
namespace {

struct Address {
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
  return address;
}

// Says why a server cannot listen there. libmicrohttpd only says that it cannot, so the bind is
// tried again here.
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

// Answers GET /metrics; anything else is not here.
MHD_Result Answer(void* metrics, MHD_Connection* connection, const char* url, const char* method,
                  const char*, const char*, size_t*, void**) {
  const bool found = std::strcmp(url, "/metrics") == 0 && std::strcmp(method, "GET") == 0;
  const std::string body =
      found ? static_cast<const Metrics*>(metrics)->Render() + RenderProcessMetrics()
            : "the metrics are at /metrics\n";
  MHD_Response* const response = MHD_create_response_from_buffer(
      body.size(), const_cast<char*>(body.data()), MHD_RESPMEM_MUST_COPY);
  MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                          found ? "text/plain; version=0.0.4; charset=utf-8" : "text/plain");
  const MHD_Result queued =
      MHD_queue_response(connection, found ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, response);
  MHD_destroy_response(response);
  return queued;
}

}  // namespace

// libmicrohttpd rather than prometheus-cpp's own server: that one's threads have stacks of 100 KiB,
// which glibc refuses in a process whose libraries (LibTorch) want more thread-local storage.
struct MetricsServer::State {
  MHD_Daemon* daemon = nullptr;
};

MetricsServer::MetricsServer() : state_(std::make_unique<State>()) {}

MetricsServer::~MetricsServer() {
  if (state_->daemon != nullptr) MHD_stop_daemon(state_->daemon);
}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(Metrics& metrics,
                                                                    const std::string& listen) {
  GANNET_ASSIGN_OR_RETURN(const Address address, ParseAddress(listen));
  std::unique_ptr<MetricsServer> server(new MetricsServer());
  unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO;
  if (address.socket.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
  // A scraper or two at a time; a connection that says nothing for 10 s is dropped.
  server->state_->daemon = MHD_start_daemon(
      flags, 0, nullptr, nullptr, &Answer, &metrics, MHD_OPTION_SOCK_ADDR, &address.socket,
      MHD_OPTION_CONNECTION_LIMIT, 32u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
  if (server->state_->daemon == nullptr) {
    return ExplainFailure(address, listen, "the HTTP server did not start");
  }
  const MHD_DaemonInfo* const info =
      MHD_get_daemon_info(server->state_->daemon, MHD_DAEMON_INFO_BIND_PORT);
  GANNET_CHECK(info != nullptr);
  server->port_ = info->port;
  return server;
}

}  // namespace gannet::telemetry
