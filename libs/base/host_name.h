#pragma once

#include <string>

namespace gannet {

// The name of this machine, at most 64 characters; "host" when it has none.
std::string HostName();

}  // namespace gannet
