#pragma once

#include "absl/status/status.h"

namespace gannet::gan {

// The part of ConfigureCompute that leaves malloc alone, for measuring others.
void ConfigureThreads(int threads);

// Gives the calling thread the number of OpenMP threads that ConfigureCompute chose: OpenMP keeps
// it per thread, and a new thread starts with one per CPU. Every entry into the library calls it.
void PrepareComputeThread();

// Converts the exception being handled: an out-of-memory to RESOURCE_EXHAUSTED, any other to
// INTERNAL. Call only in a catch block. `what` names what was being done.
absl::Status StatusFromException(const char* what);

}  // namespace gannet::gan
