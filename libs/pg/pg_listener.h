#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/backoff.h"
#include "libs/base/mutex.h"
#include "libs/pg/connection_params.h"
#include "libs/telemetry/log.h"

struct pg_conn;

namespace gannet::pg {

// Listens on channels from a thread of its own, with a connection of its own, and follows the
// database through restarts.
//
// Notifications are hints: those sent while the connection was down are lost. So `on_connected` is
// called after every (re)connect, and whoever waits should look at the tables again then.
//
// Thread safety: all methods may be called from any thread; the callbacks run in the listener's
// thread and must not block. Ownership and lifetime: the logger must outlive the listener; the
// destructor stops.
class PgListener {
 public:
  struct Callbacks {
    std::function<void(const std::string& channel, const std::string& payload)> on_notification;
    std::function<void()> on_connected;
  };

  PgListener(const PgConnectionParams& params, std::vector<std::string> channels,
             Callbacks callbacks, telemetry::Logger& logger,
             base::BackoffPolicy reconnect = {absl::Milliseconds(100), absl::Seconds(5), 2.0});
  ~PgListener();
  PgListener(const PgListener&) = delete;
  PgListener& operator=(const PgListener&) = delete;

  // Ends the thread, also while it is connecting. Idempotent.
  void Stop();

 private:
  enum class Wait { kReady, kStopping, kTimeout };

  void Loop();
  // Connects and delivers until the connection is lost or Stop is called. The reason of the loss.
  std::string ListenOnce(base::Backoff& backoff);
  std::string Connect(pg_conn* connection);
  Wait WaitFor(int socket, short events, int timeout_ms);
  bool stopping();

  const PgConnectionParams params_;
  const std::vector<std::string> channels_;
  const Callbacks callbacks_;
  telemetry::Logger& logger_;
  const base::BackoffPolicy reconnect_;
  const int wake_fd_;
  base::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  base::Mutex join_mu_;
  std::thread thread_ ABSL_GUARDED_BY(join_mu_);
};

}  // namespace gannet::pg
