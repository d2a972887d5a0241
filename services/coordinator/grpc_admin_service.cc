#include "services/coordinator/grpc_admin_service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "libs/base/status_macros.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/rpc/bearer_token.h"
#include "libs/rpc/grpc_status.h"

namespace gannet::coordinator {
namespace {

absl::Status FillRun(RunAdmin& admin, v1::GetRunResponse& response) {
  GANNET_ASSIGN_OR_RETURN(const RunOverview overview, admin.GetRun());
  const exchange::RunStatus& status = overview.status;
  response.set_run_id(status.run.value());
  *response.mutable_config() = exchange::ToProto(status.config);
  response.set_state(exchange::ToProto(status.state));
  response.set_state_reason(status.state_reason);
  response.set_rounds_done(status.weights_version.value());
  if (status.last_round.has_value())
    *response.mutable_last_round() = exchange::ToProto(*status.last_round);
  response.set_worker_count(status.worker_count);
  response.set_images_per_second(overview.view.images_per_second);
  response.set_latest_sample_path(overview.view.latest_sample_path);
  response.set_waiting_for(overview.waiting_for);
  response.set_wasted_image_count(status.wasted_image_count);
  if (status.best.has_value()) {
    response.mutable_best()->set_version(status.best->version.value());
    response.mutable_best()->set_distance(status.best->distance);
  }
  response.set_unit_seconds(absl::ToDoubleSeconds(status.median_unit_time));
  response.set_unit_compute_seconds(absl::ToDoubleSeconds(overview.median_compute_time));
  *response.mutable_next_config() = exchange::ToProto(status.next_config);
  const domain::RunConfig* before = &status.created_config;
  for (const exchange::SettingsChange& change : overview.changes) {
    v1::SettingsChange& proto = *response.add_changes();
    proto.set_round(change.round.value());
    proto.set_difference(domain::DescribeDifference(*before, change.config));
    proto.set_reason(change.reason);
    before = &change.config;
  }
  for (const exchange::GatewayReport& report : overview.gateways) {
    v1::GatewayReport& proto = *response.add_gateways();
    proto.set_gateway(report.gateway);
    for (const std::string& reason : report.refusing) proto.add_refusing(reason);
  }
  return absl::OkStatus();
}

absl::Status FillWorkers(RunAdmin& admin, const v1::ListWorkersRequest& request,
                         v1::ListWorkersResponse& response) {
  GANNET_ASSIGN_OR_RETURN(const AdminPage<exchange::WorkerSummary> page,
                          admin.ListWorkers(request.page_size(), request.page_token()));
  for (const exchange::WorkerSummary& worker : page.items)
    *response.add_workers() = exchange::ToProto(worker);
  response.set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

absl::Status FillRounds(RunAdmin& admin, const v1::ListRoundsRequest& request,
                        v1::ListRoundsResponse& response) {
  GANNET_ASSIGN_OR_RETURN(const AdminPage<exchange::RoundSummary> page,
                          admin.ListRounds(request.page_size(), request.page_token()));
  for (const exchange::RoundSummary& round : page.items)
    *response.add_rounds() = exchange::ToProto(round);
  response.set_next_page_token(page.next_page_token);
  return absl::OkStatus();
}

absl::Status SetState(RunAdmin& admin, const v1::SetRunStateRequest& request) {
  GANNET_ASSIGN_OR_RETURN(const domain::RunState state, exchange::FromProto(request.state()));
  return admin.SetRunState(state, request.reason());
}

absl::Status Change(RunAdmin& admin, const v1::ChangeSettingsRequest& request,
                    v1::ChangeSettingsResponse& response) {
  GANNET_ASSIGN_OR_RETURN(const domain::RunConfig config, exchange::FromProto(request.config()));
  GANNET_ASSIGN_OR_RETURN(const base::Round round, admin.ChangeSettings(config, request.reason()));
  response.set_round(round.value());
  return absl::OkStatus();
}

absl::Status Remove(RunAdmin& admin, const v1::RemoveWorkerRequest& request,
                    v1::RemoveWorkerResponse& response) {
  GANNET_ASSIGN_OR_RETURN(const exchange::WorkerSummary worker,
                          admin.RemoveWorker(request.worker(), request.reason()));
  *response.mutable_worker() = exchange::ToProto(worker);
  return absl::OkStatus();
}

absl::Status Restore(RunAdmin& admin, const v1::RestoreWorkerRequest& request,
                     v1::RestoreWorkerResponse& response) {
  GANNET_ASSIGN_OR_RETURN(const exchange::WorkerSummary worker,
                          admin.RestoreWorker(request.worker()));
  *response.mutable_worker() = exchange::ToProto(worker);
  return absl::OkStatus();
}

}  // namespace

GrpcAdminService::GrpcAdminService(std::string token) : token_(std::move(token)) {}

void GrpcAdminService::Attach(RunAdmin& admin) {
  base::MutexLock lock(mu_);
  admin_ = &admin;
}

absl::StatusOr<RunAdmin*> GrpcAdminService::Admit(const grpc::ServerContext& context) {
  if (!token_.empty()) {
    switch (rpc::CheckBearerToken(context.client_metadata(), token_)) {
      case rpc::BearerToken::kRight:
        break;
      case rpc::BearerToken::kWrong:
        return absl::UnauthenticatedError("the admin token is wrong");
      case rpc::BearerToken::kMissing:
        return absl::UnauthenticatedError(
            "the admin token is missing: send it as metadata \"authorization: Bearer TOKEN\"");
    }
  }
  base::MutexLock lock(mu_);
  if (admin_ == nullptr) {
    return absl::UnavailableError("the coordinator is waiting for the database");
  }
  return admin_;
}

grpc::Status GrpcAdminService::GetRun(grpc::ServerContext* context, const v1::GetRunRequest*,
                                      v1::GetRunResponse* response) {
  const absl::StatusOr<RunAdmin*> admin = Admit(*context);
  return rpc::ToGrpcStatus(admin.ok() ? FillRun(**admin, *response) : admin.status());
}

grpc::Status GrpcAdminService::ListWorkers(grpc::ServerContext* context,
                                           const v1::ListWorkersRequest* request,
                                           v1::ListWorkersResponse* response) {
  const absl::StatusOr<RunAdmin*> admin = Admit(*context);
  return rpc::ToGrpcStatus(admin.ok() ? FillWorkers(**admin, *request, *response) : admin.status());
}

grpc::Status GrpcAdminService::ListRounds(grpc::ServerContext* context,
                                          const v1::ListRoundsRequest* request,
                                          v1::ListRoundsResponse* response) {
  const absl::StatusOr<RunAdmin*> admin = Admit(*context);
  return rpc::ToGrpcStatus(admin.ok() ? FillRounds(**admin, *request, *response) : admin.status());
}

grpc::Status GrpcAdminService::SetRunState(grpc::ServerContext* context,
                                           const v1::SetRunStateRequest* request,
                                           v1::SetRunStateResponse*) {
  const absl::StatusOr<RunAdmin*> admin = Admit(*context);
  return rpc::ToGrpcStatus(admin.ok() ? SetState(**admin, *request) : admin.status());
}

grpc::Status GrpcAdminService::ChangeSettings(grpc::ServerContext* context,
                                              const v1::ChangeSettingsRequest* request,
                                              v1::ChangeSettingsResponse* response) {
  const absl::StatusOr<RunAdmin*> admin = Admit(*context);
  return rpc::ToGrpcStatus(admin.ok() ? Change(**admin, *request, *response) : admin.status());
}

grpc::Status GrpcAdminService::RemoveWorker(grpc::ServerContext* context,
                                            const v1::RemoveWorkerRequest* request,
                                            v1::RemoveWorkerResponse* response) {
  const absl::StatusOr<RunAdmin*> admin = Admit(*context);
  return rpc::ToGrpcStatus(admin.ok() ? Remove(**admin, *request, *response) : admin.status());
}

grpc::Status GrpcAdminService::RestoreWorker(grpc::ServerContext* context,
                                             const v1::RestoreWorkerRequest* request,
                                             v1::RestoreWorkerResponse* response) {
  const absl::StatusOr<RunAdmin*> admin = Admit(*context);
  return rpc::ToGrpcStatus(admin.ok() ? Restore(**admin, *request, *response) : admin.status());
}

}  // namespace gannet::coordinator
