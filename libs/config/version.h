#pragma once

namespace gannet::config {

// The version of this build, "0.1.0".
const char* GannetVersion();

}  // namespace gannet::config
