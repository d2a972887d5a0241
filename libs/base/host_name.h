#pragma once

#include <string>

namespace gannet::base {

// The name of this machine, at most 64 characters; "host" when it has none.
std::string HostName();

}  // namespace gannet::base
