#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gannet {

enum class Durability {
  kQuick,   // a power cut may leave the old file
  kSynced,  // it is on the disk when the call returns
};

// Replaces a file as a whole: readers see the old one or the new one, and when it cannot be written
// (a full disk) the old one stays.
// Returns: UNAVAILABLE - with the system's reason.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes,
                                 Durability durability = Durability::kQuick);

}  // namespace gannet
