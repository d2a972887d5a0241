#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gannet::rpc {

struct Address {
  std::string host;
  int port = 0;
};

// Reads "HOST:PORT"; an IPv6 host is written "[::1]:PORT".
// Returns: INVALID_ARGUMENT - not of that form, or the port is not 0 to 65535.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

// "HOST:PORT" at which programs of this machine reach a server that listens at `address`: loopback
// when that is every address of the machine.
std::string LocalTarget(const Address& address);

}  // namespace gannet::rpc
