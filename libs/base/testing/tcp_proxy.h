#pragma once

#include <netinet/in.h>

#include <list>
#include <memory>
#include <thread>

#include "absl/time/time.h"
#include "libs/base/mutex.h"

namespace gannet::base {

// A bad network: forwards connections of a loopback port to another one, and on demand cuts them,
// refuses new ones, slows them down, or swallows what they carry without a word (a half-open
// connection, as when a laptop changes its network).
//
// Thread safety: all methods may be called from any thread.
class TcpProxy {
 public:
  explicit TcpProxy(int target_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }

  // Ends every connection with a reset.
  void Cut();
  // As Cut, and no new ones until told otherwise: the server is away.
  void Refuse(bool refusing);
  // Every connection there is now stays open and carries nothing any more.
  void HalfOpen();
  // What arrives from now on waits so long before it goes on.
  void Delay(absl::Duration delay);

 private:
  struct Connection {
    int client = -1;
    int server = -1;
    bool silent = false;
    bool finished = false;  // the thread's last act
    std::thread thread;
  };

  void Accept();
  void Forward(Connection& connection);
  static void Close(Connection& connection);
  // Whether the bytes may go on; waits as long as Delay says.
  bool Pass(const Connection& connection);
  // Forwards what one side has sent. False at its end.
  bool Pump(const Connection& connection, int from, int to);

  const int target_port_;
  int port_ = 0;
  int listener_ = -1;
  Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool refusing_ ABSL_GUARDED_BY(mu_) = false;
  absl::Duration delay_ ABSL_GUARDED_BY(mu_);
  std::list<Connection> connections_ ABSL_GUARDED_BY(mu_);
  std::thread acceptor_;
};

}  // namespace gannet::base
