#pragma once

#include <cstdint>

#include "gtest/gtest.h"
#include "libs/exchange/testing/backend_fixture.h"

namespace gannet::exchange {

// Drives two empty backends through the same seeded sequence of random operations, in lockstep, and
// compares every answer (status code and value, units named by round and slot) and every now and
// then the whole stored state (FormatRunDump). The sequence has several runs; several workers with
// stale incarnations, wrong secrets and malformed identities; two coordinators that take leadership
// from one another; late, repeated and forged submissions; repeats of any earlier request; and time
// that moves, often to the exact end of a lease. It names no unit that was not claimed before,
// but for one that never existed.
//
// Fails with the first difference, the seed, and the operations before it; the same seed repeats
// it. Claims do not wait.
::testing::AssertionResult CompareRandomOperations(BackendFixture& a, BackendFixture& b,
                                                   uint64_t seed, int operations);

}  // namespace gannet::exchange
