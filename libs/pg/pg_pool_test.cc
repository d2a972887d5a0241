#include "libs/pg/pg_pool.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/clock.h"
#include "libs/base/status_macros.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/pg/pg_bulk_pool.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::pg {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr SqlStatement kCount = {"count", "SELECT count(*) AS n FROM t", true};
constexpr SqlStatement kInsert = {"insert", "INSERT INTO t VALUES ($1::integer)"};
constexpr SqlStatement kEndSession = {"end_session",
                                      "SELECT pg_terminate_backend(pg_backend_pid())"};
constexpr SqlStatement kEndSessionReading = {"end_session_reading",
                                             "SELECT pg_terminate_backend(pg_backend_pid())", true};

// A row of this table ends the session that commits it, after the commit has been asked for.
constexpr char kLosesTheAnswerOfCommit[] =
    "CREATE TABLE doubtful (x integer);"
    "CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; "
    "END';"
    "CREATE CONSTRAINT TRIGGER doubt AFTER INSERT ON doubtful DEFERRABLE INITIALLY DEFERRED "
    "FOR EACH ROW EXECUTE FUNCTION end_session()";
constexpr SqlStatement kInsertDoubtful = {"insert_doubtful", "INSERT INTO doubtful VALUES (1)"};

PgConnectionParams ParamsOf(const std::string& url) {
  PgConnectionOptions options;
  options.url = url;
  return *MakeConnectionParams(options);
}

BoundedPoolOptions OptionsOf(int size) {
  BoundedPoolOptions options;
  options.name = "test";
  options.size = size;
  options.reconnect = {absl::Milliseconds(1), absl::Milliseconds(5), 2.0};
  return options;
}

class PgPoolTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { url_ = store::TestPostgres::Get().CreateEmptyDatabase(); }
  static void TearDownTestSuite() { store::TestPostgres::Get().DropDatabase(url_); }

  PgPoolTest() {
    EXPECT_OK(server_.Run(url_,
                          "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
                          "CREATE TABLE t (x integer PRIMARY KEY)"));
  }

  absl::StatusOr<int64_t> Count() {
    GANNET_ASSIGN_OR_RETURN(const SqlRows rows, pool_.Execute(kCount, SqlParams()));
    return SqlRow(rows, 0).Int("n");
  }

  static SqlParams Value(int x) {
    SqlParams params;
    params.Int(x);
    return params;
  }

  static std::string url_;

  store::TestPostgres& server_ = store::TestPostgres::Get();
  base::RealClock clock_;
  telemetry::Metrics metrics_;
  PgPool pool_{ParamsOf(url_), OptionsOf(2), clock_, metrics_};
  PgBulkPool bulk_pool_{ParamsOf(url_), OptionsOf(2), clock_, metrics_};
};

std::string PgPoolTest::url_;

TEST_F(PgPoolTest, AValueComesBackAsItWasSent) {
  SqlParams params;
  params.Int(-1)
      .Double(0.1)
      .Text("it's \\ \"ü\"")
      .Bytes(absl::string_view("\0\xff\x10", 3))
      .Null()
      .IntArray({1, 2});
  const SqlStatement statement = {
      "echo",
      "SELECT $1::bigint AS i, $2::double precision AS d, $3 AS t, $4::bytea AS y, $5::text AS n, "
      "$6::bigint[] AS a",
      true};

  for (const absl::StatusOr<SqlRows>& rows :
       {pool_.Execute(statement, params), bulk_pool_.Execute(statement, params)}) {
    ASSERT_OK(rows);
    SqlRow row(*rows, 0);
    EXPECT_EQ(row.Int("i"), -1);
    EXPECT_EQ(row.Double("d"), 0.1);
    EXPECT_EQ(row.Text("t"), "it's \\ \"ü\"");
    EXPECT_EQ(row.Bytes("y"), std::string("\0\xff\x10", 3));
    EXPECT_TRUE(row.IsNull("n"));
    EXPECT_THAT(row.IntArray("a"), ::testing::ElementsAre(1, 2));
    EXPECT_OK(row.status());
  }
}

TEST_F(PgPoolTest, ATransactionThatSucceedsIsCommittedWhole) {
  EXPECT_OK(pool_.RunInTransaction("two_rows", SqlIsolation::kReadCommitted,
                                   [](SqlTransaction& transaction) {
                                     EXPECT_OK(transaction.Execute(kInsert, Value(1)));
                                     return transaction.Execute(kInsert, Value(2)).status();
                                   }));

  EXPECT_THAT(Count(), base::IsOkAndHolds(2));
}

