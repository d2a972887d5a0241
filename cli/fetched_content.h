#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gannet::cli {

// Whether the file at `path` may be what `name` promises; where that promises nothing, whether it
// may be data. `is_proven`: its checksum is known, which says more than a look at its first bytes.
// Returns: DATA_LOSS - it is empty, a page or an answer of a site in place of a file, a pointer of
// Git LFS, of another kind than the ending says, or text under a name that is no text's.
absl::Status CheckFetchedContent(const std::string& path, absl::string_view name, bool is_proven);

}  // namespace gannet::cli
