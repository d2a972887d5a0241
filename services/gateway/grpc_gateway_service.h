#pragma once

#include <memory>

#include "gannet/v1/exchange_service.grpc.pb.h"
#include "libs/base/mutex.h"
#include "services/gateway/gateway_metrics.h"
#include "services/gateway/gateway_service.h"

namespace gannet::gateway {

// gannet.v1.ExchangeService in terms of GatewayService: translation only. Callback API; no reaction
// blocks.
//
// Thread safety: all methods may be called from any thread.
// Ownership and lifetime: the metrics and the attached service must outlive every call in progress,
// so stop the server first.
class GrpcGatewayService final : public v1::ExchangeService::CallbackService {
 public:
  // Asks for "authorization: Bearer CODE" at Join, unless `class_code` is empty. Only Join: later
  // calls carry the identity that it registered.
  GrpcGatewayService(GatewayMetrics& metrics, std::string class_code)
      : metrics_(metrics), class_code_(std::move(class_code)) {}

  // Passes calls on to `service` from now on. Until then each is answered UNAVAILABLE: the database
  // is awaited.
  void Attach(GatewayService& service);

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context,
                                 const v1::JoinRequest* request,
                                 v1::JoinResponse* response) override;
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const v1::DescribeRequest* request,
                                     v1::DescribeResponse* response) override;
  grpc::ServerUnaryReactor* Claim(grpc::CallbackServerContext* context,
                                  const v1::ClaimRequest* request,
                                  v1::ClaimResponse* response) override;
  grpc::ServerWriteReactor<v1::FetchWeightsResponse>* FetchWeights(
      grpc::CallbackServerContext* context, const v1::FetchWeightsRequest* request) override;
  grpc::ServerReadReactor<v1::SubmitRequest>* Submit(grpc::CallbackServerContext* context,
                                                     v1::SubmitResponse* response) override;
  grpc::ServerUnaryReactor* Heartbeat(grpc::CallbackServerContext* context,
                                      const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) override;
  grpc::ServerUnaryReactor* Release(grpc::CallbackServerContext* context,
                                    const v1::ReleaseRequest* request,
                                    v1::ReleaseResponse* response) override;
  grpc::ServerUnaryReactor* Fail(grpc::CallbackServerContext* context,
                                 const v1::FailRequest* request,
                                 v1::FailResponse* response) override;
  grpc::ServerUnaryReactor* Leave(grpc::CallbackServerContext* context,
                                  const v1::LeaveRequest* request,
                                  v1::LeaveResponse* response) override;

 private:
  // The attached service, or UNAVAILABLE.
  absl::StatusOr<GatewayService*> service();

  // UNAUTHENTICATED when the caller has not shown the class code.
  absl::Status CheckClassCode(const grpc::CallbackServerContext& context);

  GatewayMetrics& metrics_;
  const std::string class_code_;
  base::Mutex mu_;
  GatewayService* service_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace gannet::gateway
