#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gannet::cli {

// The name of the file that an http(s) address leads to: the last part of its path, without query
// and fragment, %20 and the like decoded.
// Returns: INVALID_ARGUMENT - the path has none (it is empty or ends with a slash), or one that is
// no name of a file here: with a separator of folders or a control character in it, hidden, or too
// long.
absl::StatusOr<std::string> FileNameOfUrl(absl::string_view url);

}  // namespace gannet::cli
