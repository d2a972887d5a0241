#pragma once

#include <string>

namespace gannet::worker {

// "AMD EPYC 7763, 8 threads", from /proc/cpuinfo; at most 200 characters.
std::string DescribeHardware(int threads);

// The cores this process may use: 0 in the settings means all of them.
int AvailableCores();

}  // namespace gannet::worker
