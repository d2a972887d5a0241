#include "tests/hostile/hostile_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/create_channel.h"
#include "libs/base/check.h"
#include "libs/base/sha256.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/rpc/grpc_status.h"
#include "libs/tensor/codec.h"

namespace gannet::hostile {
namespace {

constexpr size_t kMostWorkers = 40;
constexpr size_t kMostUnits = 200;
constexpr size_t kMostSent = 50;
constexpr size_t kMostOpenStreams = 12;
constexpr size_t kMostIdleSockets = 20;
constexpr size_t kChunkBytes = 100'000;

// Every call has an end, so that the program goes on whatever the gateway does.
void SetEnd(grpc::ClientContext& context, int seconds = 10) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(seconds));
}

std::string Digits(HostileRandom& random, size_t count) {
  std::string digits;
  for (size_t i = 0; i < count; ++i) digits += "0123456789abcdef"[Below(random, 16)];
  return digits;
}

}  // namespace

struct HostileClient::OpenSubmit {
  grpc::ClientContext context;
  v1::SubmitResponse response;
  std::unique_ptr<grpc::ClientWriter<v1::SubmitRequest>> stream;

  ~OpenSubmit() {
    context.TryCancel();
    stream->Finish();
  }
};

struct HostileClient::OpenFetch {
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReader<v1::FetchWeightsResponse>> stream;

  ~OpenFetch() {
    context.TryCancel();
    v1::FetchWeightsResponse message;
    while (stream->Read(&message)) {
    }
    stream->Finish();
  }
};

HostileClient::HostileClient(const HostileOptions& options)
    : options_(options), random_(options.seed) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  stub_ = v1::ExchangeService::NewStub(
      grpc::CreateCustomChannel(options.gateway, grpc::InsecureChannelCredentials(), arguments));
  // It has read the documentation: what the run is, and what a gradient of it looks like.
  exchange::JoinRequest describe;
  describe.worker = {base::WorkerId(Digits(random_, 32)), Digits(random_, 64),
                     base::Incarnation(1)};
  describe.run_name = options.run_name;
  grpc::ClientContext context;
  SetEnd(context);
  const grpc::Status status = stub_->Join(&context, exchange::ToProto(describe), &run_);
  GANNET_CHECK(status.ok());
  const auto config = exchange::FromProto(run_.config());
  GANNET_CHECK(config.ok());
  tensor::TensorBundle zeros;
  for (const tensor::TensorSpec& spec : domain::GradientSpec(config->model))
    zeros.Add(tensor::Tensor::Zeros(spec));
  zero_gradient_ = EncodeBundle(zeros, tensor::Codec::kFp32).value();
}

HostileClient::~HostileClient() {
  for (const int socket : idle_sockets_) close(socket);
}

void HostileClient::Call() {
  const uint64_t kind = Below(random_, 100);
  if (workers_.empty() || kind < 12) return Join();
  if (kind < 30) return Claim();
  if (kind < 48) return Heartbeat();
  if (kind < 58) return ReleaseUnit();
  if (kind < 60) return Leave();
  if (kind < 62) return Describe();
  if (kind < 68) return FetchWeights();
  if (kind < 92) return Submit();
  if (kind < 95) return AbandonSubmit();
  if (kind < 98) return AbandonFetch();
  SendGarbage();
}

void HostileClient::Join() {
  v1::JoinRequest request;
  const bool known = !workers_.empty() && Percent(random_, 50);
  if (known) {
    *request.mutable_worker() = AnyWorker();
    if (Percent(random_, 30)) {
      request.mutable_worker()->set_incarnation(request.worker().incarnation() + 1);
    }
  } else {
    request.mutable_worker()->set_worker_id(Digits(random_, 32));
    request.mutable_worker()->set_secret(Digits(random_, 64));
    request.mutable_worker()->set_incarnation(1);
  }
  request.set_run_name(options_.run_name);
  request.set_display_name(Percent(random_, 50) ? "mallory" : HostileText(random_));
  request.set_hardware("any");
  request.set_protocol_version(exchange::kProtocolVersion);
  *request.mutable_data() = run_.config().data();
  if (Percent(random_, 30)) Mutate(request, random_);
  grpc::ClientContext context;
  SetEnd(context);
  v1::JoinResponse response;
  const grpc::Status status = stub_->Join(&context, request, &response);
  Note("join", status);
  if (status.ok() && request.has_data()) {
    workers_.push_back(request.worker());
    if (workers_.size() > kMostWorkers) workers_.pop_front();
  }
}

