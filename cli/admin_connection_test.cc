#include "cli/admin_connection.h"

#include <iostream>
#include <sstream>
#include <streambuf>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/config/flags.h"

namespace gannet::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Failure {
  int exit_code = -1;
  std::string err;
};

Failure FailWith(const absl::Status& status) {
  std::ostringstream err;
  std::streambuf* const before = std::cerr.rdbuf(err.rdbuf());
  const int exit_code = FailAdmin(status, "127.0.0.1:1");
  std::cerr.rdbuf(before);
  return {exit_code, err.str()};
}

TEST(FailAdminTest, TheLogIsNamedOnlyWhereItSaysMore) {
  const Failure refused = FailWith(absl::InvalidArgumentError("run.rounds must be above 5"));
  EXPECT_EQ(refused.exit_code, config::kExitUsage);
  EXPECT_THAT(refused.err, HasSubstr("run.rounds must be above 5\nNothing was changed."));
  EXPECT_THAT(refused.err, Not(HasSubstr("log")));

  EXPECT_THAT(FailWith(absl::UnavailableError("refused")).err, HasSubstr("127.0.0.1:1"));
  EXPECT_THAT(FailWith(absl::UnauthenticatedError("no token")).err, HasSubstr("--token-file"));
  EXPECT_THAT(FailWith(absl::FailedPreconditionError("ended")).err, HasSubstr("gannet status"));
  EXPECT_THAT(FailWith(absl::InternalError("a bug")).err, HasSubstr("coordinator's log"));
}

}  // namespace
}  // namespace gannet::cli
