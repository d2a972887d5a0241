#include "services/gateway/grpc_gateway_service.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "libs/base/status_macros.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/rpc/bearer_token.h"
#include "libs/rpc/grpc_status.h"

namespace gannet::gateway {
namespace {

constexpr size_t kChunkBytes = 512 << 10;
constexpr size_t kMaxChunkBytes = 1 << 20;

// Says whether the caller has gone. The context lives until Finish.
GatewayService::IsCancelled CancellationOf(grpc::CallbackServerContext* context) {
  return [context] { return context->IsCancelled(); };
}

// Ends a unary call with what the service answers.
template <typename Result, typename Response>
std::function<void(absl::StatusOr<Result>)> Answer(grpc::ServerUnaryReactor* reactor,
                                                   Response* response) {
  return [reactor, response](absl::StatusOr<Result> result) {
    if (result.ok()) *response = exchange::ToProto(*result);
    reactor->Finish(rpc::ToGrpcStatus(result.status()));
  };
}

// Runs `start`, which begins a call, or ends the call with the error that start returns.
template <typename Start>
grpc::ServerUnaryReactor* StartUnary(grpc::CallbackServerContext* context, Start start) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (const absl::Status refused = start(reactor); !refused.ok()) {
    reactor->Finish(rpc::ToGrpcStatus(refused));
  }
  return reactor;
}

// Waits, and tells the service when its caller does not.
class ClaimReactor final : public grpc::ServerUnaryReactor {
 public:
  explicit ClaimReactor(v1::ClaimResponse* response) : response_(response) {}

  // Called once, from the method itself: gRPC keeps the reactor until that has returned.
  void Start(const absl::StatusOr<GatewayService*>& service,
             absl::StatusOr<exchange::ClaimRequest> request, const std::string& peer) {
    if (!service.ok()) return Finish(rpc::ToGrpcStatus(service.status()));
    if (!request.ok()) return Finish(rpc::ToGrpcStatus(request.status()));
    const ClaimQueue::Ticket ticket = (*service)->Claim(
        *std::move(request), peer, [this](absl::StatusOr<exchange::ClaimResult> result) {
          if (result.ok()) *response_ = exchange::ToProto(*result);
          Finish(rpc::ToGrpcStatus(result.status()));
        });
    bool cancel = false;
    {
      base::MutexLock lock(mu_);
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
      base::MutexLock lock(mu_);
      cancelled_ = true;
      service = service_;
      ticket = ticket_;
    }
    if (service != nullptr) service->CancelClaim(ticket);
  }

  void OnDone() override { delete this; }

