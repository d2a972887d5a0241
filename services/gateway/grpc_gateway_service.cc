#include "services/gateway/grpc_gateway_service.h"

#include <algorithm>
#include <utility>

#include "libs/base/status_macros.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/rpc/bearer_token.h"
#include "libs/rpc/grpc_status.h"

namespace gannet {
namespace {

constexpr size_t kChunkBytes = 512 << 10;
constexpr size_t kMaxChunkBytes = 1 << 20;

// Whether the caller still waits. The context lives until Finish.
GatewayService::Wanted WantedBy(grpc::CallbackServerContext* context) {
  return [context] { return !context->IsCancelled(); };
}

// Ends a unary call with what the service answers.
template <typename Result, typename Response>
std::function<void(absl::StatusOr<Result>)> Answer(grpc::ServerUnaryReactor* reactor,
                                                   Response* response) {
  return [reactor, response](absl::StatusOr<Result> result) {
    if (result.ok()) *response = ToProto(*result);
    reactor->Finish(ToGrpcStatus(result.status()));
  };
}

// Runs `start`, which begins a call, or ends the call with the error that start returns.
template <typename Start>
grpc::ServerUnaryReactor* StartUnary(grpc::CallbackServerContext* context, Start start) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (const absl::Status refused = start(reactor); !refused.ok()) {
    reactor->Finish(ToGrpcStatus(refused));
  }
  return reactor;
}

// Waits, and tells the service when its caller does not.
class ClaimReactor final : public grpc::ServerUnaryReactor {
 public:
  explicit ClaimReactor(v1::ClaimResponse* response) : response_(response) {}

  // Called once, from the method itself: gRPC keeps the reactor until that has returned.
  void Start(const absl::StatusOr<GatewayService*>& service, absl::StatusOr<ClaimRequest> request) {
    if (!service.ok()) return Finish(ToGrpcStatus(service.status()));
    if (!request.ok()) return Finish(ToGrpcStatus(request.status()));
    const ClaimQueue::Ticket ticket =
        (*service)->Claim(*std::move(request), [this](absl::StatusOr<ClaimResult> result) {
          if (result.ok()) *response_ = ToProto(*result);
          Finish(ToGrpcStatus(result.status()));
        });
    bool cancel = false;
    {
      MutexLock lock(mu_);
      service_ = *service;
      ticket_ = ticket;
      cancel = cancelled_;
    }
    if (cancel) (*service)->CancelClaim(ticket);
  }

  void OnCancel() override {
    GatewayService* service = nullptr;
    ClaimQueue::Ticket ticket = 0;
    {
      MutexLock lock(mu_);
      cancelled_ = true;
      service = service_;
      ticket = ticket_;
    }
    if (service != nullptr) service->CancelClaim(ticket);
  }

  void OnDone() override { delete this; }

