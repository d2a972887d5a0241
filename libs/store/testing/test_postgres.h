#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/pg/sql_values.h"

namespace gannet::store {

// A private PostgreSQL server for the tests of this process: made at first use in a directory of
// its own below /tmp, reached by a socket there and by a free loopback port, without fsync. It is
// stopped and removed when the process ends, however it ends: a guard process waits for that.
//
// A test without a server fails; it is never skipped. As root the server runs as user postgres.
//
//   const std::string url = TestPostgres::Get().CreateDatabase();
//
// Thread safety: all methods may be called from any thread, but for Stop, Start, Save and GoBack
// (one at a time).
class TestPostgres {
 public:
  // Ends the process with the reason when no server can be started.
  static TestPostgres& Get();
  ~TestPostgres();
  TestPostgres(const TestPostgres&) = delete;
  TestPostgres& operator=(const TestPostgres&) = delete;

  // A new database with the schema of this binary: its URL, for the superuser. Fails the test when
  // it cannot be made.
  std::string CreateDatabase();

  // A new database without a schema, in UTF8 or another encoding.
  std::string CreateEmptyDatabase(const std::string& encoding = "UTF8");

  // Another server, without any of the databases and roles of the first one. Fails the test and
  // ends the process as Get does.
  static std::unique_ptr<TestPostgres> MakeAnother();

  // Where the programs of the server are: psql, pg_dump.
  static std::string ProgramPath(const std::string& name);

  // The directory of the server and its port, for programs that take no URL.
  const std::string& directory() const;
  int port() const;

  // Drops a database that Create… made, ending its sessions.
  void DropDatabase(const std::string& url);

  // The same database over TCP, and for another role. test_worker and test_coordinator may log in;
  // they are members of gannet_worker and of gannet_coordinator, and of nothing else.
  std::string TcpUrl(const std::string& url) const;
  static std::string UrlAs(const std::string& url, const std::string& role);

  // Runs SQL (several statements, when there are no results to read) as the URL's role.
  absl::StatusOr<pg::SqlRows> Query(const std::string& url, const std::string& sql);
  absl::Status Run(const std::string& url, const std::string& sql);

  // Stops the server, cutting every connection; kImmediate is a crash, kKilled a SIGKILL of the
  // postmaster. Start brings it back at the same places.
  enum class StopMode { kFast, kImmediate, kKilled };
  void Stop(StopMode mode);
  void Start();

  // A base backup of the whole server, and its return to what the last backup holds, once: what was
  // committed since is lost, as after a failover to a standby that lacks the last commits.
  void Save();
  void GoBack();

 private:
  TestPostgres();
  absl::Status Launch();
  absl::Status StartGuard(std::vector<std::string>& arguments);
  absl::Status StartServer();
  absl::Status Command(const std::string& command);
  std::string NewDatabase(const std::string& from_template, const std::string& options = "");
  std::string UrlOf(const std::string& database) const;

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gannet::store
