#pragma once

#include <string>

namespace gannet::telemetry {

// What this process takes of the machine, in Prometheus' text format under the names that all its
// client libraries use: process_cpu_seconds_total, process_resident_memory_bytes,
// process_start_time_seconds, process_open_fds. Read from /proc/self; what cannot be read is left
// out.
std::string RenderProcessMetrics();

}  // namespace gannet::telemetry
