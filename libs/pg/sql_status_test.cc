#include "libs/pg/sql_status.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::pg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(SqlStatusTest, ClassGnCarriesTheStatusCodeAndTheMessageAsItIs) {
  EXPECT_EQ(StatusFromSqlState("GN005", "no such run: 7"), absl::NotFoundError("no such run: 7"));
  EXPECT_EQ(StatusFromSqlState("GN016", "x"), absl::UnauthenticatedError("x"));
  EXPECT_EQ(StatusFromSqlState("GN001", "x"), absl::CancelledError("x"));
}

TEST(SqlStatusTest, ANumberThatIsNoCodeIsAnInternalError) {
  for (const char* sqlstate : {"GN000", "GN017", "GNABC"}) {
    EXPECT_THAT(StatusFromSqlState(sqlstate, "x"), base::StatusIs(absl::StatusCode::kInternal));
  }
}

TEST(SqlStatusTest, EveryKindOfFailureHasItsCode) {
  struct Case {
    const char* sqlstate;
    absl::StatusCode code;
  };
  for (const Case& c :
       {Case{"08006", absl::StatusCode::kUnavailable},
        Case{"22P02", absl::StatusCode::kInvalidArgument},
        Case{"23505", absl::StatusCode::kAlreadyExists}, Case{"23514", absl::StatusCode::kInternal},
        Case{"25006", absl::StatusCode::kUnavailable},
        Case{"28P01", absl::StatusCode::kPermissionDenied},
        Case{"40001", absl::StatusCode::kAborted}, Case{"40P01", absl::StatusCode::kAborted},
        Case{"40003", absl::StatusCode::kUnknown},
        Case{"42501", absl::StatusCode::kPermissionDenied},
        Case{"42P01", absl::StatusCode::kInternal},
        Case{"53100", absl::StatusCode::kResourceExhausted},
        Case{"55P03", absl::StatusCode::kUnavailable},
        Case{"57014", absl::StatusCode::kDeadlineExceeded},
        Case{"57P01", absl::StatusCode::kUnavailable}}) {
    EXPECT_THAT(StatusFromSqlState(c.sqlstate, "what happened"),
                base::StatusIs(c.code, AllOf(HasSubstr("what happened"), HasSubstr(c.sqlstate))));
  }
}

TEST(SqlStatusTest, OnlySerializationFailuresAndDeadlocksAreRerun) {
  EXPECT_TRUE(IsRerunnable("40001"));
  EXPECT_TRUE(IsRerunnable("40P01"));
  EXPECT_FALSE(IsRerunnable("40003"));
  EXPECT_FALSE(IsRerunnable("GN010"));
}

TEST(SqlStatusTest, ARefusedLoginIsToldFromAServerThatIsAway) {
  for (const char* reason :
       {"connection to server at \"::1\", port 1 failed: FATAL:  password authentication failed "
        "for user \"ada\"",
        "FATAL:  database \"gannet\" does not exist", "FATAL:  role \"ada\" does not exist",
        "fe_sendauth: no password supplied"}) {
    const absl::Status status = ConnectFailure("ada@db/gannet", reason);
    EXPECT_THAT(status, base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("ada@db/gannet")));
    EXPECT_TRUE(IsLoginRefused(status)) << reason;
  }
  for (const char* reason :
       {"Connection refused", "FATAL:  the database system is starting up",
        "could not translate host name \"db\" to address: Name or service not known"}) {
    EXPECT_FALSE(IsLoginRefused(ConnectFailure("ada@db/gannet", reason))) << reason;
  }
}

TEST(SqlStatusTest, InDoubtIsUnknown) {
  EXPECT_THAT(InDoubt("publish", "gone"),
              base::StatusIs(absl::StatusCode::kUnknown, HasSubstr("publish")));
}

}  // namespace
}  // namespace gannet::pg
