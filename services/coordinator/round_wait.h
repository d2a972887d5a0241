#pragma once

#include <string>

#include "libs/exchange/store.h"

namespace gannet::coordinator {

// What the open round waits for, in one line for people: "2 of 3 gradients in, 1 unit in
// work, 0 units free, 2 workers there".
std::string DescribeWait(const exchange::RunStatus& status, const domain::RunConfig& config,
                         const exchange::RoundProgress& progress);

}  // namespace gannet::coordinator
