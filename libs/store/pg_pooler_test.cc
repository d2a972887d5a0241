// A real PgBouncer between us and a real PostgreSQL.
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/store/pg_backend.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class PgPoolerTest : public ::testing::Test {
 protected:
  PgPoolerTest() {
    char folder[] = "/tmp/gannet-pooler-test-XXXXXX";
    EXPECT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
  }
  ~PgPoolerTest() override {
    pooler_.reset();
    server_.DropDatabase(url_);
    std::filesystem::remove_all(folder_);
  }

  // The URL of the database through a PgBouncer with these settings.
  std::string Start(const std::string& settings) {
    const std::string file = folder_ + "/pgbouncer.ini";
    std::ofstream(file) << "[databases]\n* = host=" << server_.directory()
                        << " port=" << server_.port()
                        << " user=postgres\n[pgbouncer]\nlisten_addr =\n"
                        << "unix_socket_dir = " << folder_ << "\nlisten_port = 6432\n"
                        << "auth_type = any\n"
                        << settings;
    std::vector<std::string> argv;
    if (::geteuid() == 0) {
      // PgBouncer refuses root.
      const passwd* user = ::getpwnam("postgres");
      EXPECT_NE(user, nullptr);
      if (user == nullptr) return "";
      EXPECT_EQ(::chown(folder_.c_str(), user->pw_uid, user->pw_gid), 0);
      argv = {"/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"};
    }
    argv.insert(argv.end(), {"/usr/sbin/pgbouncer", file});
    pooler_ = std::make_unique<base::ChildProcess>(base::ChildOptions{
        .argv = argv, .environment = {"PATH=/usr/bin:/bin"}, .output_prefix = folder_ + "/pooler"});
    EXPECT_TRUE(pooler_->AwaitError("process up")) << pooler_->err();
    return absl::StrReplaceAll(url_,
                               {{absl::StrCat("host=", server_.directory()), "host=" + folder_},
                                {absl::StrCat("port=", server_.port()), "port=6432"}});
  }

  absl::StatusOr<std::unique_ptr<PgBackend>> Create(const std::string& url) {
    PgBackendOptions options;
    options.url = url;
    return PgBackend::Create(options, telemetry::NullLogger(), metrics_);
  }

  TestPostgres& server_ = TestPostgres::Get();
  const std::string url_ = server_.CreateDatabase();
  std::string folder_;
  telemetry::Metrics metrics_;
  std::unique_ptr<base::ChildProcess> pooler_;
};

// As installed, but for its mode.
TEST_F(PgPoolerTest, APoolerThatRefusesSettingsIsNamed) {
  const std::string url = Start("pool_mode = transaction\n");

  EXPECT_THAT(Create(url),
              base::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("pooler"), HasSubstr("pool_mode=session"))));
}

TEST_F(PgPoolerTest, APoolerInTransactionModeIsNamedAtTheStart) {
  const auto refused = base::StatusIs(
      absl::StatusCode::kFailedPrecondition,
      AllOf(HasSubstr("through a pooler in transaction mode"),
            HasSubstr("point database.url at PostgreSQL itself or use pool_mode=session")));
  const std::string url =
      Start("pool_mode = transaction\nignore_startup_parameters = options,extra_float_digits\n");
  PgBackendOptions options;
  options.url = url;

  EXPECT_THAT(Create(url), refused);
  EXPECT_THAT(Migrate(options, telemetry::NullLogger()), refused);
}

// One session for all: then the second connection gets none.
TEST_F(PgPoolerTest, APoolerInTransactionModeWithOneSessionIsNamedToo) {
  const std::string url = Start(
      "pool_mode = transaction\nignore_startup_parameters = options\ndefault_pool_size = 1\n");

  EXPECT_THAT(Create(url), base::StatusIs(absl::StatusCode::kFailedPrecondition,
                                          HasSubstr("through a pooler in transaction mode")));
}

TEST_F(PgPoolerTest, APoolerInSessionModeWillDo) {
  const std::string url =
      Start("pool_mode = session\nignore_startup_parameters = options\ndefault_pool_size = 50\n");

  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<PgBackend> backend, Create(url));
  const domain::RunConfig config = exchange::TinyRunConfig();
  EXPECT_OK(backend->store().CreateRun(exchange::TestNewRun(config)));
  EXPECT_OK(backend->exchange().Join(exchange::TestJoin(exchange::TestWorker(1), config)));
}

}  // namespace
}  // namespace gannet::store
