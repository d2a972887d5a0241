#include "libs/rpc/health_probe.h"

#include <future>
#include <iostream>

#include "google/protobuf/wrappers.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "libs/base/status_macros.h"
#include "libs/rpc/address.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/grpc_status.h"

namespace gannet::rpc {
namespace {

// On a machine whose cores all compute an answer may take many seconds, and a service that is slow
// is not dead.
constexpr absl::Duration kAnswerLimit = absl::Seconds(15);

}  // namespace

absl::StatusOr<bool> ProbeHealth(const std::shared_ptr<grpc::Channel>& channel,
                                 const std::string& service, absl::Duration limit) {
  // Debian ships no health.pb.h. The wrappers have the same bytes: one string, one enum, both as
  // field 1.
  google::protobuf::StringValue request;
  request.set_value(service);
  google::protobuf::Int32Value response;
  grpc::ClientContext context;
  SetDeadline(context, limit);
  std::promise<grpc::Status> done;
  grpc::TemplatedGenericStub<google::protobuf::StringValue, google::protobuf::Int32Value> stub(
      channel);
  stub.UnaryCall(&context, "/grpc.health.v1.Health/Check", {}, &request, &response,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  GANNET_RETURN_IF_ERROR(FromGrpcStatus(done.get_future().get()));
  constexpr int kServing = 1;
  return response.value() == kServing;
}

int AnswerHealth(const std::string& key, const std::string& listen) {
  if (listen.empty()) {
    std::cout << "not known: " << key << " names no address to ask\n";
    return 1;
  }
  const absl::StatusOr<Address> address = ParseAddress(listen);
  if (!address.ok()) {
    std::cout << key << ": " << address.status().message() << "\n";
    return 1;
  }
  ChannelOptions options;
  options.target = LocalTarget(*address);
  const auto channel = MakeChannel(options, ChannelUse::kControl);
  const absl::StatusOr<bool> serving =
      channel.ok() ? ProbeHealth(*channel, "", kAnswerLimit) : channel.status();
  if (!serving.ok()) {
    std::cout << "no answer from " << options.target << ": " << serving.status().message() << "\n";
    return 1;
  }
  std::cout << (*serving ? "serving\n" : "not serving\n");
  return *serving ? 0 : 1;
}

}  // namespace gannet::rpc
