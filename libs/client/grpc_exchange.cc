#include "libs/client/grpc_exchange.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gannet/v1/exchange_service.grpc.pb.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/client/call_status.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/validation.h"
#include "libs/rpc/bearer_token.h"
#include "libs/rpc/reconnector.h"

namespace gannet::client {
namespace {

constexpr size_t kChunkBytes = 512 << 10;

}  // namespace

struct GrpcExchange::Stubs {
  std::unique_ptr<v1::ExchangeService::Stub> control;
  std::unique_ptr<v1::ExchangeService::Stub> bulk;
  std::unique_ptr<rpc::Reconnector> reconnector;
  std::atomic<bool> reached = false;
};

absl::StatusOr<std::unique_ptr<GrpcExchange>> GrpcExchange::Create(
    const GrpcExchangeOptions& options) {
  auto stubs = std::make_unique<Stubs>();
  GANNET_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> control,
                          rpc::MakeChannel(options.channel, rpc::ChannelUse::kControl));
  GANNET_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> bulk,
                          rpc::MakeChannel(options.channel, rpc::ChannelUse::kBulk));
  stubs->control = v1::ExchangeService::NewStub(control);
  stubs->bulk = v1::ExchangeService::NewStub(bulk);
  stubs->reconnector = std::make_unique<rpc::Reconnector>(std::vector{control, bulk});
  return std::unique_ptr<GrpcExchange>(new GrpcExchange(options, std::move(stubs)));
}

GrpcExchange::GrpcExchange(const GrpcExchangeOptions& options, std::unique_ptr<Stubs> stubs)
    : options_(options), stubs_(std::move(stubs)) {}

GrpcExchange::~GrpcExchange() = default;

absl::Status GrpcExchange::ToStatus(const grpc::Status& status) const {
  if (status.ok()) stubs_->reached = true;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) stubs_->reconnector->Reconnect();
  absl::Status converted = CallStatus(status, "gateway", options_.channel.target);
  const bool stranger = absl::IsFailedPrecondition(converted) &&
                        status.error_code() != grpc::StatusCode::FAILED_PRECONDITION;
  if (stranger && stubs_->reached) return absl::UnavailableError(converted.message());
  return converted;
}

absl::StatusOr<exchange::JoinResult> GrpcExchange::Join(const exchange::JoinRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateJoin(request));
  grpc::ClientContext context;
  rpc::SetDeadline(context, options_.call_limit);
  rpc::AddBearerToken(context, options_.class_code);
  v1::JoinResponse response;
  GANNET_RETURN_IF_ERROR(
      ToStatus(stubs_->control->Join(&context, exchange::ToProto(request), &response)));
  return Received(exchange::FromProto(response));
}

absl::StatusOr<exchange::RunDescription> GrpcExchange::Describe(
    const exchange::WorkerIdentity& worker, base::RunId run) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateDescribe(worker, run));
  grpc::ClientContext context;
  rpc::SetDeadline(context, options_.call_limit);
  v1::DescribeResponse response;
  GANNET_RETURN_IF_ERROR(ToStatus(stubs_->control->Describe(
      &context, exchange::ToProto(exchange::DescribeCall{.worker = worker, .run = run}),
      &response)));
  return Received(exchange::FromProto(response));
}

absl::StatusOr<exchange::ClaimResult> GrpcExchange::Claim(const exchange::ClaimRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateClaim(request));
  grpc::ClientContext context;
  rpc::SetDeadline(context, request.wait + options_.call_limit);
  v1::ClaimResponse response;
  GANNET_RETURN_IF_ERROR(
      ToStatus(stubs_->control->Claim(&context, exchange::ToProto(request), &response)));
  return Received(exchange::FromProto(response));
}

