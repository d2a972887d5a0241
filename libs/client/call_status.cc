#include "libs/client/call_status.h"

#include "libs/rpc/grpc_status.h"

namespace gannet {

absl::Status CallStatus(const grpc::Status& status, const std::string& peer,
                        const std::string& target) {
  absl::Status converted = FromGrpcStatus(status);
  switch (converted.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return absl::UnavailableError(
          absl::StrCat(peer, " at ", target, " is not available: ", converted.message()));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::DeadlineExceededError(
          absl::StrCat(peer, " at ", target, " did not answer in time"));
    default:
      return converted;
  }
}

}  // namespace gannet
