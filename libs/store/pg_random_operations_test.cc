#include <string>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/exchange/testing/memory_fixture.h"
#include "libs/exchange/testing/random_operations.h"
#include "libs/store/testing/pg_fixture.h"

namespace gannet::store {
namespace {

using ::testing::HasSubstr;

// The script that replaces what `pattern` matches in a function. It fails when nothing does: a test
// must not pass because it removed nothing.
std::string Mutant(const std::string& function, const std::string& pattern,
                   const std::string& replacement) {
  return absl::StrFormat(
      "DO $mutant$ DECLARE v_before text := pg_get_functiondef('%s'::regproc); "
      "v_after text := regexp_replace(v_before, $p$%s$p$, $p$%s$p$, 'g'); BEGIN "
      "IF v_after = v_before THEN RAISE EXCEPTION 'the mutant changes nothing'; END IF; "
      "EXECUTE v_after; END $mutant$;",
      function, pattern, replacement);
}

class PgRandomOperationsTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(PgRandomOperationsTest, MemoryAndPostgreSqlAnswerAlike) {
  exchange::MemoryFixture memory;
  PgFixture postgres;

  EXPECT_TRUE(exchange::CompareRandomOperations(memory, postgres, GetParam(), 2000));
}

INSTANTIATE_TEST_SUITE_P(Seeds, PgRandomOperationsTest, ::testing::Values(1, 2, 3));

// What each part of the SQL is for: without it the answers are no longer those of the reference.
struct NamedMutant {
  const char* name;
  std::string sql;
  const char* shown_by;  // the operation in which the difference is first seen
};

class PgMutantTest : public ::testing::TestWithParam<NamedMutant> {};

TEST_P(PgMutantTest, IsFound) {
  exchange::MemoryFixture memory;
  PgFixture postgres(GetParam().sql);

  const ::testing::AssertionResult result =
      exchange::CompareRandomOperations(memory, postgres, 1, 2000);

  EXPECT_FALSE(result);
  EXPECT_THAT(result.message(), HasSubstr(GetParam().shown_by));
}

INSTANTIATE_TEST_SUITE_P(
    Mutants, PgMutantTest,
    ::testing::Values(
        NamedMutant{"NoFence",
                    Mutant("gannet.submit_gradient", R"(/\* fence \*/.*?/\* fence \*/)", "true"),
                    "Submit"},
        NamedMutant{"NoCompareAndSwap",
                    Mutant("gannet.publish_round",
                           R"(v_run\.weights_version <> p_expected_version)", "false"),
                    "Publish"},
        NamedMutant{"NoLeader",
                    Mutant("gannet.require_leader", R"(v_run\.leader_term IS DISTINCT FROM p_term)",
                           "false"),
                    "FAILED_PRECONDITION"},
        NamedMutant{
            "NoSecret",
            Mutant("gannet.require_worker",
                   R"(v_secret_sha256 IS DISTINCT FROM sha256\(convert_to\(p_secret, 'UTF8'\)\))",
                   "false"),
            "UNAUTHENTICATED"},
        NamedMutant{"TheReaperTakesAll",
                    Mutant("gannet.reap_expired_leases", R"(u\.lease_until <= v_now)", "true"),
                    "ReapExpiredLeases"},
        NamedMutant{"SettingsUnchecked",
                    Mutant("gannet.publish_round",
                           R"(v_run.settings_version <> p_settings_version)", "false"),
                    "Publish"},
        NamedMutant{"NothingIsCarriedOver",
                    Mutant("gannet.publish_round", R"(v_request\.max_stale_rounds > 0)", "false"),
                    "Publish"}),
    [](const auto& mutant) { return std::string(mutant.param.name); });

}  // namespace
}  // namespace gannet::store