void HostileClient::Claim() {
  v1::ClaimRequest request;
  *request.mutable_worker() = AnyWorker();
  request.set_run_id(run_.run_id());
  request.set_request_id(Digits(random_, 32));
  if (Percent(random_, 20)) request.mutable_wait_duration()->set_seconds(30);
  Spoil(request);
  grpc::ClientContext context;
  // Whoever waits hangs up.
  SetEnd(context, request.has_wait_duration() ? 1 : 10);
  v1::ClaimResponse response;
  const grpc::Status status = stub_->Claim(&context, request, &response);
  Note(response.has_unit() ? "claim with a unit" : "claim", status);
  if (response.has_unit()) {
    units_.push_back({request.worker(), response.unit()});
    if (units_.size() > kMostUnits) units_.pop_front();
  }
}

void HostileClient::Heartbeat() {
  v1::HeartbeatRequest request;
  *request.mutable_worker() = AnyWorker();
  request.set_run_id(run_.run_id());
  for (uint64_t i = Below(random_, 3); i > 0 && !units_.empty(); --i) {
    const Unit unit = AnyUnit();
    *request.mutable_worker() = unit.holder;
    v1::UnitProgress& progress = *request.add_progress();
    progress.set_unit_id(unit.unit.unit_id());
    progress.set_attempt(unit.unit.attempt());
    progress.set_micro_batches_done(static_cast<int32_t>(Below(random_, 1'000'000)));
  }
  Spoil(request);
  grpc::ClientContext context;
  SetEnd(context);
  v1::HeartbeatResponse response;
  Note("heartbeat", stub_->Heartbeat(&context, request, &response));
}

void HostileClient::ReleaseUnit() {
  if (units_.empty()) return Claim();
  const Unit unit = AnyUnit();
  grpc::ClientContext context;
  SetEnd(context);
  if (Percent(random_, 70)) {
    v1::ReleaseRequest request;
    *request.mutable_worker() = unit.holder;
    request.set_run_id(run_.run_id());
    request.set_unit_id(unit.unit.unit_id());
    request.set_attempt(unit.unit.attempt());
    Spoil(request);
    v1::ReleaseResponse response;
    return Note("release", stub_->Release(&context, request, &response));
  }
  v1::FailRequest request;
  *request.mutable_worker() = unit.holder;
  request.set_run_id(run_.run_id());
  request.set_unit_id(unit.unit.unit_id());
  request.set_attempt(unit.unit.attempt());
  request.set_reason(HostileText(random_));
  Spoil(request);
  v1::FailResponse response;
  Note("fail", stub_->Fail(&context, request, &response));
}

void HostileClient::Describe() {
  v1::DescribeRequest request;
  *request.mutable_worker() = AnyWorker();
  request.set_run_id(run_.run_id());
  Spoil(request);
  grpc::ClientContext context;
  SetEnd(context);
  v1::DescribeResponse response;
  Note("describe", stub_->Describe(&context, request, &response));
}

void HostileClient::Leave() {
  v1::LeaveRequest request;
  *request.mutable_worker() = AnyWorker();
  request.set_run_id(run_.run_id());
  Spoil(request);
  grpc::ClientContext context;
  SetEnd(context);
  v1::LeaveResponse response;
  Note("leave", stub_->Leave(&context, request, &response));
}

void HostileClient::FetchWeights() {
  v1::FetchWeightsRequest request;
  *request.mutable_worker() = AnyWorker();
  request.set_run_id(run_.run_id());
  if (!units_.empty()) request.set_weights_version(units_.back().unit.weights_version());
  Spoil(request);
  grpc::ClientContext context;
  SetEnd(context);
  const auto stream = stub_->FetchWeights(&context, request);
  v1::FetchWeightsResponse message;
  while (stream->Read(&message)) {
  }
  Note("fetch", stream->Finish());
}

