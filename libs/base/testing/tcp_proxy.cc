#include "libs/base/testing/tcp_proxy.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "libs/base/check.h"

namespace gannet::base {
namespace {

// How long a stop, or a new mode, may go unnoticed.
constexpr int kLookMillis = 20;

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int NewSocket() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  GANNET_CHECK(fd >= 0);
  return fd;
}

}  // namespace

TcpProxy::TcpProxy(int target_port) : target_port_(target_port), listener_(NewSocket()) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  GANNET_CHECK(::bind(listener_, raw, size) == 0);
  GANNET_CHECK(::listen(listener_, 64) == 0);
  GANNET_CHECK(::getsockname(listener_, raw, &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TcpProxy::~TcpProxy() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  acceptor_.join();
  // Nobody adds connections any more.
  for (Connection& connection : connections_) Close(connection);
  ::close(listener_);
}

void TcpProxy::Close(Connection& connection) {
  connection.thread.join();
  ::close(connection.client);
  ::close(connection.server);
}

void TcpProxy::Cut() {
  MutexLock lock(mu_);
  for (Connection& connection : connections_) {
    ::shutdown(connection.client, SHUT_RDWR);
    ::shutdown(connection.server, SHUT_RDWR);
  }
}

void TcpProxy::Refuse(bool refusing) {
  {
    MutexLock lock(mu_);
    refusing_ = refusing;
  }
  if (refusing) Cut();
}

void TcpProxy::HalfOpen() {
  MutexLock lock(mu_);
  for (Connection& connection : connections_) connection.silent = true;
}

void TcpProxy::Delay(absl::Duration delay) {
  MutexLock lock(mu_);
  delay_ = delay;
}

void TcpProxy::Accept() {
  while (true) {
    {
      MutexLock lock(mu_);
      if (stopping_) return;
      for (auto it = connections_.begin(); it != connections_.end();) {
        const auto connection = it++;
        if (!connection->finished) continue;
        Close(*connection);
        connections_.erase(connection);
      }
    }
    pollfd ready = {listener_, POLLIN, 0};
    if (::poll(&ready, 1, kLookMillis) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    const int server = NewSocket();
    const sockaddr_in target = Loopback(target_port_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) != 0) {
      ::close(server);
      ::close(client);
      continue;
    }
    MutexLock lock(mu_);
    if (refusing_) {
      ::close(server);
      ::close(client);
      continue;
    }
    Connection& connection = connections_.emplace_back();
    connection.client = client;
    connection.server = server;
    connection.thread = std::thread([this, &connection] { Forward(connection); });
  }
}

bool TcpProxy::Pass(const Connection& connection) {
  absl::Duration delay;
  {
    MutexLock lock(mu_);
    if (connection.silent) return false;
    delay = delay_;
  }
  // What the test asked for: a slow network.
  if (delay > absl::ZeroDuration()) std::this_thread::sleep_for(absl::ToChronoMilliseconds(delay));
  return true;
}

bool TcpProxy::Pump(const Connection& connection, int from, int to) {
  std::array<char, 64 << 10> buffer;
  const ssize_t received = ::recv(from, buffer.data(), buffer.size(), 0);
  if (received <= 0) return false;
  if (!Pass(connection)) return true;
  for (ssize_t sent = 0; sent < received;) {
    const ssize_t some =
        ::send(to, buffer.data() + sent, static_cast<size_t>(received - sent), MSG_NOSIGNAL);
    if (some <= 0) return false;
    sent += some;
  }
  return true;
}

void TcpProxy::Forward(Connection& connection) {
  bool open = true;
  while (open) {
    {
      MutexLock lock(mu_);
      if (stopping_) break;
    }
    std::array<pollfd, 2> sides = {pollfd{connection.client, POLLIN, 0},
                                   pollfd{connection.server, POLLIN, 0}};
    if (::poll(sides.data(), sides.size(), kLookMillis) <= 0) continue;
    if (sides[0].revents != 0) open = Pump(connection, connection.client, connection.server);
    if (open && sides[1].revents != 0) {
      open = Pump(connection, connection.server, connection.client);
    }
  }
  ::shutdown(connection.client, SHUT_RDWR);
  ::shutdown(connection.server, SHUT_RDWR);
  // Closed by the acceptor: until then Cut may still look at these numbers.
  MutexLock lock(mu_);
  connection.finished = true;
}

}  // namespace gannet::base
