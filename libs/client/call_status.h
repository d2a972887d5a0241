#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/support/status.h"

namespace gannet::client {

// The status of a finished call to `peer` ("gateway") at `target`. A connection that was lost or
// could not be made names both and is UNAVAILABLE; so is CANCELLED, for our clients never cancel a
// call whose answer they want: the server was shutting down.
absl::Status CallStatus(const grpc::Status& status, const std::string& peer,
                        const std::string& target);

// An answer that cannot be converted is not this caller's mistake, whatever the conversion says:
// INTERNAL.
template <typename T>
absl::StatusOr<T> Received(absl::StatusOr<T> converted) {
  if (converted.ok()) return converted;
  return absl::InternalError(
      absl::StrCat("malformed answer from the server: ", converted.status().message()));
}

}  // namespace gannet::client
