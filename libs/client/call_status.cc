#include "libs/client/call_status.h"

#include "absl/strings/str_cat.h"
#include "libs/rpc/grpc_status.h"
#include "libs/rpc/tls.h"

namespace gannet::client {
namespace {

absl::Status Unavailable(absl::string_view message, const std::string& peer,
                         const std::string& target) {
  const rpc::HandshakeAdvice advice = rpc::AdviseOnHandshake(message);
  const std::string text = absl::StrCat(peer, " at ", target, " is not available: ", message);
  if (advice.text.empty()) return absl::UnavailableError(text);
  const std::string with_advice = absl::StrCat(text, "; ", advice.text);
  return advice.certain ? absl::FailedPreconditionError(with_advice)
                        : absl::UnavailableError(with_advice);
}

}  // namespace

absl::Status CallStatus(const grpc::Status& status, const std::string& peer,
                        const std::string& target) {
  absl::Status converted = rpc::FromGrpcStatus(status);
  switch (converted.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return Unavailable(converted.message(), peer, target);
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(
          absl::StrCat(peer, " at ", target, " did not answer in time"));
    case absl::StatusCode::kUnimplemented:
      return absl::FailedPreconditionError(absl::StrCat("whatever answers at ", target, " is no ",
                                                        peer, ", or one of another version"));
    default:
      return converted;
  }
}

}  // namespace gannet::client
