#include "libs/store/testing/test_postgres.h"

#include <fcntl.h>
#include <glob.h>
#include <netinet/in.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "libs/base/check.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/pg/connection_params.h"
#include "libs/pg/pg_pool.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"

extern char** environ;

namespace gannet::store {
namespace {

// Runs as the user of the server. Commands come on stdin, one a line, and are answered with "ok" or
// "failed"; when stdin ends, the test process has ended: stop the server and remove everything.
constexpr char kGuard[] = R"sh(
bin=$1 dir=$2
trap '' INT TERM HUP PIPE
cd "$dir" || exit 1
answer() { if [ "$1" -eq 0 ]; then echo ok; else echo failed; fi 2>/dev/null; }
while read -r command argument; do
  case $command in
    init) "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$dir/init.log" 2>&1 ;;
    start) "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -o "-p $argument" -w -t 60 start >"$dir/start.log" 2>&1 3>&- ;;
    kill)
      kill -9 "$(head -n 1 "$dir/data/postmaster.pid")"
      # Its children end when they notice; until then the next server could not start.
      while ls -l /proc/[0-9]*/cwd 2>/dev/null | grep -q "$dir/data"; do sleep 0.05; done
      # These name the dead one, which may wait to be reaped and so seem to live.
      rm -f "$dir/data/postmaster.pid" "$dir"/.s.PGSQL.* ;;
    save)
      rm -rf "$dir/saved"
      "$bin/pg_basebackup" -h "$dir" -p "$argument" -U postgres -D "$dir/saved" -c fast -X fetch --no-sync --no-manifest >"$dir/save.log" 2>&1 ;;
    restore) rm -rf "$dir/data" && mv "$dir/saved" "$dir/data" ;;
    stop) "$bin/pg_ctl" -D "$dir/data" -m "$argument" -w -t 60 stop >"$dir/stop.log" 2>&1 ;;
  esac
  answer $?
done
[ -f "$dir/data/postmaster.pid" ] && "$bin/pg_ctl" -D "$dir/data" -m immediate -w -t 60 stop >/dev/null 2>&1
rm -rf "$dir"
)sh";

// With so lazy a writer of the log, a crash loses what did not wait for the disk.
constexpr char kSettings[] = R"conf(
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
shared_buffers = 64MB
max_connections = 200
jit = off
deadlock_timeout = 200ms
wal_writer_delay = 10s
)conf";

// The newest installed server; GANNET_PG_BINDIR names another one.
std::string FindBinaries() {
  if (const char* named = std::getenv("GANNET_PG_BINDIR"); named != nullptr) return named;
  glob_t found = {};
  std::string newest;
  int newest_version = 0;
  if (::glob("/usr/lib/postgresql/*/bin/initdb", 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      const std::string path = found.gl_pathv[i];
      const int version = std::atoi(path.c_str() + std::strlen("/usr/lib/postgresql/"));
      if (version > newest_version) {
        newest_version = version;
        newest = path.substr(0, path.rfind('/'));
      }
    }
  }
  ::globfree(&found);
  return newest;
}

// A port that was free a moment ago.
int FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  GANNET_CHECK(fd >= 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  GANNET_CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0);
  GANNET_CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

struct TestPostgres::State {
  std::string directory;
  int port = 0;
  pid_t guard = -1;
  int to_guard = -1;
  FILE* from_guard = nullptr;
  std::atomic<int> last_database{0};
  base::Mutex template_mu;
  bool template_made ABSL_GUARDED_BY(template_mu) = false;
};

TestPostgres& TestPostgres::Get() {
  static TestPostgres server;
  return server;
}

TestPostgres::TestPostgres() : state_(std::make_unique<State>()) {
  if (const absl::Status status = Launch(); !status.ok()) {
    std::fprintf(stderr, "a test needs PostgreSQL and cannot start it: %s\n",
                 std::string(status.message()).c_str());
    std::exit(1);
  }
}

TestPostgres::~TestPostgres() {
  if (state_->to_guard >= 0) ::close(state_->to_guard);
  if (state_->from_guard != nullptr) std::fclose(state_->from_guard);
  if (state_->guard > 0) ::waitpid(state_->guard, nullptr, 0);
}