absl::StatusOr<exchange::Payload> GrpcExchange::FetchWeights(
    const exchange::FetchWeightsRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateFetchWeights(request));
  grpc::ClientContext context;
  rpc::SetDeadline(context, options_.transfer_limit);
  const auto stream = stubs_->bulk->FetchWeights(&context, exchange::ToProto(request));
  // What was received is only looked at once the stream has ended well: a stream cut off by an
  // error tells that error.
  auto finish = [&]() -> absl::Status { return ToStatus(stream->Finish()); };
  auto abandon = [&](absl::Status why) {
    context.TryCancel();
    stream->Finish();
    return why;
  };

  v1::FetchWeightsResponse message;
  if (!stream->Read(&message)) {
    GANNET_RETURN_IF_ERROR(finish());
    return absl::DataLossError("weights stream without a header");
  }
  if (!message.has_header()) {
    return abandon(absl::DataLossError("weights stream starts without a header"));
  }
  const absl::StatusOr<exchange::PayloadAnnouncement> header =
      Received(exchange::FromProto(message.header()));
  if (!header.ok()) return abandon(header.status());
  if (header->total_bytes > options_.max_weights_bytes) {
    return abandon(absl::OutOfRangeError(absl::StrCat("weights too large: at most ",
                                                      options_.max_weights_bytes, " bytes, got ",
                                                      header->total_bytes)));
  }
  const auto total_bytes = static_cast<size_t>(header->total_bytes);
  std::string bytes;
  bytes.reserve(total_bytes);
  base::Sha256Hasher hasher;
  while (stream->Read(&message)) {
    if (!message.has_chunk() || message.chunk().size() > total_bytes - bytes.size()) {
      return abandon(absl::DataLossError(absl::StrCat(
          "weights stream continues past its announced end: ", total_bytes, " bytes")));
    }
    hasher.Update(message.chunk());
    bytes.append(message.chunk());
  }
  GANNET_RETURN_IF_ERROR(finish());
  if (bytes.size() != total_bytes) {
    return absl::DataLossError(absl::StrCat("weights stream is truncated: expected ", total_bytes,
                                            " bytes, got ", bytes.size()));
  }
  std::string sha256 = hasher.Finish();
  if (sha256 != header->sha256) {
    return absl::DataLossError(absl::StrCat("weights do not match their checksum: version ",
                                            request.version.value(), " of run ",
                                            request.run.value()));
  }
  return exchange::Payload::FromHashed(header->codec, std::move(bytes), std::move(sha256));
}

absl::StatusOr<domain::SubmitOutcome> GrpcExchange::Submit(const exchange::SubmitRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateSubmit(request));
  grpc::ClientContext context;
  rpc::SetDeadline(context, options_.transfer_limit);
  v1::SubmitResponse response;
  const auto stream = stubs_->bulk->Submit(&context, &response);
  v1::SubmitRequest message;
  *message.mutable_header() = exchange::SubmitHeaderOf(request);
  // A gateway that refuses ends the stream: the next write fails, and Finish tells why.
  bool open = stream->Write(message);
  const absl::string_view bytes = *request.payload.bytes;
  for (size_t sent = 0; open && sent < bytes.size(); sent += kChunkBytes) {
    const absl::string_view chunk = bytes.substr(sent, kChunkBytes);
    message.set_chunk(chunk.data(), chunk.size());
    open = stream->Write(message);
  }
  if (open) stream->WritesDone();
  GANNET_RETURN_IF_ERROR(ToStatus(stream->Finish()));
  return Received(exchange::FromProto(response.outcome()));
}

absl::StatusOr<exchange::HeartbeatResult> GrpcExchange::Heartbeat(
    const exchange::WorkerIdentity& worker, base::RunId run,
    const std::vector<exchange::UnitProgress>& held) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateHeartbeat(worker, run, held));
  grpc::ClientContext context;
  rpc::SetDeadline(context, options_.call_limit);
  v1::HeartbeatResponse response;
  GANNET_RETURN_IF_ERROR(ToStatus(stubs_->control->Heartbeat(
      &context,
      exchange::ToProto(exchange::HeartbeatCall{.worker = worker, .run = run, .held = held}),
      &response)));
  return Received(exchange::FromProto(response));
}

absl::Status GrpcExchange::Release(const exchange::WorkerIdentity& worker, base::RunId run,
                                   base::UnitId unit, base::Attempt attempt) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateRelease(worker, run, unit, attempt));
  grpc::ClientContext context;
  rpc::SetDeadline(context, options_.call_limit);
  v1::ReleaseResponse response;
  return ToStatus(
      stubs_->control->Release(&context,
                               exchange::ToProto(exchange::ReleaseCall{
                                   .worker = worker, .run = run, .unit = unit, .attempt = attempt}),
                               &response));
}

absl::Status GrpcExchange::Fail(const exchange::WorkerIdentity& worker, base::RunId run,
                                base::UnitId unit, base::Attempt attempt,
                                const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateFail(worker, run, unit, attempt, reason));
  grpc::ClientContext context;
  rpc::SetDeadline(context, options_.call_limit);
  v1::FailResponse response;
  return ToStatus(stubs_->control->Fail(
      &context,
      exchange::ToProto(exchange::FailCall{
          .worker = worker, .run = run, .unit = unit, .attempt = attempt, .reason = reason}),
      &response));
}

absl::Status GrpcExchange::Leave(const exchange::WorkerIdentity& worker, base::RunId run) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateLeave(worker, run));
  grpc::ClientContext context;
  rpc::SetDeadline(context, options_.call_limit);
  v1::LeaveResponse response;
  return ToStatus(stubs_->control->Leave(
      &context, exchange::ToProto(exchange::LeaveCall{.worker = worker, .run = run}), &response));
}

}  // namespace gannet::client
