#include "libs/pg/pg_listener.h"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/check.h"

namespace gannet::pg {
namespace {

constexpr int kConnectTimeoutMs = 10'000;

std::string ErrorOf(const PGconn* connection) {
  std::string message = PQerrorMessage(connection);
  message.resize(std::min(message.find('\n'), message.size()));
  absl::StripAsciiWhitespace(&message);
  return message.empty() ? "closed by the server" : message;
}

}  // namespace

PgListener::PgListener(const PgConnectionParams& params, std::vector<std::string> channels,
                       Callbacks callbacks, telemetry::Logger& logger,
                       base::BackoffPolicy reconnect)
    : params_(params),
      channels_(std::move(channels)),
      callbacks_(std::move(callbacks)),
      logger_(logger),
      reconnect_(reconnect),
      wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  GANNET_CHECK(wake_fd_ >= 0);
  base::MutexLock lock(join_mu_);
  thread_ = std::thread([this] { Loop(); });
}

PgListener::~PgListener() {
  Stop();
  ::close(wake_fd_);
}

void PgListener::Stop() {
  {
    base::MutexLock lock(mu_);
    stopping_ = true;
  }
  const uint64_t one = 1;
  // Cannot fail: the counter is far from full.
  [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof(one));
  base::MutexLock lock(join_mu_);
  if (thread_.joinable()) thread_.join();
}

bool PgListener::stopping() {
  base::MutexLock lock(mu_);
  return stopping_;
}

PgListener::Wait PgListener::WaitFor(int socket, short events, int timeout_ms) {
  pollfd fds[2] = {{wake_fd_, POLLIN, 0}, {socket, events, 0}};
  const int ready = ::poll(fds, socket < 0 ? 1 : 2, timeout_ms);
  if (stopping()) return Wait::kStopping;
  return ready == 0 ? Wait::kTimeout : Wait::kReady;
}

void PgListener::Loop() {
  base::Backoff backoff(reconnect_);
  std::string last_reason;
  while (!stopping()) {
    const std::string reason = ListenOnce(backoff);
    if (stopping()) return;
    // Said once per outage and reason: the loop may repeat for hours.
    if (reason != last_reason) {
      logger_.Warning("not listening to PostgreSQL, trying again",
                      {{"database", params_.description}, {"reason", reason}});
      last_reason = reason;
    }
    WaitFor(-1, 0, static_cast<int>(absl::ToInt64Milliseconds(backoff.Next())));
  }
}

std::string PgListener::Connect(pg_conn* connection) {
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (PQstatus(connection) != CONNECTION_BAD) {
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    switch (WaitFor(PQsocket(connection), events, kConnectTimeoutMs)) {
      case Wait::kStopping:
        return "stopping";
      case Wait::kTimeout:
        return "no answer while connecting";
      case Wait::kReady:
        break;
    }
    state = PQconnectPoll(connection);
    if (state == PGRES_POLLING_OK) break;
    if (state == PGRES_POLLING_FAILED) return ErrorOf(connection);
  }
  if (PQstatus(connection) != CONNECTION_OK) return ErrorOf(connection);
  for (const std::string& channel : channels_) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(
        PQexec(connection, absl::StrCat("LISTEN ", channel).c_str()), &PQclear);
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) return ErrorOf(connection);
  }
  return "";
}

std::string PgListener::ListenOnce(base::Backoff& backoff) {
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(
      PQconnectStart(params_.conninfo.c_str()), &PQfinish);
  if (connection == nullptr) return "out of memory";
  // libpq would write notices to stderr.
  PQsetNoticeReceiver(
      connection.get(), [](void*, const PGresult*) {}, nullptr);
  if (std::string reason = Connect(connection.get()); !reason.empty()) return reason;
  backoff.Reset();
  logger_.Debug("listening to PostgreSQL", {{"database", params_.description}});
  callbacks_.on_connected();
  while (true) {
    // Notifications may have come with the answer to LISTEN, so deliver before waiting.
    while (PGnotify* raw = PQnotifies(connection.get())) {
      const std::unique_ptr<PGnotify, decltype(&PQfreemem)> notification(raw, &PQfreemem);
      callbacks_.on_notification(raw->relname, raw->extra);
    }
    if (WaitFor(PQsocket(connection.get()), POLLIN, -1) == Wait::kStopping) return "stopping";
    if (PQconsumeInput(connection.get()) != 1 || PQstatus(connection.get()) != CONNECTION_OK) {
      return ErrorOf(connection.get());
    }
  }
}

}  // namespace gannet::pg