void HostileClient::Submit() {
  if (units_.empty()) return Claim();
  const Unit unit = AnyUnit();
  std::string bytes = GradientBytes();
  v1::SubmitHeader header = HeaderOf(unit, bytes);
  if (!sent_.empty() && Percent(random_, 10)) header = sent_[Below(random_, sent_.size())];
  const v1::GradientStats stats = header.stats();
  Spoil(header);
  if (!options_.extreme_gradients) *header.mutable_stats() = stats;
  if (sent_.size() < kMostSent) {
    sent_.push_back(header);
  } else {
    sent_[Below(random_, kMostSent)] = header;
  }

  grpc::ClientContext context;
  SetEnd(context);
  v1::SubmitResponse response;
  const auto stream = stub_->Submit(&context, &response);
  v1::SubmitRequest message;
  const uint64_t fault = Below(random_, 12);
  if (fault == 1) bytes.resize(bytes.size() / 2);    // sizes declared and not sent
  if (fault == 2) bytes += std::string(1'000, 'm');  // too much body
  if (fault == 3) bytes[bytes.size() - 1] ^= 1;      // a flipped bit
  if (fault == 4) bytes.clear();                     // a header without a body
  bool open = true;
  if (fault != 5) {  // a body without a header
    *message.mutable_header() = header;
    open = stream->Write(message);
  }
  if (fault == 6) open = open && stream->Write(message);  // two headers
  for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
    message.set_chunk(bytes.substr(at, kChunkBytes));
    open = stream->Write(message);
    if (fault == 7) {
      message.set_chunk("");  // empty chunks
      open = open && stream->Write(message);
    }
    if (fault == 8 && at > 0) {
      context.TryCancel();  // gone in the middle
      break;
    }
  }
  if (open && fault == 9) {
    message.set_chunk(std::string(2 << 20, 'x'));  // a chunk beyond the limit
    open = stream->Write(message);
  }
  if (open && fault == 10) {
    message.Clear();  // a message that is neither
    open = stream->Write(message);
  }
  if (open) stream->WritesDone();
  const grpc::Status status = stream->Finish();
  Note("submit", status.ok() ? v1::SubmitOutcome_Name(response.outcome())
                             : std::string(absl::StatusCodeToString(
                                   static_cast<absl::StatusCode>(status.error_code()))));
}

void HostileClient::AbandonSubmit() {
  auto open = std::make_unique<OpenSubmit>();
  SetEnd(open->context, 600);
  open->stream = stub_->Submit(&open->context, &open->response);
  if (!units_.empty() && Percent(random_, 80)) {
    v1::SubmitRequest message;
    *message.mutable_header() = HeaderOf(AnyUnit(), zero_gradient_);
    if (Percent(random_, 50))
      message.mutable_header()->mutable_payload()->set_total_bytes(256 << 20);
    if (open->stream->Write(message) && Percent(random_, 50)) {
      message.set_chunk("x");
      open->stream->Write(message);
    }
  }
  open_submits_.push_back(std::move(open));
  if (open_submits_.size() > kMostOpenStreams) open_submits_.pop_front();
  Note("submit abandoned", "open");
}

void HostileClient::AbandonFetch() {
  auto open = std::make_unique<OpenFetch>();
  SetEnd(open->context, 600);
  v1::FetchWeightsRequest request;
  *request.mutable_worker() = AnyWorker();
  request.set_run_id(run_.run_id());
  if (!units_.empty()) request.set_weights_version(units_.back().unit.weights_version());
  open->stream = stub_->FetchWeights(&open->context, request);
  open_fetches_.push_back(std::move(open));
  if (open_fetches_.size() > kMostOpenStreams) open_fetches_.pop_front();
  Note("fetch abandoned", "open");
}

