#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace gannet::cli {

struct FetchOptions {
  std::string url;                                 // http or https
  std::string out;                                 // what has arrived so far is in OUT.part
  std::string sha256;                              // 64 hexadecimal digits; empty: not compared
  int attempts = 5;                                // a broken connection is taken up where it broke
  absl::Duration pause = absl::Seconds(1);         // before the second attempt; doubled each time
  absl::Duration stall_limit = absl::Seconds(30);  // less than 100 bytes a second for so long
  // Bytes so far, and in all (0: not known). May be empty. False ends the transfer.
  std::function<bool(int64_t done, int64_t total)> on_progress;
};

// Downloads a file. It appears under its name only when it is whole: of the right checksum, if one
// is given, and of the kind that its name promises (CheckFetchedContent): a page of a site that has
// had enough arrives with status 200 too. What has arrived when it ends early stays beside it, and
// the next call goes on from there, unless the server has another version by then.
// Returns: INVALID_ARGUMENT - not such an address; CANCELLED; NOT_FOUND, PERMISSION_DENIED - the
// server says so; ALREADY_EXISTS - `out` is there, it is left as it is; FAILED_PRECONDITION -
// another process fetches the same file; DATA_LOSS - another checksum, a web page, nothing, or
// something else than the name promises; then nothing is kept; UNAVAILABLE - no answer, or the file
// cannot be written.
absl::Status Fetch(const FetchOptions& options);

}  // namespace gannet::cli
