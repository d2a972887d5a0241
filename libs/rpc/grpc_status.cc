#include "libs/rpc/grpc_status.h"

#include <string>

namespace gannet::rpc {
namespace {

constexpr size_t kMaxMessageBytes = 2'000;

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.raw_code()),
                      std::string(status.message().substr(0, kMaxMessageBytes)));
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string& message = status.error_message();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      absl::string_view(message).substr(0, kMaxMessageBytes));
}

}  // namespace gannet::rpc