TEST_F(PgPoolTest, ATransactionWhoseBodyFailsLeavesNothing) {
  const auto insert_and_fail = [](auto& transaction) -> absl::Status {
    EXPECT_OK(transaction.Execute(kInsert, Value(1)));
    return absl::CancelledError("changed its mind");
  };

  EXPECT_THAT(pool_.RunInTransaction("failing", SqlIsolation::kReadCommitted, insert_and_fail),
              base::StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(bulk_pool_.RunInTransaction("failing", SqlIsolation::kReadCommitted, insert_and_fail),
              base::StatusIs(absl::StatusCode::kCancelled));

  EXPECT_THAT(Count(), base::IsOkAndHolds(0));
}

TEST_F(PgPoolTest, AFailureHasOneLineAndItsCode) {
  ASSERT_OK(pool_.Execute(kInsert, Value(1)));

  for (const absl::Status& status : {pool_.Execute(kInsert, Value(1)).status(),
                                     bulk_pool_.Execute(kInsert, Value(1)).status()}) {
    EXPECT_THAT(status, base::StatusIs(absl::StatusCode::kAlreadyExists,
                                       AllOf(HasSubstr("PostgreSQL: duplicate key"),
                                             HasSubstr("23505"), Not(HasSubstr("\n")))));
  }
}

TEST_F(PgPoolTest, EveryCodeArrivesWhicheverLibraryCarriesIt) {
  ASSERT_OK(server_.Run(url_,
                        "CREATE FUNCTION fail(code text) RETURNS void LANGUAGE plpgsql AS "
                        "$$ BEGIN RAISE EXCEPTION 'failed' USING ERRCODE = code; END $$"));
  const SqlStatement fail = {"fail", "SELECT fail($1)"};
  for (const auto& [sqlstate, code] : {std::pair("GN005", absl::StatusCode::kNotFound),
                                       std::pair("GN009", absl::StatusCode::kFailedPrecondition),
                                       std::pair("22P02", absl::StatusCode::kInvalidArgument),
                                       std::pair("23505", absl::StatusCode::kAlreadyExists),
                                       std::pair("40003", absl::StatusCode::kUnknown),
                                       std::pair("42501", absl::StatusCode::kPermissionDenied),
                                       std::pair("42P01", absl::StatusCode::kInternal),
                                       std::pair("53100", absl::StatusCode::kResourceExhausted),
                                       std::pair("55P03", absl::StatusCode::kUnavailable),
                                       std::pair("57014", absl::StatusCode::kDeadlineExceeded)}) {
    SqlParams params;
    params.Text(sqlstate);
    EXPECT_THAT(pool_.Execute(fail, params), base::StatusIs(code, HasSubstr("failed"))) << sqlstate;
    EXPECT_THAT(bulk_pool_.Execute(fail, params), base::StatusIs(code, HasSubstr("failed")))
        << sqlstate;
  }
}

TEST_F(PgPoolTest, ASerializationFailureIsRerun) {
  ASSERT_OK(server_.Run(url_, "CREATE TABLE n (x integer); INSERT INTO n VALUES (0)"));
  const SqlStatement read = {"read_n", "SELECT x FROM n", true};
  const SqlStatement add = {"add_n", "UPDATE n SET x = x + 1"};
  int runs = 0;

  EXPECT_OK(pool_.RunInTransaction("add", SqlIsolation::kRepeatableRead,
                                   [&](SqlTransaction& transaction) {
                                     EXPECT_OK(transaction.Execute(read, SqlParams()));
                                     // Somebody else is faster, once.
                                     if (++runs == 1) {
                                       EXPECT_OK(server_.Run(url_, "UPDATE n SET x = 10"));
                                     }
                                     return transaction.Execute(add, SqlParams()).status();
                                   }));

  EXPECT_EQ(runs, 2);
  ASSERT_OK_AND_ASSIGN(const SqlRows rows, pool_.Execute(read, SqlParams()));
  EXPECT_EQ(SqlRow(rows, 0).Int("x"), 11);
}

TEST_F(PgPoolTest, RerunsHaveALimit) {
  const SqlStatement deadlock = {"deadlock", "SELECT deadlock()"};
  ASSERT_OK(server_.Run(url_,
                        "CREATE FUNCTION deadlock() RETURNS void LANGUAGE plpgsql AS "
                        "$$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END $$"));
  int runs = 0;
  int bulk_runs = 0;

  EXPECT_THAT(pool_.RunInTransaction("deadlock", SqlIsolation::kReadCommitted,
                                     [&](SqlTransaction& transaction) {
                                       ++runs;
                                       return transaction.Execute(deadlock, SqlParams()).status();
                                     }),
              base::StatusIs(absl::StatusCode::kAborted, HasSubstr("again")));
  EXPECT_THAT(
      bulk_pool_.RunInTransaction("deadlock", SqlIsolation::kReadCommitted,
                                  [&](BulkTransaction& transaction) {
                                    ++bulk_runs;
                                    return transaction.Execute(deadlock, SqlParams()).status();
                                  }),
      base::StatusIs(absl::StatusCode::kAborted, HasSubstr("again")));

  EXPECT_EQ(runs, PgPool::kMaxReruns + 1);
  EXPECT_EQ(bulk_runs, PgPool::kMaxReruns + 1);
}

TEST_F(PgPoolTest, AnAbortOfOurOwnIsNotRerun) {
  int runs = 0;

  EXPECT_THAT(pool_.RunInTransaction("aborting", SqlIsolation::kReadCommitted,
                                     [&](SqlTransaction&) {
                                       ++runs;
                                       return absl::AbortedError("no");
                                     }),
              base::StatusIs(absl::StatusCode::kAborted));

  EXPECT_EQ(runs, 1);
}

TEST_F(PgPoolTest, AChangeWhoseAnswerIsLostIsInDoubt) {
  EXPECT_THAT(pool_.Execute(kEndSession, SqlParams()), base::StatusIs(absl::StatusCode::kUnknown));
  EXPECT_THAT(bulk_pool_.Execute(kEndSession, SqlParams()),
              base::StatusIs(absl::StatusCode::kUnknown));

  EXPECT_THAT(Count(), base::IsOkAndHolds(0));
}

TEST_F(PgPoolTest, AReadWhoseAnswerIsLostCanBeRepeated) {
  EXPECT_THAT(pool_.Execute(kEndSessionReading, SqlParams()),
              base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(bulk_pool_.Execute(kEndSessionReading, SqlParams()),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(PgPoolTest, AConnectionLostBeforeTheCommitChangedNothing) {
  const auto end_in_the_middle = [](auto& transaction) -> absl::Status {
    EXPECT_OK(transaction.Execute(kInsert, Value(1)));
    return transaction.Execute(kEndSession, SqlParams()).status();
  };

  EXPECT_THAT(pool_.RunInTransaction("lost", SqlIsolation::kReadCommitted, end_in_the_middle),
              base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(bulk_pool_.RunInTransaction("lost", SqlIsolation::kReadCommitted, end_in_the_middle),
              base::StatusIs(absl::StatusCode::kUnavailable));

  EXPECT_THAT(Count(), base::IsOkAndHolds(0));
}

TEST_F(PgPoolTest, ACommitWhoseAnswerIsLostIsInDoubtAndNotRerun) {
  ASSERT_OK(server_.Run(url_, kLosesTheAnswerOfCommit));
  int runs = 0;
  const auto body = [&](auto& transaction) -> absl::Status {
    ++runs;
    return transaction.Execute(kInsertDoubtful, SqlParams()).status();
  };

  EXPECT_THAT(pool_.RunInTransaction("doubtful", SqlIsolation::kReadCommitted, body),
              base::StatusIs(absl::StatusCode::kUnknown));
  EXPECT_THAT(bulk_pool_.RunInTransaction("doubtful", SqlIsolation::kReadCommitted, body),
              base::StatusIs(absl::StatusCode::kUnknown));

  EXPECT_EQ(runs, 2);
  EXPECT_THAT(Count(), base::IsOkAndHolds(0));
}

TEST_F(PgPoolTest, APoolSurvivesARestartOfTheServer) {
  for (const store::TestPostgres::StopMode mode :
       {store::TestPostgres::StopMode::kFast, store::TestPostgres::StopMode::kImmediate}) {
    ASSERT_OK(Count());
    ASSERT_OK(bulk_pool_.Execute(kCount, SqlParams()));
    server_.Stop(mode);

    EXPECT_THAT(Count(), base::StatusIs(absl::StatusCode::kUnavailable));
    EXPECT_THAT(bulk_pool_.Execute(kCount, SqlParams()),
                base::StatusIs(absl::StatusCode::kUnavailable));

    server_.Start();
    // The back-off of a few milliseconds may not have passed yet.
    const absl::Duration limit = clock_.Steady() + absl::Minutes(1);
    absl::StatusOr<int64_t> count = Count();
    while (!count.ok() && clock_.Steady() < limit) count = Count();
    EXPECT_THAT(count, base::IsOkAndHolds(0));
    absl::StatusOr<SqlRows> bulk = bulk_pool_.Execute(kCount, SqlParams());
    while (!bulk.ok() && clock_.Steady() < limit) bulk = bulk_pool_.Execute(kCount, SqlParams());
    EXPECT_OK(bulk);
  }
}

TEST_F(PgPoolTest, AnUnreachableServerIsNamedWithoutItsPassword) {
  PgConnectionParams params = ParamsOf("postgres://ada@127.0.0.1:1/class");
  params.conninfo += " password='hunter2'";
  PgPool pool(params, OptionsOf(1), clock_, metrics_);
  PgBulkPool bulk_pool(params, OptionsOf(1), clock_, metrics_);

  for (const absl::Status& status : {pool.Execute(kCount, SqlParams()).status(),
                                     bulk_pool.Execute(kCount, SqlParams()).status()}) {
    EXPECT_THAT(status, base::StatusIs(
                            absl::StatusCode::kUnavailable,
                            AllOf(HasSubstr("ada@127.0.0.1:1/class"), Not(HasSubstr("hunter2")))));
  }
}

// Bulk payloads.

constexpr SqlStatement kReadBytes = {"read_bytes", "SELECT data FROM blob ORDER BY seq", true};
constexpr SqlStatement kInsertBytes = {"insert_bytes", "INSERT INTO blob VALUES ($1::integer, $2)"};

TEST_F(PgPoolTest, BytesTravelBothWaysInPieces) {
  ASSERT_OK(server_.Run(url_, "CREATE TABLE blob (seq integer, data bytea)"));
  std::string bytes(1'000'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7919 >> 3);
  const absl::string_view view(bytes);
  std::string read;

  EXPECT_OK(bulk_pool_.RunInTransaction(
      "both_ways", SqlIsolation::kReadCommitted, [&](BulkTransaction& transaction) -> absl::Status {
        GANNET_RETURN_IF_ERROR(transaction.CopyIn(
            "COPY blob (seq, data) FROM STDIN (FORMAT binary)", [&](CopyWriter& writer) {
              for (int32_t i = 0; i < 50; ++i) {
                writer.Row(2);
                writer.Int32(i);
                writer.Bytes(view.substr(static_cast<size_t>(i) * 10'000, 10'000));
              }
            }));
        GANNET_RETURN_IF_ERROR(transaction.ExecuteMany(kInsertBytes, 50, [&](int i) {
          SqlParams params;
          params.Int(50 + i).Bytes(view.substr(500'000 + static_cast<size_t>(i) * 10'000, 10'000));
          return params;
        }));
        return transaction.ReadBytes(kReadBytes, SqlParams(), [&](absl::string_view row) {
          read.append(row.data(), row.size());
        });
      }));

  EXPECT_TRUE(read == bytes);
}

TEST_F(PgPoolTest, AFailureInAPipelineIsTheFirstOne) {
  EXPECT_THAT(bulk_pool_.RunInTransaction("pipeline", SqlIsolation::kReadCommitted,
                                          [](BulkTransaction& transaction) {
                                            return transaction.ExecuteMany(
                                                kInsert, 100, [](int i) { return Value(i % 60); });
                                          }),
              base::StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("duplicate key")));

  EXPECT_THAT(Count(), base::IsOkAndHolds(0));
  // The connection is good for the next one.
  EXPECT_OK(bulk_pool_.Execute(kInsert, Value(1)));
}

TEST_F(PgPoolTest, AFailureOfACopyIsSaid) {
  const auto copy = [](BulkTransaction& transaction) {
    return transaction.CopyIn("COPY t (x) FROM STDIN (FORMAT binary)", [](CopyWriter& writer) {
      for (int i = 0; i < 100'000; ++i) {
        writer.Row(1);
        writer.Int32(7);
      }
    });
  };

  EXPECT_THAT(bulk_pool_.RunInTransaction("copy", SqlIsolation::kReadCommitted, copy),
              base::StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(bulk_pool_.RunInTransaction("copy", SqlIsolation::kReadCommitted,
                                          [](BulkTransaction& transaction) {
                                            return transaction.CopyIn("COPY nothing FROM STDIN",
                                                                      [](CopyWriter&) {});
                                          }),
              base::StatusIs(absl::StatusCode::kInternal, HasSubstr("nothing")));
  EXPECT_OK(bulk_pool_.Execute(kInsert, Value(1)));
}

TEST_F(PgPoolTest, OperationsAreMeasuredByName) {
  ASSERT_OK(Count());

  EXPECT_THAT(metrics_.Render(),
              HasSubstr("gannet_database_operation_seconds_count{operation=\"count\"} 1"));
}

}  // namespace
}  // namespace gannet::pg
