#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/exchange/testing/memory_fixture.h"
#include "libs/exchange/testing/random_operations.h"
#include "libs/store/testing/pg_fixture.h"

namespace gannet {
namespace {

using ::testing::HasSubstr;

// Lets every submission through whose counts are right.
constexpr char kWithoutTheFence[] = R"sql(
DO $mutant$
DECLARE
  v_before text := pg_get_functiondef('gannet.submit_gradient'::regproc);
  v_after text := regexp_replace(v_before, '/\* fence \*/.*/\* fence \*/', 'true');
BEGIN
  IF v_after = v_before THEN
    RAISE EXCEPTION 'the fence was not found: the test removes nothing';
  END IF;
  EXECUTE v_after;
END
$mutant$;
)sql";

class PgRandomOperationsTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(PgRandomOperationsTest, MemoryAndPostgreSqlAnswerAlike) {
  MemoryFixture memory;
  PgFixture postgres;

  EXPECT_TRUE(CompareRandomOperations(memory, postgres, GetParam(), 2000));
}

INSTANTIATE_TEST_SUITE_P(Seeds, PgRandomOperationsTest, ::testing::Values(1, 2, 3));

TEST(PgMutantTest, WithoutTheFenceTheAnswersDiffer) {
  MemoryFixture memory;
  PgFixture postgres(kWithoutTheFence);

  const ::testing::AssertionResult result = CompareRandomOperations(memory, postgres, 1, 2000);

  EXPECT_FALSE(result);
  EXPECT_THAT(result.message(), HasSubstr("Submit"));
}

}  // namespace
}  // namespace gannet
