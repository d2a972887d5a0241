#include "libs/pg/connection_params.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::pg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

absl::StatusOr<PgConnectionParams> Make(const std::string& url,
                                        const std::string& password_file = "") {
  PgConnectionOptions options;
  options.url = url;
  options.password_file = password_file;
  return MakeConnectionParams(options);
}

class TempFile {
 public:
  explicit TempFile(const std::string& content) {
    const int fd = ::mkstemp(path_);
    ::close(fd);
    std::ofstream(path_) << content;
  }
  ~TempFile() { ::unlink(path_); }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/gannet-test-XXXXXX";
};

TEST(ConnectionParamsTest, AUrlBecomesSettings) {
  ASSERT_OK_AND_ASSIGN(const PgConnectionParams params,
                       Make("postgres://ada@db.example:5433/class"));

  EXPECT_THAT(params.conninfo,
              AllOf(HasSubstr("user='ada'"), HasSubstr("host='db.example'"),
                    HasSubstr("port='5433'"), HasSubstr("dbname='class'"),
                    HasSubstr("statement_timeout=60000"), HasSubstr("connect_timeout='5'")));
  EXPECT_EQ(params.description, "ada@db.example:5433/class");
}

TEST(ConnectionParamsTest, TheUrlHasTheLastWord) {
  ASSERT_OK_AND_ASSIGN(
      const PgConnectionParams params,
      Make("postgresql:///class?application_name=mine&options=-c%20work_mem%3D1MB"));

  EXPECT_THAT(params.conninfo,
              AllOf(HasSubstr("application_name='mine'"), HasSubstr("-c work_mem=1MB'")));
}

TEST(ConnectionParamsTest, OfSeveralServersOneIsWantedThatTakesWrites) {
  ASSERT_OK_AND_ASSIGN(const PgConnectionParams one, Make("postgres://ada@db.example/class"));
  EXPECT_THAT(one.conninfo, Not(HasSubstr("target_session_attrs")));
  ASSERT_OK_AND_ASSIGN(const PgConnectionParams two,
                       Make("postgres://ada@db.example:5432,other.example:5433/class"));
  EXPECT_THAT(two.conninfo, HasSubstr("target_session_attrs='read-write'"));
  ASSERT_OK_AND_ASSIGN(
      const PgConnectionParams told,
      Make("postgres://ada@db.example,other.example/class?target_session_attrs=any"));
  EXPECT_THAT(told.conninfo, HasSubstr("target_session_attrs='any'"));
}

TEST(ConnectionParamsTest, APasswordInTheUrlIsRefusedAndNotRepeated) {
  for (const char* url :
       {"postgres://ada:hunter2@db/class", "postgres://db/class?password=hunter2",
        "postgres://db/class?PASSWORD=hunter2", "postgres://ada:hunter2@db:bad/class"}) {
    EXPECT_THAT(Make(url),
                base::StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr("password_file"), Not(HasSubstr("hunter2")))))
        << url;
  }
}

TEST(ConnectionParamsTest, AColonAfterTheAuthorityIsNoPassword) {
  EXPECT_OK(Make("postgres://db:5432/class?application_name=a:b@c"));
}

TEST(ConnectionParamsTest, OnlyPostgresUrlsAreAccepted) {
  for (const char* url : {"", "host=db", "mysql://db/class", "127.0.0.1:50051"}) {
    EXPECT_THAT(Make(url),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("postgres://")));
  }
}

TEST(ConnectionParamsTest, AnUnknownParameterIsRefused) {
  EXPECT_THAT(Make("postgres://db/class?sslmoode=require"),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sslmoode")));
}

TEST(ConnectionParamsTest, ThePasswordComesFromTheFileWithoutItsNewline) {
  const TempFile file("it's \\ a secret\n");

  ASSERT_OK_AND_ASSIGN(const PgConnectionParams params,
                       Make("postgres://ada@db/class", file.path()));

  EXPECT_THAT(params.conninfo, HasSubstr("password='it\\'s \\\\ a secret'"));
  EXPECT_THAT(params.description, Not(HasSubstr("secret")));
}

TEST(ConnectionParamsTest, AMissingOrEmptyPasswordFileIsNamed) {
  const TempFile empty("\n");

  EXPECT_THAT(Make("postgres://db/class", "/nonexistent/password"),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/password")));
  EXPECT_THAT(Make("postgres://db/class", empty.path()),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(empty.path())));
}

}  // namespace
}  // namespace gannet::pg