absl::Status TestPostgres::Launch() {
  const std::string binaries = FindBinaries();
  if (binaries.empty()) {
    return absl::NotFoundError("install the package postgresql (./run setup does)");
  }
  char directory[] = "/tmp/gannet-test-pg-XXXXXX";
  if (::mkdtemp(directory) == nullptr) {
    return absl::InternalError(absl::StrCat("mkdtemp: ", std::strerror(errno)));
  }
  state_->directory = directory;

  std::vector<std::string> arguments;
  if (::geteuid() == 0) {
    // The server refuses root.
    const passwd* user = ::getpwnam("postgres");
    if (user == nullptr) return absl::NotFoundError("there is no user postgres");
    if (::chown(directory, user->pw_uid, user->pw_gid) != 0) {
      return absl::InternalError(absl::StrCat("chown: ", std::strerror(errno)));
    }
    arguments = {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"};
  }
  for (const std::string& argument :
       {std::string("/bin/sh"), std::string("-c"), std::string(kGuard), std::string("guard"),
        binaries, state_->directory}) {
    arguments.push_back(argument);
  }
  GANNET_RETURN_IF_ERROR(StartGuard(arguments));
  return StartServer();
}

absl::Status TestPostgres::StartGuard(std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  int commands[2];
  int answers[2];
  if (::pipe2(commands, O_CLOEXEC) != 0 || ::pipe2(answers, O_CLOEXEC) != 0) {
    return absl::InternalError(absl::StrCat("pipe2: ", std::strerror(errno)));
  }
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, commands[0], 0);
  ::posix_spawn_file_actions_adddup2(&actions, answers[1], 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  // A session of its own, so that Ctrl-C ends the test only, and the guard then ends the server.
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  const int error =
      ::posix_spawnp(&state_->guard, argv[0], &actions, &attributes, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  ::close(commands[0]);
  ::close(answers[1]);
  state_->to_guard = commands[1];
  state_->from_guard = ::fdopen(answers[0], "r");
  if (error != 0) return absl::InternalError(absl::StrCat("posix_spawnp: ", std::strerror(error)));
  return absl::OkStatus();
}

absl::Status TestPostgres::StartServer() {
  if (!Command("init").ok()) {
    return absl::InternalError(absl::StrCat("initdb: ", ReadFile(state_->directory + "/init.log")));
  }
  {
    // Root may write into the directory of another user.
    std::ofstream settings(state_->directory + "/data/postgresql.conf", std::ios::app);
    settings << kSettings << "unix_socket_directories = '" << state_->directory << "'\n";
  }
  absl::Status started;
  for (int i = 0; i < 5; ++i) {
    state_->port = FreePort();
    started = Command(absl::StrCat("start ", state_->port));
    if (started.ok()) break;
  }
  if (!started.ok()) {
    return absl::InternalError(
        absl::StrCat("pg_ctl start: ", ReadFile(state_->directory + "/server.log")));
  }
  return absl::OkStatus();
}

absl::Status TestPostgres::Command(const std::string& command) {
  const std::string line = command + "\n";
  if (::write(state_->to_guard, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return absl::InternalError("the guard of the server is gone");
  }
  char answer[32] = "";
  if (std::fgets(answer, sizeof(answer), state_->from_guard) == nullptr ||
      std::string(answer) != "ok\n") {
    return absl::InternalError(absl::StrCat("failed: ", command));
  }
  return absl::OkStatus();
}

void TestPostgres::Stop(StopMode mode) {
  const absl::Status status = Command(mode == StopMode::kFast        ? "stop fast"
                                      : mode == StopMode::kImmediate ? "stop immediate"
                                                                     : "kill");
  ASSERT_TRUE(status.ok()) << status;
}

void TestPostgres::Start() {
  const absl::Status status = Command(absl::StrCat("start ", state_->port));
  ASSERT_TRUE(status.ok()) << status << ReadFile(state_->directory + "/server.log");
}

void TestPostgres::Save() {
  const absl::Status status = Command(absl::StrCat("save ", state_->port));
  ASSERT_TRUE(status.ok()) << status << ReadFile(state_->directory + "/save.log");
}

void TestPostgres::GoBack() {
  Stop(StopMode::kImmediate);
  const absl::Status status = Command("restore");
  ASSERT_TRUE(status.ok()) << status;
  Start();
}

std::string TestPostgres::UrlOf(const std::string& database) const {
  return absl::StrCat("postgres:///", database, "?host=", state_->directory, "&port=", state_->port,
                      "&user=postgres");
}

std::string TestPostgres::TcpUrl(const std::string& url) const {
  return absl::StrReplaceAll(url, {{absl::StrCat("host=", state_->directory), "host=127.0.0.1"}});
}

std::string TestPostgres::UrlAs(const std::string& url, const std::string& role) {
  return absl::StrReplaceAll(url, {{"user=postgres", absl::StrCat("user=", role)}});
}

absl::StatusOr<pg::SqlRows> TestPostgres::Query(const std::string& url, const std::string& sql) {
  pg::PgConnectionOptions options;
  options.url = url;
  GANNET_ASSIGN_OR_RETURN(const pg::PgConnectionParams params, pg::MakeConnectionParams(options));
  base::RealClock clock;
  telemetry::Metrics metrics;
  pg::PgPool pool(params, {"test", 1}, clock, metrics);
  return pool.Execute({"query", sql.c_str()}, pg::SqlParams());
}

absl::Status TestPostgres::Run(const std::string& url, const std::string& sql) {
  pg::PgConnectionOptions options;
  options.url = url;
  GANNET_ASSIGN_OR_RETURN(const pg::PgConnectionParams params, pg::MakeConnectionParams(options));
  base::RealClock clock;
  telemetry::Metrics metrics;
  pg::PgPool pool(params, {"test", 1}, clock, metrics);
  return pool.RunInTransaction(
      "run", pg::SqlIsolation::kReadCommitted,
      [&](pg::SqlTransaction& transaction) { return transaction.ExecuteScript(sql); });
}

std::unique_ptr<TestPostgres> TestPostgres::MakeAnother() {
  return std::unique_ptr<TestPostgres>(new TestPostgres());
}

std::string TestPostgres::ProgramPath(const std::string& name) {
  return absl::StrCat(FindBinaries(), "/", name);
}

const std::string& TestPostgres::directory() const { return state_->directory; }

int TestPostgres::port() const { return state_->port; }

std::string TestPostgres::NewDatabase(const std::string& from_template,
                                      const std::string& options) {
  const std::string name = absl::StrCat("test_", ++state_->last_database);
  // Without fsync this is eight times faster than writing every page to the log.
  const absl::StatusOr<pg::SqlRows> made =
      Query(UrlOf("postgres"), absl::StrCat("CREATE DATABASE ", name, " TEMPLATE ", from_template,
                                            " STRATEGY file_copy", options));
  EXPECT_TRUE(made.ok()) << made.status();
  return UrlOf(name);
}

std::string TestPostgres::CreateEmptyDatabase(const std::string& encoding) {
  return NewDatabase("template0", absl::StrCat(" ENCODING '", encoding, "'"));
}

std::string TestPostgres::CreateDatabase() {
  {
    base::MutexLock lock(state_->template_mu);
    if (!state_->template_made) {
      const absl::StatusOr<pg::SqlRows> made =
          Query(UrlOf("postgres"), "CREATE DATABASE gannet_template TEMPLATE template0");
      EXPECT_TRUE(made.ok()) << made.status();
      PgBackendOptions options;
      options.url = UrlOf("gannet_template");
      const absl::StatusOr<int> version = Migrate(options, telemetry::NullLogger());
      EXPECT_TRUE(version.ok()) << version.status();
      const absl::Status roles =
          Run(UrlOf("postgres"),
              "CREATE ROLE test_worker LOGIN IN ROLE gannet_worker;"
              "CREATE ROLE test_coordinator LOGIN IN ROLE gannet_coordinator");
      EXPECT_TRUE(roles.ok()) << roles;
      state_->template_made = true;
    }
  }
  return NewDatabase("gannet_template");
}

void TestPostgres::DropDatabase(const std::string& url) {
  const size_t start = std::strlen("postgres:///");
  const std::string name = url.substr(start, url.find('?') - start);
  const absl::StatusOr<pg::SqlRows> dropped =
      Query(UrlOf("postgres"), absl::StrCat("DROP DATABASE IF EXISTS ", name, " WITH (FORCE)"));
  EXPECT_TRUE(dropped.ok()) << dropped.status();
}

}  // namespace gannet::store
