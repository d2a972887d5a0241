#pragma once

// GANNET_CHECK(condition): ends the process, naming the condition, when an invariant of our own
// does not hold. Nothing that a peer, user, file or database sends may reach it: those get a
// Status.

namespace gannet::base {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace gannet::base

#define GANNET_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::gannet::base::CheckFailed(__FILE__, __LINE__, #condition))
