#pragma once

#include <cstdint>
#include <string>

namespace gannet::data {

// Where the archive begins in the file: behind the program of a self-extracting archive, or
// whatever else somebody put before it without correcting the offsets inside. 0 where it begins
// with the file, and where the end of the directory is not found or makes no sense; what is wrong
// then, libzip says.
int64_t ZipStart(const std::string& path);

}  // namespace gannet::data
