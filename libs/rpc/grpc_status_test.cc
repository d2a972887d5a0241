#include "libs/rpc/grpc_status.h"

#include <string>

#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::rpc {
namespace {

TEST(GrpcStatusTest, EveryCodeComesBackAsItWent) {
  for (int code = 0; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), code == 0 ? "" : "why");

    EXPECT_EQ(FromGrpcStatus(ToGrpcStatus(status)), status);
  }
}

TEST(GrpcStatusTest, ALongMessageIsCut) {
  const std::string message(100'000, 'x');

  EXPECT_EQ(ToGrpcStatus(absl::InternalError(message)).error_message().size(), 2'000u);
  EXPECT_EQ(FromGrpcStatus(grpc::Status(grpc::StatusCode::INTERNAL, message)).message().size(),
            2'000u);
}

}  // namespace
}  // namespace gannet::rpc