 private:
  v1::ClaimResponse* const response_;
  base::Mutex mu_;
  GatewayService* service_ ABSL_GUARDED_BY(mu_) = nullptr;
  ClaimQueue::Ticket ticket_ ABSL_GUARDED_BY(mu_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

// Sends header and chunks, one write at a time. Whoever does not read is cut.
class FetchWeightsReactor final : public grpc::ServerWriteReactor<v1::FetchWeightsResponse>,
                                  public std::enable_shared_from_this<FetchWeightsReactor> {
 public:
  FetchWeightsReactor(GatewayMetrics& metrics, grpc::CallbackServerContext* context)
      : metrics_(metrics), context_(context) {}

  void Start(const absl::StatusOr<GatewayService*>& service,
             absl::StatusOr<exchange::FetchWeightsRequest> request) {
    self_ = shared_from_this();
    if (!service.ok()) return Finish(rpc::ToGrpcStatus(service.status()));
    if (!request.ok()) return Finish(rpc::ToGrpcStatus(request.status()));
    (*service)->FetchWeights(
        *std::move(request), context_->peer(), CancellationOf(context_),
        [this, service = *service](absl::StatusOr<WeightsTransfer> transfer) {
          if (!transfer.ok()) return Finish(rpc::ToGrpcStatus(transfer.status()));
          transfer_ = *std::move(transfer);
          stream_ = service->WatchFetch([weak = weak_from_this()](const absl::Status& /*why*/) {
            if (const auto reactor = weak.lock()) reactor->Cut();
          });
          *message_.mutable_header() = exchange::PayloadHeaderOf(transfer_.payload);
          StartWrite(&message_);
        });
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    stream_->Moved(static_cast<int64_t>(message_.chunk().size()));
    const absl::string_view left = absl::string_view(*transfer_.payload.bytes).substr(sent_);
    if (left.empty()) {
      // Before the worker knows, and asks again.
      *transfer_.slot = WorkerSlots::Slot();
      transfer_ = WeightsTransfer();
      return Finish(grpc::Status::OK);
    }
    const absl::string_view chunk = left.substr(0, kChunkBytes);
    message_.set_chunk(chunk.data(), chunk.size());
    sent_ += chunk.size();
    metrics_.payload_bytes_out.Increment(static_cast<double>(chunk.size()));
    StartWrite(&message_);
  }

  void OnDone() override {
    stream_.reset();
    std::shared_ptr<FetchWeightsReactor> self;
    {
      base::MutexLock lock(mu_);
      done_ = true;
      self = std::move(self_);
    }
  }

 private:
  // A write that nobody reads never ends by itself: it is the call that must be ended.
  void Cut() {
    base::MutexLock lock(mu_);
    if (!done_) context_->TryCancel();  // which only begins it; the context lives until OnDone
  }

  GatewayMetrics& metrics_;
  grpc::CallbackServerContext* const context_;
  WeightsTransfer transfer_;
  std::unique_ptr<StreamWatch::Stream> stream_;
  v1::FetchWeightsResponse message_;
  size_t sent_ = 0;
  base::Mutex mu_;
  std::shared_ptr<FetchWeightsReactor> self_;  // until OnDone: gRPC owns it
  bool done_ ABSL_GUARDED_BY(mu_) = false;
};

// Takes header and chunks, one read at a time. Whoever does not send is cut.
class SubmitReactor final : public grpc::ServerReadReactor<v1::SubmitRequest>,
                            public std::enable_shared_from_this<SubmitReactor> {
 public:
  SubmitReactor(grpc::CallbackServerContext* context, v1::SubmitResponse* response)
      : context_(context), response_(response) {}

  void Start(const absl::StatusOr<GatewayService*>& service) {
    self_ = shared_from_this();
    if (!service.ok()) return End(service.status());
    service_ = *service;
    auto stream = service_->WatchUpload([weak = weak_from_this()](const absl::Status& why) {
      if (const auto reactor = weak.lock()) reactor->End(why);
    });
    base::MutexLock lock(mu_);
    stream_ = std::move(stream);
    ReadOn();
  }

  void OnReadDone(bool ok) override {
    std::shared_ptr<Upload> upload;
    {
      base::MutexLock lock(mu_);
      if (ended_) return;  // it was cut while it waited for this
      upload = upload_;
    }
    const absl::Status status =
        upload == nullptr ? TakeHeader(ok) : TakeChunk(ok, std::move(upload));
    if (!status.ok()) End(status);
  }

  void OnDone() override {
    const std::shared_ptr<SubmitReactor> self =
        std::move(self_);  // ends it, unless it is being cut
  }

 private:
  absl::Status TakeHeader(bool ok) {
    if (!ok || !message_.has_header()) {
      return absl::InvalidArgumentError("a submission must start with its header");
    }
    GANNET_ASSIGN_OR_RETURN(exchange::SubmitAnnouncement announced,
                            exchange::FromProto(message_.header()));
    service_->OpenUpload(
        std::move(announced), context_->peer(),
        // Shared and weak: when it is cut meanwhile, gRPC is done with it, and with its context.
        [weak = weak_from_this()] {
          const auto reactor = weak.lock();
          return reactor == nullptr || reactor->IsCancelled();
        },
        [self = shared_from_this()](absl::StatusOr<GatewayService::OpenedUpload> opened) {
          if (!opened.ok()) return self->End(opened.status());
          if (const auto* outcome = std::get_if<domain::SubmitOutcome>(&*opened)) {
            return self->End(*outcome);
          }
          base::MutexLock lock(self->mu_);
          if (self->ended_) return;
          self->upload_ = std::get<std::shared_ptr<Upload>>(*std::move(opened));
          self->ReadOn();
        });
    return absl::OkStatus();
  }

  absl::Status TakeChunk(bool ok, std::shared_ptr<Upload> upload) {
    if (!ok) {
      {
        // From here on it is the service that takes its time. Not a member any more, so that the
        // service can give its bytes back as soon as it is done with them.
        base::MutexLock lock(mu_);
        if (ended_) return absl::OkStatus();
        stream_.reset();
        upload_.reset();
      }
      service_->FinishUpload(
          std::move(upload),
          [self = shared_from_this()](const absl::StatusOr<domain::SubmitOutcome>& outcome) {
            self->End(outcome);
          });
      return absl::OkStatus();
    }
    if (!message_.has_chunk()) {
      return absl::InvalidArgumentError("a submission has one header, then chunks only");
    }
    if (message_.chunk().size() > kMaxChunkBytes) {
      return absl::InvalidArgumentError("a chunk has at most 1 MiB");
    }
    GANNET_RETURN_IF_ERROR(upload->Append(message_.chunk()));
    upload.reset();
    base::MutexLock lock(mu_);
    if (ended_) return absl::OkStatus();
    stream_->Moved(static_cast<int64_t>(message_.chunk().size()));
    ReadOn();
    return absl::OkStatus();
  }

  bool IsCancelled() {
    base::MutexLock lock(mu_);
    return ended_ || context_->IsCancelled();
  }

  // Begins a read, and no more: nothing is waited for under the lock, without which a read could
  // begin after the end.
  void ReadOn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { StartRead(&message_); }

  // Ends the call, once, and gives back what it holds.
  void End(const absl::StatusOr<domain::SubmitOutcome>& outcome) {
    const std::shared_ptr<SubmitReactor> self = shared_from_this();  // Finish may be its end
    std::shared_ptr<Upload> upload;
    std::unique_ptr<StreamWatch::Stream> stream;
    base::MutexLock lock(mu_);
    if (ended_) return;
    ended_ = true;
    upload = std::move(upload_);
    stream = std::move(stream_);
    if (outcome.ok()) response_->set_outcome(exchange::ToProto(*outcome));
    Finish(rpc::ToGrpcStatus(outcome.status()));
  }

  grpc::CallbackServerContext* const context_;
  v1::SubmitResponse* const response_;
  GatewayService* service_ = nullptr;
  v1::SubmitRequest message_;
  std::shared_ptr<SubmitReactor> self_;  // until OnDone: gRPC owns it
  base::Mutex mu_;
  std::shared_ptr<Upload> upload_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<StreamWatch::Stream> stream_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

void GrpcGatewayService::Attach(GatewayService& service) {
  base::MutexLock lock(mu_);
  service_ = &service;
}

absl::StatusOr<GatewayService*> GrpcGatewayService::service() {
  base::MutexLock lock(mu_);
  if (service_ == nullptr) {
    return absl::UnavailableError("the gateway has no database yet, repeat later");
  }
  return service_;
}

absl::Status GrpcGatewayService::CheckClassCode(const grpc::CallbackServerContext& context) {
  if (class_code_.empty()) return absl::OkStatus();
  switch (rpc::CheckBearerToken(context.client_metadata(), class_code_)) {
    case rpc::BearerToken::kRight:
      return absl::OkStatus();
    case rpc::BearerToken::kMissing:
      metrics_.joins_refused.Increment();
      return absl::UnauthenticatedError(
          "this class asks for a class code: give it in GANNET_WORKER_CLASS_CODE, or in a file "
          "named by worker.class_code_file");
    case rpc::BearerToken::kWrong:
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
    GANNET_ASSIGN_OR_RETURN(exchange::JoinRequest call, exchange::FromProto(*request));
    gateway->Join(std::move(call), context->peer(), CancellationOf(context),
                  Answer<exchange::JoinResult>(reactor, response));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Describe(grpc::CallbackServerContext* context,
                                                       const v1::DescribeRequest* request,
                                                       v1::DescribeResponse* response) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(exchange::DescribeCall call, exchange::FromProto(*request));
    gateway->Describe(std::move(call), context->peer(), CancellationOf(context),
                      Answer<exchange::RunDescription>(reactor, response));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Claim(grpc::CallbackServerContext* context,
                                                    const v1::ClaimRequest* request,
                                                    v1::ClaimResponse* response) {
  auto* reactor = new ClaimReactor(response);
  reactor->Start(service(), exchange::FromProto(*request), context->peer());
  return reactor;
}

grpc::ServerWriteReactor<v1::FetchWeightsResponse>* GrpcGatewayService::FetchWeights(
    grpc::CallbackServerContext* context, const v1::FetchWeightsRequest* request) {
  const auto reactor = std::make_shared<FetchWeightsReactor>(metrics_, context);
  reactor->Start(service(), exchange::FromProto(*request));
  return reactor.get();  // which holds itself until gRPC is done with it
}

grpc::ServerReadReactor<v1::SubmitRequest>* GrpcGatewayService::Submit(
    grpc::CallbackServerContext* context, v1::SubmitResponse* response) {
  const auto reactor = std::make_shared<SubmitReactor>(context, response);
  reactor->Start(service());
  return reactor.get();  // which holds itself until gRPC is done with it
}

grpc::ServerUnaryReactor* GrpcGatewayService::Heartbeat(grpc::CallbackServerContext* context,
                                                        const v1::HeartbeatRequest* request,
                                                        v1::HeartbeatResponse* response) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(exchange::HeartbeatCall call, exchange::FromProto(*request));
    gateway->Heartbeat(std::move(call), context->peer(), CancellationOf(context),
                       Answer<exchange::HeartbeatResult>(reactor, response));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Release(grpc::CallbackServerContext* context,
                                                      const v1::ReleaseRequest* request,
                                                      v1::ReleaseResponse* /*response*/) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(exchange::ReleaseCall call, exchange::FromProto(*request));
    gateway->Release(std::move(call), context->peer(), [reactor](const absl::Status& status) {
      reactor->Finish(rpc::ToGrpcStatus(status));
    });
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Fail(grpc::CallbackServerContext* context,
                                                   const v1::FailRequest* request,
                                                   v1::FailResponse* /*response*/) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(exchange::FailCall call, exchange::FromProto(*request));
    gateway->Fail(std::move(call), context->peer(), [reactor](const absl::Status& status) {
      reactor->Finish(rpc::ToGrpcStatus(status));
    });
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* GrpcGatewayService::Leave(grpc::CallbackServerContext* context,
                                                    const v1::LeaveRequest* request,
                                                    v1::LeaveResponse* /*response*/) {
  return StartUnary(context, [&](grpc::ServerUnaryReactor* reactor) -> absl::Status {
    GANNET_ASSIGN_OR_RETURN(GatewayService * gateway, service());
    GANNET_ASSIGN_OR_RETURN(exchange::LeaveCall call, exchange::FromProto(*request));
    gateway->Leave(std::move(call), context->peer(), [reactor](const absl::Status& status) {
      reactor->Finish(rpc::ToGrpcStatus(status));
    });
    return absl::OkStatus();
  });
}

}  // namespace gannet::gateway