void HostileClient::SendGarbage() {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int port = 0;
  GANNET_CHECK(absl::SimpleAtoi(options_.gateway.substr(options_.gateway.rfind(':') + 1), &port));
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    // Half of them begin as HTTP/2 does.
    std::string bytes = Percent(random_, 50) ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" : "";
    for (uint64_t i = Below(random_, 2'000); i > 0; --i) bytes += static_cast<char>(random_());
    (void)send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  idle_sockets_.push_back(descriptor);
  if (idle_sockets_.size() > kMostIdleSockets) {
    close(idle_sockets_.front());
    idle_sockets_.erase(idle_sockets_.begin());
  }
  Note("garbage", "sent");
}

v1::WorkerIdentity HostileClient::AnyWorker() {
  v1::WorkerIdentity worker;
  if (workers_.empty() || Percent(random_, 3)) {
    worker.set_worker_id(Digits(random_, 32));
    worker.set_secret(Digits(random_, 64));
    worker.set_incarnation(1);
    return worker;
  }
  worker = workers_[Below(random_, workers_.size())];
  if (Percent(random_, 3)) worker.set_secret(Digits(random_, 64));
  return worker;
}

HostileClient::Unit HostileClient::AnyUnit() {
  // Mostly one of the last: the others are of rounds long gone.
  const size_t recent = std::min<size_t>(units_.size(), Percent(random_, 80) ? 6 : kMostUnits);
  Unit unit = units_[units_.size() - 1 - Below(random_, recent)];
  if (Percent(random_, 8)) unit.holder = AnyWorker();
  if (Percent(random_, 8)) {
    unit.unit.set_attempt(unit.unit.attempt() + (Percent(random_, 50) ? 1 : -1));
  }
  if (Percent(random_, 4)) unit.unit.set_unit_id(unit.unit.unit_id() + 1);
  return unit;
}

v1::SubmitHeader HostileClient::HeaderOf(const Unit& unit, const std::string& bytes) {
  v1::SubmitHeader header;
  *header.mutable_worker() = unit.holder;
  header.set_run_id(run_.run_id());
  header.set_unit_id(unit.unit.unit_id());
  header.set_attempt(unit.unit.attempt());
  v1::GradientStats& stats = *header.mutable_stats();
  const int images = unit.unit.image_indices_size();
  stats.set_image_count(images);
  stats.set_micro_batch_count(std::max(1, images / std::max(1, unit.unit.micro_batch())));
  stats.set_discriminator_loss(1.4);
  stats.set_generator_loss(0.7);
  stats.set_real_accuracy(0.5);
  stats.set_fake_accuracy(0.5);
  stats.set_compute_seconds(0.1);
  if (options_.extreme_gradients && Percent(random_, 20)) Mutate(stats, random_);
  v1::PayloadHeader& payload = *header.mutable_payload();
  payload.set_codec(Percent(random_, 95) ? v1::CODEC_FP32 : v1::CODEC_FP16);
  payload.set_total_bytes(static_cast<int64_t>(bytes.size()));
  payload.set_sha256(base::Sha256(bytes));
  return header;
}

std::string HostileClient::GradientBytes() {
  if (!options_.extreme_gradients || Percent(random_, 40)) return zero_gradient_;
  std::string bytes = zero_gradient_;
  if (Percent(random_, 30)) {
    // Not even tensors.
    for (int i = 0; i < 100; ++i)
      bytes[Below(random_, bytes.size())] = static_cast<char>(random_());
    return bytes;
  }
  constexpr float kMost = std::numeric_limits<float>::max();
  const float values[] = {kMost, -kMost, 1e30f, -1e6f, 3e19f, std::nanf(""), INFINITY, 1e-40f};
  tensor::TensorBundle bundle = DecodeBundle(zero_gradient_, tensor::Codec::kFp32).value();
  for (tensor::Tensor& tensor : bundle.mutable_tensors()) {
    if (tensor.spec.dtype != tensor::Dtype::kF32 || !Percent(random_, 30)) continue;
    const absl::Span<float> numbers = tensor.mutable_f32();
    numbers[Below(random_, numbers.size())] = values[Below(random_, std::size(values))];
  }
  return EncodeBundle(bundle, tensor::Codec::kFp32).value();
}

void HostileClient::Spoil(google::protobuf::Message& message) {
  if (Percent(random_, 25)) Mutate(message, random_);
}

void HostileClient::Note(const std::string& kind, const grpc::Status& status) {
  Note(kind, std::string(absl::StatusCodeToString(rpc::FromGrpcStatus(status).code())));
}

void HostileClient::Note(const std::string& kind, const std::string& answer) {
  ++answers_[absl::StrCat(kind, ": ", answer)];
}

}  // namespace gannet::hostile