 private:
  v1::ClaimResponse* const response_;
  Mutex mu_;
  GatewayService* service_ ABSL_GUARDED_BY(mu_) = nullptr;
  ClaimQueue::Ticket ticket_ ABSL_GUARDED_BY(mu_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

// Sends header and chunks, one write at a time.
class FetchWeightsReactor final : public grpc::ServerWriteReactor<v1::FetchWeightsResponse> {
 public:
  explicit FetchWeightsReactor(GatewayMetrics& metrics) : metrics_(metrics) {}

  void Start(grpc::CallbackServerContext* context, const absl::StatusOr<GatewayService*>& service,
             absl::StatusOr<FetchWeightsRequest> request) {
    if (!service.ok()) return Finish(ToGrpcStatus(service.status()));
    if (!request.ok()) return Finish(ToGrpcStatus(request.status()));
    (*service)->FetchWeights(*std::move(request), WantedBy(context),
                             [this](absl::StatusOr<Payload> payload) {
                               if (!payload.ok()) return Finish(ToGrpcStatus(payload.status()));
                               payload_ = *std::move(payload);
                               *message_.mutable_header() = PayloadHeaderOf(payload_);
                               StartWrite(&message_);
                             });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    const absl::string_view left = absl::string_view(*payload_.bytes).substr(sent_);
    if (left.empty()) return Finish(grpc::Status::OK);
    const absl::string_view chunk = left.substr(0, kChunkBytes);
    message_.set_chunk(chunk.data(), chunk.size());
    sent_ += chunk.size();
    metrics_.payload_bytes_out.Increment(static_cast<double>(chunk.size()));
    StartWrite(&message_);
  }

  void OnDone() override { delete this; }

 private:
  GatewayMetrics& metrics_;
  Payload payload_;
  v1::FetchWeightsResponse message_;
  size_t sent_ = 0;
};

// Takes header and chunks, one read at a time.
class SubmitReactor final : public grpc::ServerReadReactor<v1::SubmitRequest> {
 public:
  SubmitReactor(grpc::CallbackServerContext* context, v1::SubmitResponse* response)
      : context_(context), response_(response) {}

  void Start(const absl::StatusOr<GatewayService*>& service) {
    if (!service.ok()) return Finish(ToGrpcStatus(service.status()));
    service_ = *service;
    StartRead(&message_);
  }

  void OnReadDone(bool ok) override {
    const absl::Status status = upload_ == nullptr ? TakeHeader(ok) : TakeChunk(ok);
    if (!status.ok()) Finish(ToGrpcStatus(status));
  }

  void OnDone() override { delete this; }

 private:
  absl::Status TakeHeader(bool ok) {
    if (!ok || !message_.has_header()) {
      return absl::InvalidArgumentError("a submission must start with its header");
    }
    GANNET_ASSIGN_OR_RETURN(SubmitAnnouncement announced, FromProto(message_.header()));
    service_->OpenUpload(std::move(announced), WantedBy(context_),
                         [this](absl::StatusOr<std::shared_ptr<Upload>> upload) {
                           if (!upload.ok()) return Finish(ToGrpcStatus(upload.status()));
                           upload_ = *std::move(upload);
                           StartRead(&message_);
                         });
    return absl::OkStatus();
  }

  absl::Status TakeChunk(bool ok) {
    if (!ok) {
      // Not a member any more, so that the service can give its bytes back as soon as it is done
      // with them.
      service_->FinishUpload(std::move(upload_), [this](absl::StatusOr<SubmitOutcome> outcome) {
        if (outcome.ok()) response_->set_outcome(ToProto(*outcome));
        Finish(ToGrpcStatus(outcome.status()));
      });
      return absl::OkStatus();
    }
    if (!message_.has_chunk()) {
      return absl::InvalidArgumentError("a submission has one header, then chunks only");
    }
    if (message_.chunk().size() > kMaxChunkBytes) {
      return absl::InvalidArgumentError("a chunk has at most 1 MiB");
    }
    GANNET_RETURN_IF_ERROR(upload_->Append(message_.chunk()));
    StartRead(&message_);
    return absl::OkStatus();
  }

  grpc::CallbackServerContext* const context_;
  v1::SubmitResponse* const response_;
  GatewayService* service_ = nullptr;
  v1::SubmitRequest message_;
  std::shared_ptr<Upload> upload_;
};

}  // namespace

void GrpcGatewayService::Attach(GatewayService& service) {
  MutexLock lock(mu_);
  service_ = &service;
}

absl::StatusOr<GatewayService*> GrpcGatewayService::service() {
  MutexLock lock(mu_);
  if (service_ == nullptr) {
    return absl::UnavailableError("the gateway has no database yet, repeat later");
  }
  return service_;
}

absl::Status GrpcGatewayService::CheckClassCode(const grpc::CallbackServerContext& context) {
  if (class_code_.empty()) return absl::OkStatus();
  switch (CheckBearerToken(context.client_metadata(), class_code_)) {
    case BearerToken::kRight:
      return absl::OkStatus();
    case BearerToken::kMissing:
      metrics_.joins_refused.Increment();
      return absl::UnauthenticatedError(
          "this class asks for a class code: give it in GANNET_WORKER_CLASS_CODE, or in a file "
          "named by worker.class_code_file");
    case BearerToken::kWrong:
      break;
  }
  metrics_.joins_refused.Increment();
  return absl::UnauthenticatedError(
      "the class code is wrong: ask whoever runs the class for the current one (it is in "
      "GANNET_WORKER_CLASS_CODE or the file of worker.class_code_file)");
}

grpc::ServerUnaryReactor* GrpcGatewayService::Join(grpc::CallbackServerContext* context,
                                                   const v1::JoinRequest* request,
                                                   v1::JoinResponse* response) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_RETURN_IF_ERROR(CheckClassCode(*context));
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(JoinRequest call, FromProto(*request));
    gateway->Join(std::move(call), WantedBy(context), Answer<JoinResult>(reactor, response));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Claim(grpc::CallbackServerContext* /*context*/,
                                                    const v1::ClaimRequest* request,
                                                    v1::ClaimResponse* response) {
  auto* reactor = new ClaimReactor(response);
  reactor->Start(service(), FromProto(*request));
  return reactor;
}

grpc::ServerWriteReactor<v1::FetchWeightsResponse>* GrpcGatewayService::FetchWeights(
    grpc::CallbackServerContext* context, const v1::FetchWeightsRequest* request) {
  auto* reactor = new FetchWeightsReactor(metrics_);
  reactor->Start(context, service(), FromProto(*request));
  return reactor;
}

grpc::ServerReadReactor<v1::SubmitRequest>* GrpcGatewayService::Submit(
    grpc::CallbackServerContext* context, v1::SubmitResponse* response) {
  auto* reactor = new SubmitReactor(context, response);
  reactor->Start(service());
  return reactor;
}

grpc::ServerUnaryReactor* GrpcGatewayService::Heartbeat(grpc::CallbackServerContext* context,
                                                        const v1::HeartbeatRequest* request,
                                                        v1::HeartbeatResponse* response) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(HeartbeatCall call, FromProto(*request));
    gateway->Heartbeat(std::move(call), WantedBy(context),
                       Answer<HeartbeatResult>(reactor, response));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Release(grpc::CallbackServerContext* context,
                                                      const v1::ReleaseRequest* request,
                                                      v1::ReleaseResponse* /*response*/) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(ReleaseCall call, FromProto(*request));
    gateway->Release(std::move(call), [reactor](const absl::Status& status) {
      reactor->Finish(ToGrpcStatus(status));
    });
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Fail(grpc::CallbackServerContext* context,
                                                   const v1::FailRequest* request,
                                                   v1::FailResponse* /*response*/) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(FailCall call, FromProto(*request));
    gateway->Fail(std::move(call),
                  [reactor](const absl::Status& status) { reactor->Finish(ToGrpcStatus(status)); });
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Leave(grpc::CallbackServerContext* context,
                                                    const v1::LeaveRequest* request,
                                                    v1::LeaveResponse* /*response*/) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(LeaveCall call, FromProto(*request));
    gateway->Leave(std::move(call), [reactor](const absl::Status& status) {
      reactor->Finish(ToGrpcStatus(status));
    });
    return absl::OkStatus();
  });
}

}  // namespace gannet
