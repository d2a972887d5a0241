#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace gannet::data {

// The bytes of a zip archive with these entries, in this order; names may repeat.
struct ZipEntry {
  std::string name;
  std::string bytes;
  bool deflated = false;
};
std::string EncodeZip(const std::vector<ZipEntry>& entries);

// Bytes compressed as gzip does.
std::string Gzip(absl::string_view bytes);

}  // namespace gannet::data
