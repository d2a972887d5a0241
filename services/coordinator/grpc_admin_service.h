#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "gannet/v1/admin_service.grpc.pb.h"
#include "libs/base/mutex.h"
#include "services/coordinator/run_admin.h"

namespace gannet::coordinator {

// gannet.v1.AdminService in terms of RunAdmin: translation, and the token. The blocking API serves:
// calls are few and short, and each reads the database.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the attached RunAdmin must outlive every call in progress, so stop the
// server first.
class GrpcAdminService final : public v1::AdminService::Service {
 public:
  // Asks for "authorization: Bearer TOKEN" in every call, unless the token is empty.
  explicit GrpcAdminService(std::string token);

  // Passes calls on to `admin` from now on. Until then each is answered UNAVAILABLE: the database
  // is awaited.
  void Attach(RunAdmin& admin);

  grpc::Status GetRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                      v1::GetRunResponse* response) override;
  grpc::Status ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest* request,
                           v1::ListWorkersResponse* response) override;
  grpc::Status ListRounds(grpc::ServerContext* context, const v1::ListRoundsRequest* request,
                          v1::ListRoundsResponse* response) override;
  grpc::Status SetRunState(grpc::ServerContext* context, const v1::SetRunStateRequest* request,
                           v1::SetRunStateResponse* response) override;
  grpc::Status ChangeSettings(grpc::ServerContext* context,
                              const v1::ChangeSettingsRequest* request,
                              v1::ChangeSettingsResponse* response) override;
  grpc::Status RemoveWorker(grpc::ServerContext* context, const v1::RemoveWorkerRequest* request,
                            v1::RemoveWorkerResponse* response) override;
  grpc::Status RestoreWorker(grpc::ServerContext* context, const v1::RestoreWorkerRequest* request,
                             v1::RestoreWorkerResponse* response) override;

 private:
  // The attached RunAdmin, when the caller may use it.
  // Returns: UNAUTHENTICATED, UNAVAILABLE.
  absl::StatusOr<RunAdmin*> Admit(const grpc::ServerContext& context);

  const std::string token_;
  base::Mutex mu_;
  RunAdmin* admin_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace gannet::coordinator
