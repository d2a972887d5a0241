#include "libs/client/admin_client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "gannet/v1/admin_service.grpc.pb.h"
#include "libs/base/status_macros.h"
#include "libs/client/call_status.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/validation.h"
#include "libs/rpc/bearer_token.h"
#include "libs/rpc/reconnector.h"

namespace gannet::client {
namespace {

absl::StatusOr<RunReport> ReportFromProto(const v1::GetRunResponse& proto) {
  RunReport report;
  report.run = base::RunId(proto.run_id());
  GANNET_ASSIGN_OR_RETURN(report.config, exchange::FromProto(proto.config()));
  GANNET_ASSIGN_OR_RETURN(report.state, exchange::FromProto(proto.state()));
  report.state_reason = proto.state_reason();
  report.weights_version = base::WeightsVersion(proto.rounds_done());
  if (proto.has_last_round()) {
    GANNET_ASSIGN_OR_RETURN(report.last_round, exchange::FromProto(proto.last_round()));
  }
  report.images_per_second = proto.images_per_second();
  report.worker_count = proto.worker_count();
  report.latest_sample_path = proto.latest_sample_path();
  report.waiting_for = proto.waiting_for();
  report.wasted_image_count = proto.wasted_image_count();
  report.unit_seconds = proto.unit_seconds();
  report.unit_compute_seconds = proto.unit_compute_seconds();
  if (proto.has_best()) {
    report.best = {base::WeightsVersion(proto.best().version()), proto.best().distance()};
  }
  report.next_config = report.config;
  if (proto.has_next_config()) {
    GANNET_ASSIGN_OR_RETURN(report.next_config, exchange::FromProto(proto.next_config()));
  }
  for (const v1::SettingsChange& change : proto.changes()) {
    report.changes.push_back({base::Round(change.round()), change.difference(), change.reason()});
  }
  for (const v1::GatewayReport& gateway : proto.gateways()) {
    report.gateways.push_back(
        {gateway.gateway(), {gateway.refusing().begin(), gateway.refusing().end()}});
  }
  return report;
}

template <typename T, typename Repeated>
absl::StatusOr<Page<T>> PageFromProto(const Repeated& items, const std::string& next_page_token) {
  Page<T> page;
  page.items.reserve(static_cast<size_t>(items.size()));
  for (const auto& item : items) {
    GANNET_ASSIGN_OR_RETURN(T converted, exchange::FromProto(item));
    page.items.push_back(std::move(converted));
  }
  page.next_page_token = next_page_token;
  return page;
}

}  // namespace

struct AdminClient::Stub {
  std::unique_ptr<v1::AdminService::Stub> service;
  std::unique_ptr<rpc::Reconnector> reconnector;
};

absl::StatusOr<std::unique_ptr<AdminClient>> AdminClient::Create(
    const AdminClientOptions& options) {
  GANNET_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                          rpc::MakeChannel(options.channel, rpc::ChannelUse::kControl));
  auto stub = std::make_unique<Stub>();
  stub->service = v1::AdminService::NewStub(channel);
  stub->reconnector = std::make_unique<rpc::Reconnector>(std::vector{channel});
  return std::unique_ptr<AdminClient>(new AdminClient(options, std::move(stub)));
}

AdminClient::AdminClient(const AdminClientOptions& options, std::unique_ptr<Stub> stub)
    : options_(options), stub_(std::move(stub)) {}

AdminClient::~AdminClient() = default;

void AdminClient::Prepare(grpc::ClientContext& context) const {
  rpc::SetDeadline(context, options_.call_limit);
  rpc::AddBearerToken(context, options_.token);
}

absl::Status AdminClient::ToStatus(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) stub_->reconnector->Reconnect();
  return CallStatus(status, "coordinator", options_.channel.target);
}

absl::StatusOr<RunReport> AdminClient::GetRun() {
  grpc::ClientContext context;
  Prepare(context);
  v1::GetRunResponse response;
  GANNET_RETURN_IF_ERROR(ToStatus(stub_->service->GetRun(&context, {}, &response)));
  return Received(ReportFromProto(response));
}

absl::StatusOr<Page<exchange::WorkerSummary>> AdminClient::ListWorkers(
    int page_size, const std::string& page_token) {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListWorkersRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  v1::ListWorkersResponse response;
  GANNET_RETURN_IF_ERROR(ToStatus(stub_->service->ListWorkers(&context, request, &response)));
  return Received(
      PageFromProto<exchange::WorkerSummary>(response.workers(), response.next_page_token()));
}

absl::StatusOr<Page<exchange::RoundSummary>> AdminClient::ListRounds(
    int page_size, const std::string& page_token) {
  grpc::ClientContext context;
  Prepare(context);
  v1::ListRoundsRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  v1::ListRoundsResponse response;
  GANNET_RETURN_IF_ERROR(ToStatus(stub_->service->ListRounds(&context, request, &response)));
  return Received(
      PageFromProto<exchange::RoundSummary>(response.rounds(), response.next_page_token()));
}

absl::Status AdminClient::SetRunState(domain::RunState state, const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  grpc::ClientContext context;
  Prepare(context);
  v1::SetRunStateRequest request;
  request.set_state(exchange::ToProto(state));
  request.set_reason(reason);
  v1::SetRunStateResponse response;
  return ToStatus(stub_->service->SetRunState(&context, request, &response));
}

absl::StatusOr<base::Round> AdminClient::ChangeSettings(const domain::RunConfig& config,
                                                        const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  grpc::ClientContext context;
  Prepare(context);
  v1::ChangeSettingsRequest request;
  *request.mutable_config() = exchange::ToProto(config);
  request.set_reason(reason);
  v1::ChangeSettingsResponse response;
  GANNET_RETURN_IF_ERROR(ToStatus(stub_->service->ChangeSettings(&context, request, &response)));
  return base::Round(response.round());
}

absl::StatusOr<exchange::WorkerSummary> AdminClient::RemoveWorker(const std::string& worker,
                                                                  const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  GANNET_RETURN_IF_ERROR(exchange::ValidateText("worker", worker, exchange::kMaxDisplayNameChars));
  grpc::ClientContext context;
  Prepare(context);
  v1::RemoveWorkerRequest request;
  request.set_worker(worker);
  request.set_reason(reason);
  v1::RemoveWorkerResponse response;
  GANNET_RETURN_IF_ERROR(ToStatus(stub_->service->RemoveWorker(&context, request, &response)));
  return Received(exchange::FromProto(response.worker()));
}

absl::StatusOr<exchange::WorkerSummary> AdminClient::RestoreWorker(const std::string& worker) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateText("worker", worker, exchange::kMaxDisplayNameChars));
  grpc::ClientContext context;
  Prepare(context);
  v1::RestoreWorkerRequest request;
  request.set_worker(worker);
  v1::RestoreWorkerResponse response;
  GANNET_RETURN_IF_ERROR(ToStatus(stub_->service->RestoreWorker(&context, request, &response)));
  return Received(exchange::FromProto(response.worker()));
}

}  // namespace gannet::client
