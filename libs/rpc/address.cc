#include "libs/rpc/address.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace gannet::rpc {

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  auto malformed = [text] {
    return absl::InvalidArgumentError(absl::StrCat(
        "not an address: expected HOST:PORT, for example 127.0.0.1:50051 or [::1]:50051; got '",
        text.substr(0, 200), "'"));
  };
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return malformed();
  absl::string_view host = text.substr(0, colon);
  const absl::string_view port = text.substr(colon + 1);
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
  } else if (absl::StrContains(host, ":")) {
    return malformed();
  }
  if (host.empty() || absl::StrContains(host, "/") || port.empty() || port.size() > 5 ||
      !std::all_of(port.begin(), port.end(),
                   [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); })) {
    return malformed();
  }
  Address address;
  address.host = std::string(host);
  if (!absl::SimpleAtoi(port, &address.port) || address.port > 65'535) return malformed();
  return address;
}

std::string LocalTarget(const Address& address) {
  const std::string host = address.host == "0.0.0.0" ? "127.0.0.1"
                           : address.host == "::"    ? "::1"
                                                     : address.host;
  return absl::StrContains(host, ":") ? absl::StrCat("[", host, "]:", address.port)
                                      : absl::StrCat(host, ":", address.port);
}

}  // namespace gannet::rpc
