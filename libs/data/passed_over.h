#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "libs/data/image_names.h"

namespace gannet::data {

// What lies among the images of a data set and is no part of it, one for each kind.
struct PassedOver {
  std::string what;  // ".gif", "hidden", "thumbnails", … (PassedOverKind)
  std::string why;
  int64_t count = 0;
  std::string first;  // by name
};

class PassedOverCounts {
 public:
  void Add(const PassedOverKind& kind, const std::string& name);

  // In order of `what`.
  std::vector<PassedOver> all() const;

 private:
  std::map<std::string, PassedOver> by_what_;
};

// All of it in a few words: "2 .gif, 1 hidden, 4 thumbnails"; empty where there is nothing.
std::string PassedOverText(absl::Span<const PassedOver> all);

}  // namespace gannet::data
