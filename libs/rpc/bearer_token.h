#pragma once

#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "grpcpp/client_context.h"
#include "grpcpp/support/string_ref.h"

namespace gannet::rpc {

// A secret that a caller shows with a call, as metadata "authorization: Bearer TOKEN" (RFC 6750).
// Only as secret as the connection: use TLS, or loopback.

enum class BearerToken { kMissing, kWrong, kRight };

// What the caller has shown. The time taken does not tell how much of a wrong token was right.
BearerToken CheckBearerToken(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                             absl::string_view expected);

// Shows `token` with the call; an empty one is not sent.
void AddBearerToken(grpc::ClientContext& context, const std::string& token);

}  // namespace gannet::rpc
