// The whole gateway over real sockets, before the memory backend.
#include <atomic>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gannet/v1/exchange_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/client/grpc_exchange.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/testing/forwarding_exchange.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/grpc_status.h"
#include "libs/rpc/health_probe.h"
#include "libs/tensor/codec.h"
#include "services/gateway/gateway_server.h"
#include "services/gateway/testing/gateway_fixture.h"
#include "services/gateway/testing/waiting.h"

namespace gannet::gateway {
namespace {

using ::testing::HasSubstr;

// Counts what reaches the backend, and can hold reads of weights up.
class WatchedExchange final : public exchange::ForwardingExchange {
 public:
  using exchange::ForwardingExchange::ForwardingExchange;

  absl::StatusOr<exchange::JoinResult> Join(const exchange::JoinRequest& request) override {
    ++joins;
    return exchange::ForwardingExchange::Join(request);
  }
  absl::StatusOr<exchange::RunDescription> Describe(const exchange::WorkerIdentity& worker,
                                                    base::RunId run) override {
    ++descriptions;
    return exchange::ForwardingExchange::Describe(worker, run);
  }
  absl::Status Release(const exchange::WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                       base::Attempt attempt) override {
    ++releases;
    return exchange::ForwardingExchange::Release(worker, run, unit, attempt);
  }
  absl::StatusOr<exchange::Payload> FetchWeights(
      const exchange::FetchWeightsRequest& request) override {
    ++weight_reads;
    if (weights_gate.valid()) weights_gate.wait();
    return exchange::ForwardingExchange::FetchWeights(request);
  }
  absl::StatusOr<domain::SubmitOutcome> Submit(const exchange::SubmitRequest& request) override {
    ++submits;
    return exchange::ForwardingExchange::Submit(request);
  }

  std::atomic<int> joins = 0;
  std::atomic<int> descriptions = 0;
  std::atomic<int> releases = 0;
  std::atomic<int> weight_reads = 0;
  std::atomic<int> submits = 0;
  std::shared_future<void> weights_gate;  // set before the first read
};

class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    run_ = backend_.store().CreateRun(exchange::TestNewRun(config_)).value();
    leadership_ =
        backend_.store().AcquireLeadership(run_, exchange::TestLeader(1), absl::Hours(1)).value();
  }

  void TearDown() override {
    client_.reset();
    if (gateway_ != nullptr) gateway_->Stop();
  }

  GatewayBackend Backend() {
    return {.owner = nullptr, .exchange = &exchange_, .signal = &signal_, .probe = [this] {
              return database_there_ ? absl::OkStatus() : absl::UnavailableError("gone");
            }};
  }

  // Listens, with no database yet.
  void Listen(GatewayServerOptions options = TestGatewayOptions()) {
    options.database.probe_interval = absl::Milliseconds(20);
    auto gateway = GatewayServer::Start(options, clock_, telemetry::NullLogger());
    ASSERT_OK(gateway);
    gateway_ = *std::move(gateway);
    client_ = ConnectTo(*gateway_);
    auto channel = rpc::MakeChannel({.target = absl::StrCat("127.0.0.1:", gateway_->port())},
                                    rpc::ChannelUse::kBulk);
    ASSERT_OK(channel);
    channel_ = *channel;
    stub_ = v1::ExchangeService::NewStub(channel_);
  }

  void Start(const GatewayServerOptions& options = TestGatewayOptions()) {
    Listen(options);
    ASSERT_OK(gateway_->AwaitBackend([this](telemetry::Metrics&) { return Backend(); }));
  }

  bool AwaitServing(bool serving) {
    return AwaitTrue([&] {
      const auto answer = rpc::ProbeHealth(channel_, "", absl::Seconds(30));
      return answer.ok() && *answer == serving;
    });
  }

  double Metric(const std::string& series) {
    return MetricValue(Scrape(gateway_->metrics_port()), series);
  }

  exchange::WorkerIdentity Join(int number, int64_t incarnation = 1) {
    exchange::WorkerIdentity worker = exchange::TestWorker(number, incarnation);
    EXPECT_OK(client_->Join(exchange::TestJoin(worker, config_)));
    return worker;
  }

  absl::StatusOr<exchange::ClaimResult> Claim(const exchange::WorkerIdentity& worker,
                                              absl::Duration wait = absl::ZeroDuration()) {
    return client_->Claim({.worker = worker,
                           .run = run_,
                           .request_id = absl::StrFormat("%032x", ++last_request_),
                           .wait = wait});
  }

  exchange::WorkUnit ClaimUnit(const exchange::WorkerIdentity& worker) {
    const absl::StatusOr<exchange::ClaimResult> result = Claim(worker);
    EXPECT_OK(result);
    return result.value().unit.value();
  }

  void TakeAllUnits() {
    for (int i = 0; i < config_.units_per_round; ++i) ClaimUnit(Join(1'000 + i));
  }

  void Publish() {
    ASSERT_OK(
        backend_.store().Publish(exchange::TestPublish(config_, run_, leadership_, version_)));
    version_ = base::WeightsVersion(version_.value() + 1);
    weights_sha256_ = exchange::TestWeights(config_, static_cast<float>(version_.value())).sha256;
    signal_.Notify();
  }

  // Sends a header and chunks as they are, without the client's own checks, and ends the stream.
  absl::Status SubmitRaw(const v1::SubmitHeader& header, const std::vector<std::string>& chunks) {
    grpc::ClientContext context;
    rpc::SetDeadline(context, absl::Seconds(60));
    v1::SubmitResponse response;
    const auto stream = stub_->Submit(&context, &response);
    v1::SubmitRequest message;
    *message.mutable_header() = header;
    bool open = stream->Write(message);
    for (const std::string& chunk : chunks) {
      if (!open) break;
      message.set_chunk(chunk);
      open = stream->Write(message);
    }
    if (open) stream->WritesDone();
    return rpc::FromGrpcStatus(stream->Finish());
  }

  // Submits a bundle as the gradient of a fresh unit.
  absl::StatusOr<domain::SubmitOutcome> SubmitBundle(const tensor::TensorBundle& gradient) {
    const exchange::WorkerIdentity worker = Join(1);
    exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
    request.payload = exchange::Payload::FromBytes(
        tensor::Codec::kFp32, EncodeBundle(gradient, tensor::Codec::kFp32).value());
    return client_->Submit(request);
  }

  tensor::TensorBundle GoodGradient() {
    return DecodeBundle(*exchange::TestGradient(config_, 1.0f).bytes, tensor::Codec::kFp32).value();
  }

  domain::RunConfig config_ = exchange::TinyRunConfig();
  base::RealClock clock_;
  exchange::MemoryBackend backend_{clock_};
  WatchedExchange exchange_{backend_.exchange()};
  exchange::WorkSignal signal_;
  std::atomic<bool> database_there_ = true;
  base::RunId run_;
  exchange::Leadership leadership_;
  base::WeightsVersion version_{0};
  std::string weights_sha256_ = exchange::TestWeights(config_, 0.0f).sha256;  // of that version
  std::unique_ptr<GatewayServer> gateway_;
  std::unique_ptr<client::GrpcExchange> client_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ExchangeService::Stub> stub_;
  int last_request_ = 0;
};

// ---- Gradients

TEST_F(GatewayTest, AGoodGradientIsAccepted) {
  Start();

  EXPECT_THAT(SubmitBundle(GoodGradient()), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  EXPECT_EQ(Metric("gannet_gateway_submits_total{outcome=\"accepted\"}"), 1);
  EXPECT_EQ(Metric("gannet_gateway_upload_in_progress_bytes"), 0);
}

TEST_F(GatewayTest, AHalfPrecisionGradientIsAccepted) {
  config_.name = "half";
  config_.gradient_codec = static_cast<int>(tensor::Codec::kFp16);
  run_ = backend_.store().CreateRun(exchange::TestNewRun(config_)).value();
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  request.payload = exchange::Payload::FromBytes(
      tensor::Codec::kFp16, EncodeBundle(GoodGradient(), tensor::Codec::kFp16).value());

  EXPECT_THAT(client_->Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_F(GatewayTest, ATruncatedStreamIsDataLoss) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  const exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  const std::string& bytes = *request.payload.bytes;

  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(request), {bytes.substr(0, bytes.size() - 1)}),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated")));
  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(request), {}),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated")));

  EXPECT_EQ(exchange_.submits, 0);
  EXPECT_THAT(client_->Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_F(GatewayTest, AStreamThatGoesOnIsDataLoss) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  const exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));

  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(request), {*request.payload.bytes, "more"}),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("announced end")));
}

TEST_F(GatewayTest, AFlippedBitIsDataLoss) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  const exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  std::string bytes = *request.payload.bytes;
  bytes.back() = static_cast<char>(bytes.back() ^ 1);

  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(request), {bytes}),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum")));

  EXPECT_EQ(exchange_.submits, 0);
  EXPECT_THAT(client_->Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_F(GatewayTest, ANumberThatIsNotFiniteIsRefusedByTensorName) {
  Start();
  tensor::TensorBundle gradient = GoodGradient();
  tensor::Tensor& tensor = gradient.mutable_tensors().front();
  tensor.mutable_f32()[3] = std::numeric_limits<float>::quiet_NaN();

  EXPECT_THAT(SubmitBundle(gradient),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(tensor.spec.name)));

  EXPECT_EQ(exchange_.submits, 0);
  EXPECT_EQ(Metric("gannet_gateway_submits_total{outcome=\"refused\"}"), 1);
}

TEST_F(GatewayTest, ABatchVarianceThatNoBatchHasIsRefusedByTensorPlaceAndValue) {
  Start();
  for (const float value : {-1e6F, 3e38F}) {
    tensor::TensorBundle gradient = GoodGradient();
    tensor::Tensor& tensor = gradient.mutable_tensors().back();
    ASSERT_THAT(tensor.spec.name, HasSubstr("batch_var"));
    tensor.mutable_f32()[0] = value;

    EXPECT_THAT(SubmitBundle(gradient),
                base::StatusIs(absl::StatusCode::kInvalidArgument,
                               AllOf(HasSubstr(tensor.spec.name), HasSubstr("position 0"),
                                     HasSubstr(absl::StrFormat("got %g", value)))));
  }

  EXPECT_EQ(exchange_.submits, 0);
}

TEST_F(GatewayTest, ARemovedWorkerReadsNoWeightsOnceAnyCallOfItWasRefused) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  ASSERT_OK(client_->FetchWeights({worker, run_, version_, weights_sha256_}));
  ASSERT_OK(backend_.store().RemoveWorker(run_, worker.id, "plays"));

  EXPECT_THAT(client_->Heartbeat(worker, run_, {}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("removed")));
  EXPECT_THAT(client_->FetchWeights({worker, run_, version_, weights_sha256_}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("removed")));
}

TEST_F(GatewayTest, AnotherShapeIsRefusedByTensorName) {
  Start();
  const tensor::TensorBundle good = GoodGradient();
  tensor::TensorBundle gradient;
  const std::string name = good.tensors().front().spec.name;
  for (const tensor::Tensor& tensor : good.tensors()) {
    gradient.Add(tensor.spec.name == name ? tensor::Tensor::FromF32(name, {1}, {1.0f}) : tensor);
  }

  EXPECT_THAT(SubmitBundle(gradient),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
}

TEST_F(GatewayTest, AMissingTensorIsRefusedByName) {
  Start();
  const tensor::TensorBundle good = GoodGradient();
  tensor::TensorBundle gradient;
  const std::string name = good.tensors().back().spec.name;
  for (const tensor::Tensor& tensor : good.tensors()) {
    if (tensor.spec.name != name) gradient.Add(tensor);
  }

  EXPECT_THAT(SubmitBundle(gradient),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
}

TEST_F(GatewayTest, BytesThatAreNoTensorsAreRefused) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  request.payload = exchange::Payload::FromBytes(tensor::Codec::kFp32, "anything but tensors");

  EXPECT_THAT(client_->Submit(request), base::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(exchange_.submits, 0);
}

// ---- Refused before the body

TEST_F(GatewayTest, AnAnnouncedSizeBeyondTheLimitIsRefusedBeforeTheBody) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  v1::SubmitHeader header =
      exchange::SubmitHeaderOf(exchange::TestSubmit(config_, worker, ClaimUnit(worker)));
  // A million times the memory of this machine: were it allocated, the process would end here.
  header.mutable_payload()->set_total_bytes(int64_t{1} << 60);

  EXPECT_THAT(SubmitRaw(header, {}), base::StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(GatewayTest, AMalformedHeaderIsRefusedBeforeTheBody) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  const v1::SubmitHeader good =
      exchange::SubmitHeaderOf(exchange::TestSubmit(config_, worker, ClaimUnit(worker)));
  std::vector<v1::SubmitHeader> headers(5, good);
  headers[0].mutable_payload()->set_codec(v1::CODEC_UNSPECIFIED);
  headers[1].mutable_payload()->set_sha256("short");
  headers[2].mutable_payload()->set_total_bytes(0);
  headers[3].mutable_payload()->set_total_bytes(-1);
  headers[4].clear_worker();

  for (const v1::SubmitHeader& header : headers) {
    EXPECT_THAT(SubmitRaw(header, {}), base::StatusIs(absl::StatusCode::kInvalidArgument))
        << header.ShortDebugString();
  }
}

TEST_F(GatewayTest, AStrangerIsRefusedBeforeTheBody) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  request.worker = exchange::TestWorker(2);

  // An empty stream would be DATA_LOSS, had anybody waited for its bytes.
  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(request), {}),
              base::StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(GatewayTest, AStaleIncarnationIsRefusedAtOnceAfterANewOneJoinedHere) {
  Start();
  const exchange::WorkerIdentity old = Join(1, 1);
  const exchange::SubmitRequest request = exchange::TestSubmit(config_, old, ClaimUnit(old));
  ASSERT_OK(client_->FetchWeights({old, run_, version_, weights_sha256_}));
  Join(1, 2);

  EXPECT_THAT(client_->FetchWeights({old, run_, version_, weights_sha256_}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(request), {}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(GatewayTest, AForeignAttemptIsNotKept) {
  Start();
  const exchange::WorkerIdentity holder = Join(1);
  const exchange::WorkUnit unit = ClaimUnit(holder);

  EXPECT_THAT(client_->Submit(exchange::TestSubmit(config_, Join(2), unit)),
              base::IsOkAndHolds(domain::SubmitOutcome::kSuperseded));
}

// A submission whose sender stops somewhere.
class OpenStream {
 public:
  explicit OpenStream(v1::ExchangeService::Stub& stub) {
    rpc::SetDeadline(context_, absl::Seconds(60));
    stream_ = stub.Submit(&context_, &response_);
  }
  ~OpenStream() {
    if (stream_ == nullptr) return;
    context_.TryCancel();
    stream_->Finish();
  }

  bool Send(const v1::SubmitHeader& header) {
    v1::SubmitRequest message;
    *message.mutable_header() = header;
    return stream_->Write(message);
  }
  bool Send(const std::string& chunk) {
    v1::SubmitRequest message;
    message.set_chunk(chunk);
    return stream_->Write(message);
  }
  absl::Status End() {
    stream_->WritesDone();
    return AwaitEnd();
  }
  // What the gateway says, without having been told that this is all.
  absl::Status AwaitEnd() {
    absl::Status status = rpc::FromGrpcStatus(stream_->Finish());
    stream_.reset();
    return status;
  }
  void Cancel() { context_.TryCancel(); }
  v1::SubmitOutcome outcome() const { return response_.outcome(); }

 private:
  grpc::ClientContext context_;
  v1::SubmitResponse response_;
  std::unique_ptr<grpc::ClientWriter<v1::SubmitRequest>> stream_;
};

constexpr char kBytesInProgress[] = "gannet_gateway_upload_in_progress_bytes";

std::string Refused(const std::string& reason) {
  return absl::StrCat("gannet_gateway_refused_total{reason=\"", reason, "\"}");
}

TEST_F(GatewayTest, BytesThatHaveComeStayWithinTheLimitAndTheNextOneGetsItsTurn) {
  GatewayServerOptions options = TestGatewayOptions();
  const auto one = static_cast<int64_t>(exchange::TestGradient(config_, 1.0f).bytes->size());
  options.service.max_payload_bytes = one;
  options.service.max_inflight_bytes = one;
  Start(options);
  const exchange::WorkerIdentity first = Join(1);
  const exchange::WorkerIdentity second = Join(2);
  const exchange::SubmitRequest first_request =
      exchange::TestSubmit(config_, first, ClaimUnit(first));
  const exchange::SubmitRequest second_request =
      exchange::TestSubmit(config_, second, ClaimUnit(second));
  const std::string& bytes = *first_request.payload.bytes;
  const size_t half = bytes.size() / 2;

  // The first one stands in the middle of its stream.
  OpenStream stream(*stub_);
  ASSERT_TRUE(stream.Send(exchange::SubmitHeaderOf(first_request)));
  ASSERT_TRUE(stream.Send(bytes.substr(0, half)));
  ASSERT_TRUE(AwaitTrue([&] { return Metric(kBytesInProgress) == static_cast<double>(half); }));

  EXPECT_THAT(client_->Submit(second_request),
              base::StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_EQ(Metric(Refused("upload_bytes")), 1);
  EXPECT_EQ(Metric("gannet_gateway_refusing{reason=\"upload_bytes\"}"), 1);

  ASSERT_TRUE(stream.Send(bytes.substr(half)));
  EXPECT_OK(stream.End());
  EXPECT_THAT(client_->Submit(second_request),
              base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

TEST_F(GatewayTest, AHeaderTakesUpNoBytes) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  OpenStream stream(*stub_);
  ASSERT_TRUE(stream.Send(
      exchange::SubmitHeaderOf(exchange::TestSubmit(config_, worker, ClaimUnit(worker)))));
  ASSERT_TRUE(stream.Send(std::string(100, 'x')));

  EXPECT_TRUE(AwaitTrue([&] { return Metric(kBytesInProgress) > 0; }));
  EXPECT_EQ(Metric(kBytesInProgress), 100) << "as many as have come";
}

TEST_F(GatewayTest, AnUploadThatBreaksOffGivesItsBytesBack) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  {
    OpenStream stream(*stub_);
    ASSERT_TRUE(stream.Send(
        exchange::SubmitHeaderOf(exchange::TestSubmit(config_, worker, ClaimUnit(worker)))));
    ASSERT_TRUE(stream.Send(std::string(1'000, 'x')));
    ASSERT_TRUE(AwaitTrue([&] { return Metric(kBytesInProgress) > 0; }));
  }

  EXPECT_TRUE(AwaitTrue([&] { return Metric(kBytesInProgress) == 0; }));
}

TEST_F(GatewayTest, AnUploadThatStandsStillIsCutAndGivesItsBytesBack) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.uploads.stall_limit = absl::Milliseconds(100);
  options.service.watch_interval = absl::Milliseconds(10);
  Start(options);
  const exchange::WorkerIdentity worker = Join(1);
  const exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  OpenStream silent(*stub_);  // not even a header
  OpenStream stream(*stub_);
  ASSERT_TRUE(stream.Send(exchange::SubmitHeaderOf(request)));
  stream.Send(std::string(1'000, 'x'));

  EXPECT_THAT(stream.AwaitEnd(), base::StatusIs(absl::StatusCode::kDeadlineExceeded));
  EXPECT_THAT(silent.AwaitEnd(), base::StatusIs(absl::StatusCode::kDeadlineExceeded));

  EXPECT_TRUE(AwaitTrue([&] { return Metric(kBytesInProgress) == 0; }));
  EXPECT_EQ(Metric("gannet_gateway_uploads_stalled_total"), 2);
  EXPECT_EQ(Metric(Refused("upload_slow")), 2);
}

// ---- Nothing is kept for a stranger

TEST_F(GatewayTest, FourIdleStreamsThatDeclareAQuarterOfAGigabyteDisturbNobody) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.max_inflight_bytes = int64_t{1} << 30;
  Start(options);
  const exchange::WorkerIdentity thief = Join(1);
  const exchange::SubmitRequest promise = exchange::TestSubmit(config_, thief, ClaimUnit(thief));
  std::vector<std::unique_ptr<OpenStream>> idle;
  for (int i = 0; i < 4; ++i) {
    v1::SubmitHeader header = exchange::SubmitHeaderOf(promise);
    // Three far beyond the size of the run, and one that promises no more than it may.
    if (i > 0) header.mutable_payload()->set_total_bytes(int64_t{256} << 20);
    idle.push_back(std::make_unique<OpenStream>(*stub_));
    ASSERT_TRUE(idle.back()->Send(header));
    idle.back()->Send(std::string("x"));
  }
  ASSERT_TRUE(AwaitTrue([&] { return Metric(Refused("upload_size")) == 3; }));

  const exchange::WorkerIdentity honest = Join(2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(client_->Submit(exchange::TestSubmit(config_, honest, ClaimUnit(honest))),
                base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  }

  EXPECT_EQ(Metric(kBytesInProgress), 0);
}

TEST_F(GatewayTest, ASizeThatAGradientOfTheRunCannotHaveIsRefusedNamingBoth) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  v1::SubmitHeader header =
      exchange::SubmitHeaderOf(exchange::TestSubmit(config_, worker, ClaimUnit(worker)));
  header.mutable_payload()->set_total_bytes(200 << 20);

  EXPECT_THAT(SubmitRaw(header, {}),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("209715200")));
}

TEST_F(GatewayTest, AGatewayThatIsSetToTakeTooLittleSaysSo) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.max_payload_bytes = 100;
  Start(options);
  const exchange::WorkerIdentity worker = Join(1);

  EXPECT_THAT(
      client_->Submit(exchange::TestSubmit(config_, worker, ClaimUnit(worker))),
      base::StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("gateway.max_payload_bytes")));

  EXPECT_EQ(Metric(Refused("upload_size")), 1);
}

TEST_F(GatewayTest, WhatWouldNotBeKeptIsAnsweredBeforeTheBody) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  const exchange::WorkUnit unit = ClaimUnit(worker);
  const exchange::SubmitRequest own = exchange::TestSubmit(config_, worker, unit);
  const exchange::SubmitRequest foreign = exchange::TestSubmit(config_, Join(2), unit);
  exchange::SubmitRequest unknown = own;
  unknown.unit = base::UnitId(unit.unit.value() + 1'000);
  exchange::SubmitRequest counted_wrong = own;
  counted_wrong.stats.image_count += 1;

  // An empty stream would be DATA_LOSS, had anybody waited for its bytes.
  OpenStream superseded(*stub_);
  ASSERT_TRUE(superseded.Send(exchange::SubmitHeaderOf(foreign)));
  EXPECT_OK(superseded.AwaitEnd());
  EXPECT_EQ(superseded.outcome(), v1::SUBMIT_OUTCOME_SUPERSEDED);
  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(unknown), {}),
              base::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(counted_wrong), {}),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(exchange_.submits, 0);
  ASSERT_THAT(client_->Submit(own), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  // A repeat, whose sender does not know that it has arrived.
  EXPECT_THAT(client_->Submit(own), base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));
  EXPECT_EQ(exchange_.submits, 1);
  EXPECT_EQ(Metric("gannet_gateway_submits_total{outcome=\"already_accepted\"}"), 1);
}

TEST_F(GatewayTest, AnEmptyChunkIsRefused) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  const exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));

  EXPECT_THAT(SubmitRaw(exchange::SubmitHeaderOf(request), {""}),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at least one byte")));

  EXPECT_EQ(Metric(Refused("upload_empty_chunk")), 1);
}

TEST_F(GatewayTest, AnUploadSentAnewTakesThePlaceOfTheOneThatHangs) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  const exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  const exchange::SubmitRequest other = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  OpenStream hanging(*stub_);
  ASSERT_TRUE(hanging.Send(exchange::SubmitHeaderOf(request)));
  ASSERT_TRUE(hanging.Send(std::string(1'000, 'x')));
  ASSERT_TRUE(AwaitTrue([&] { return Metric(kBytesInProgress) > 0; }));

  EXPECT_THAT(client_->Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(client_->Submit(other), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  EXPECT_EQ(Metric(kBytesInProgress), 0);
  hanging.Send(std::string(1, 'x'));
  EXPECT_THAT(hanging.End(), base::StatusIs(absl::StatusCode::kAborted));
}

TEST_F(GatewayTest, WeightsGoToAWorkerTwiceAtATimeAndAReaderWhoDoesNotReadIsCut) {
  domain::RunConfig wide =
      exchange::TinyRunConfig("wide");  // more bytes than sockets and windows hold
  wide.model = {.image_size = 64, .latent_dim = 16, .base_width = 64};
  run_ = backend_.store().CreateRun(exchange::TestNewRun(wide)).value();
  GatewayServerOptions options = TestGatewayOptions();
  options.service.fetches.stall_limit = absl::Milliseconds(500);
  options.service.watch_interval = absl::Milliseconds(20);
  Start(options);
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  const exchange::WorkerIdentity honest = exchange::TestWorker(2);
  ASSERT_OK(client_->Join(exchange::TestJoin(worker, wide)));
  ASSERT_OK(client_->Join(exchange::TestJoin(honest, wide)));
  struct Reader {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::FetchWeightsResponse>> stream;
  };
  // Otherwise gRPC widens its window until all of it lies in the client's memory.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  const auto narrow = v1::ExchangeService::NewStub(grpc::CreateCustomChannel(
      absl::StrCat("127.0.0.1:", gateway_->port()), grpc::InsecureChannelCredentials(), arguments));
  std::vector<std::unique_ptr<Reader>> readers;
  const exchange::FetchWeightsRequest request{worker, run_, version_};
  for (int i = 0; i < kMaxFetchesPerWorker; ++i) {
    auto reader = std::make_unique<Reader>();
    rpc::SetDeadline(reader->context, absl::Seconds(60));
    reader->stream = narrow->FetchWeights(&reader->context, exchange::ToProto(request));
    v1::FetchWeightsResponse header;
    ASSERT_TRUE(reader->stream->Read(&header)) << "and no more";
    readers.push_back(std::move(reader));
  }

  EXPECT_THAT(client_->FetchWeights(request), base::StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_OK(client_->FetchWeights({honest, run_, version_}));
  EXPECT_TRUE(AwaitTrue([&] { return Metric(Refused("fetch_slow")) == 2; }));
  EXPECT_TRUE(AwaitTrue([&] { return client_->FetchWeights(request).ok(); }));

  for (const auto& reader : readers) {
    v1::FetchWeightsResponse message;
    while (reader->stream->Read(&message)) {
    }
    EXPECT_FALSE(reader->stream->Finish().ok());
  }
}

TEST_F(GatewayTest, AFloodOfJoinsIsRefusedAndWhoIsKnownComesBackAllTheSame) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.joins.address_burst = 60;
  options.service.joins.address_per_second = 0;
  Start(options);
  for (int i = 1; i <= 60; ++i)
    ASSERT_OK(client_->Join(exchange::TestJoin(exchange::TestWorker(i), config_)));

  for (int i = 61; i <= 100; ++i) {
    EXPECT_THAT(client_->Join(exchange::TestJoin(exchange::TestWorker(i), config_)),
                base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("repeat later")));
  }

  EXPECT_OK(client_->Join(exchange::TestJoin(exchange::TestWorker(7, 2), config_)))
      << "a new start of a known one";
  EXPECT_EQ(Metric(Refused("joins_of_address")), 40);
  EXPECT_EQ(backend_.store().ListWorkers(run_, base::WorkerId(), exchange::kMaxPage).value().size(),
            60u);
}

TEST_F(GatewayTest, ARunTakesSoManyWorkersByThisGateway) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.joins.max_workers_per_run = 2;
  Start(options);
  domain::RunConfig other = config_;
  other.data.digest = std::string(64, 'e');
  EXPECT_FALSE(client_->Join(exchange::TestJoin(exchange::TestWorker(9), other)).ok())
      << "it takes no place";
  Join(1);
  Join(2);

  EXPECT_THAT(client_->Join(exchange::TestJoin(exchange::TestWorker(3), config_)),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit 2")));
  EXPECT_OK(client_->Join(exchange::TestJoin(exchange::TestWorker(1, 2), config_)));
  EXPECT_EQ(Metric(Refused("workers_of_run")), 1);
}

TEST_F(GatewayTest, ARemovedWorkerMakesRoomAndOneThatWasTakenOverDoesNot) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.joins.max_workers_per_run = 2;
  Start(options);
  const exchange::WorkerIdentity removed = Join(1);
  const exchange::WorkerIdentity former = Join(2);
  Join(2, 2);
  EXPECT_THAT(client_->Heartbeat(former, run_, {}),
              base::StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(client_->Join(exchange::TestJoin(exchange::TestWorker(3), config_)),
              base::StatusIs(absl::StatusCode::kResourceExhausted));

  ASSERT_OK(backend_.store().RemoveWorker(run_, removed.id, "plays"));
  EXPECT_THAT(Claim(removed), base::StatusIs(absl::StatusCode::kFailedPrecondition));

  EXPECT_OK(client_->Join(exchange::TestJoin(exchange::TestWorker(3), config_)));
}

TEST_F(GatewayTest, AJoinThatIsWrongIsCountedAndOneThatFindsNoRoomIsNot) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.joins.address_burst = 3;
  options.service.joins.address_per_second = 0;
  options.service.joins.max_workers_per_run = 1;
  Start(options);
  Join(1);
  for (int i = 2; i < 9; ++i) {
    EXPECT_THAT(client_->Join(exchange::TestJoin(exchange::TestWorker(i), config_)),
                base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("limit 1")));
  }
  domain::RunConfig other = config_;
  other.name = "nobody-knows-it";
  for (int i = 2; i < 4; ++i) {
    EXPECT_THAT(client_->Join(exchange::TestJoin(exchange::TestWorker(i), other)),
                base::StatusIs(absl::StatusCode::kNotFound));
  }

  EXPECT_THAT(client_->Join(exchange::TestJoin(exchange::TestWorker(4), other)),
              base::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("from this address")));
}

TEST_F(GatewayTest, TheLayoutIsLearntAgainAfterARestart) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  gateway_->Stop();
  Start();
  tensor::TensorBundle surplus = GoodGradient();
  surplus.Add(tensor::Tensor::FromF32("surplus", {1}, {1.0f}));
  request.payload = exchange::Payload::FromBytes(
      tensor::Codec::kFp32, EncodeBundle(surplus, tensor::Codec::kFp32).value());

  EXPECT_THAT(client_->Submit(request),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("surplus")));
}

TEST_F(GatewayTest, TheLayoutOfAnyRunIsLearntNotOnlyOfTheNewest) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  gateway_->Stop();
  ASSERT_OK(backend_.store().CreateRun(exchange::TestNewRun(exchange::TinyRunConfig("newer"))));
  Start();
  tensor::TensorBundle surplus = GoodGradient();
  surplus.Add(tensor::Tensor::FromF32("surplus", {1}, {1.0f}));
  exchange::SubmitRequest bad = request;
  bad.payload = exchange::Payload::FromBytes(tensor::Codec::kFp32,
                                             EncodeBundle(surplus, tensor::Codec::kFp32).value());

  EXPECT_THAT(client_->Submit(bad),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("surplus")));
  EXPECT_THAT(client_->Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
}

// Identity and layout with one question, and nothing is released that nobody gave back.
TEST_F(GatewayTest, ARestartedGatewayAsksOnceWhoAWorkerIsAndWhatItsRunLooksLike) {
  Start();
  const exchange::WorkerIdentity worker = Join(1);
  const exchange::SubmitRequest request = exchange::TestSubmit(config_, worker, ClaimUnit(worker));
  gateway_->Stop();
  Start();
  exchange_.joins = 0;
  exchange_.descriptions = 0;

  EXPECT_THAT(client_->Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));
  EXPECT_THAT(client_->Submit(request),
              base::IsOkAndHolds(domain::SubmitOutcome::kAlreadyAccepted));

  EXPECT_EQ(exchange_.descriptions, 1);
  EXPECT_EQ(exchange_.joins, 0);
  EXPECT_EQ(exchange_.releases, 0);
}

// ---- Weights

TEST_F(GatewayTest, ThirtyWorkersCostOneRead) {
  std::promise<void> open;
  exchange_.weights_gate = open.get_future().share();
  Start();
  std::vector<std::thread> workers;
  std::atomic<int> intact = 0;
  for (int i = 1; i <= 30; ++i) {
    const exchange::WorkerIdentity worker = Join(i);
    workers.emplace_back([this, worker, &intact] {
      const absl::StatusOr<exchange::Payload> weights =
          client_->FetchWeights({worker, run_, version_, weights_sha256_});
      if (weights.ok() && weights->IsIntact()) ++intact;
    });
  }
  EXPECT_TRUE(AwaitTrue([&] {
    return Metric("gannet_gateway_weights_cache_requests_total{result=\"shared\"}") == 29;
  }));

  open.set_value();
  for (std::thread& worker : workers) worker.join();

  EXPECT_EQ(intact, 30);
  EXPECT_EQ(exchange_.weight_reads, 1);
}

TEST_F(GatewayTest, CachedWeightsAreNotForStrangers) {
  Start();
  ASSERT_OK(client_->FetchWeights({Join(1), run_, version_, weights_sha256_}));

  EXPECT_THAT(client_->FetchWeights({exchange::TestWorker(2), run_, version_, weights_sha256_}),
              base::StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(GatewayTest, WeightsOfManyChunksArriveIntact) {
  domain::RunConfig wide = exchange::TinyRunConfig("wide");
  wide.model = {.image_size = 32, .latent_dim = 16, .base_width = 32};
  const exchange::NewRun new_run = exchange::TestNewRun(wide);
  run_ = backend_.store().CreateRun(new_run).value();
  Start();
  ASSERT_OK(client_->Join(exchange::TestJoin(exchange::TestWorker(1), wide)));

  ASSERT_OK_AND_ASSIGN(const exchange::Payload weights,
                       client_->FetchWeights({exchange::TestWorker(1), run_, version_}));

  EXPECT_GT(weights.bytes->size(), size_t{1} << 20);
  EXPECT_EQ(*weights.bytes, *new_run.weights.bytes);
  EXPECT_EQ(weights.sha256, new_run.weights.sha256);
  EXPECT_EQ(Metric("gannet_gateway_payload_bytes_total{direction=\"out\"}"),
            static_cast<double>(weights.bytes->size()));
}

TEST_F(GatewayTest, AGradientOfManyChunksIsAccepted) {
  domain::RunConfig wide = exchange::TinyRunConfig("wide");
  wide.model = {.image_size = 32, .latent_dim = 16, .base_width = 32};
  run_ = backend_.store().CreateRun(exchange::TestNewRun(wide)).value();
  Start();
  const exchange::WorkerIdentity worker = exchange::TestWorker(1);
  ASSERT_OK(client_->Join(exchange::TestJoin(worker, wide)));
  const exchange::SubmitRequest request = exchange::TestSubmit(wide, worker, ClaimUnit(worker));
  ASSERT_GT(request.payload.bytes->size(), size_t{1} << 20);

  EXPECT_THAT(client_->Submit(request), base::IsOkAndHolds(domain::SubmitOutcome::kAccepted));

  ASSERT_OK_AND_ASSIGN(const exchange::Payload stored,
                       backend_.store().FetchGradient(run_, request.unit));
  EXPECT_EQ(*stored.bytes, *request.payload.bytes);
}

TEST_F(GatewayTest, TheClientRefusesWeightsBeyondItsLimit) {
  Start();
  client::GrpcExchangeOptions options;
  options.channel.target = absl::StrCat("127.0.0.1:", gateway_->port());
  options.max_weights_bytes = 10;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<client::GrpcExchange> small,
                       client::GrpcExchange::Create(options));

  EXPECT_THAT(small->FetchWeights({Join(1), run_, version_, weights_sha256_}),
              base::StatusIs(absl::StatusCode::kOutOfRange));
}

// ---- Claims

// A claim that waits without a thread of the test.
struct AsyncClaim {
  grpc::ClientContext context;
  v1::ClaimRequest request;
  v1::ClaimResponse response;
  std::promise<grpc::Status> done;
};

TEST_F(GatewayTest, TwoHundredParkedClaimsLeaveTheGatewayAwake) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.control_threads = 2;
  options.service.bulk_threads = 1;
  options.service.claims.max_concurrent_polls = 1;
  options.service.claims.poll_interval = absl::Hours(1);
  Start(options);
  TakeAllUnits();
  std::vector<std::unique_ptr<AsyncClaim>> claims;
  for (int i = 1; i <= 200; ++i) {
    auto claim = std::make_unique<AsyncClaim>();
    rpc::SetDeadline(claim->context, absl::Seconds(120));
    claim->request =
        exchange::ToProto(exchange::ClaimRequest{.worker = Join(i),
                                                 .run = run_,
                                                 .request_id = absl::StrFormat("%032x", 10'000 + i),
                                                 .wait = exchange::kMaxClaimWait});
    stub_->async()->Claim(
        &claim->context, &claim->request, &claim->response,
        [raw = claim.get()](grpc::Status status) { raw->done.set_value(std::move(status)); });
    claims.push_back(std::move(claim));
  }
  ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 200; }));

  // Two threads, two hundred claims: were one of them held, this would not be answered.
  EXPECT_OK(client_->Heartbeat(exchange::TestWorker(1), run_, {}));
  Publish();
  EXPECT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 197; }));
  gateway_->Stop();

  int with_unit = 0;
  for (const auto& claim : claims) {
    const grpc::Status status = claim->done.get_future().get();
    EXPECT_TRUE(status.ok()) << status.error_message();
    with_unit += claim->response.has_unit() ? 1 : 0;
  }
  EXPECT_EQ(with_unit, 3);
}

TEST_F(GatewayTest, StoppingAnswersAParkedClaim) {
  Start();
  TakeAllUnits();
  const exchange::WorkerIdentity worker = Join(1);
  std::thread waiting([&] {
    const absl::StatusOr<exchange::ClaimResult> result = Claim(worker, exchange::kMaxClaimWait);
    EXPECT_OK(result);
    EXPECT_FALSE(result.ok() && result->unit.has_value());
  });
  ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 1; }));

  gateway_->Stop();
  waiting.join();

  EXPECT_THAT(Claim(worker), base::StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(GatewayTest, AClaimWhoseCallerIsGoneTakesNoUnit) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.claims.poll_interval = absl::Hours(1);
  Start(options);
  TakeAllUnits();
  const exchange::WorkerIdentity gone = Join(1);
  AsyncClaim claim;
  rpc::SetDeadline(claim.context, absl::Seconds(60));
  claim.request = exchange::ToProto(exchange::ClaimRequest{.worker = gone,
                                                           .run = run_,
                                                           .request_id = std::string(32, 'a'),
                                                           .wait = exchange::kMaxClaimWait});
  stub_->async()->Claim(&claim.context, &claim.request, &claim.response,
                        [&claim](grpc::Status status) { claim.done.set_value(std::move(status)); });
  ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 1; }));

  claim.context.TryCancel();
  claim.done.get_future().wait();
  ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 0; }));
  Publish();

  for (int i = 2; i <= 4; ++i) {
    ASSERT_OK_AND_ASSIGN(const exchange::ClaimResult result, Claim(Join(i)));
    EXPECT_TRUE(result.unit.has_value());
  }
}

// ---- Health and the life of the server

TEST_F(GatewayTest, HealthFollowsTheDatabase) {
  Start();
  EXPECT_TRUE(AwaitServing(true));
  EXPECT_EQ(Metric("gannet_gateway_database_up"), 1);

  database_there_ = false;
  EXPECT_TRUE(AwaitServing(false));
  EXPECT_EQ(Metric("gannet_gateway_database_up"), 0);

  database_there_ = true;
  EXPECT_TRUE(AwaitServing(true));
}

TEST_F(GatewayTest, AfterTheDatabaseWasAwayNothingIsTakenFromMemory) {
  Start();
  ASSERT_TRUE(AwaitServing(true));
  const exchange::WorkerIdentity worker = Join(1);
  ASSERT_OK(client_->FetchWeights({worker, run_, version_, weights_sha256_}));
  database_there_ = false;
  ASSERT_TRUE(AwaitServing(false));

  ASSERT_OK(client_->FetchWeights({worker, run_, version_, weights_sha256_}));

  EXPECT_EQ(exchange_.weight_reads, 2);
}

TEST_F(GatewayTest, WithoutADatabaseCallsAreUnavailableAndHealthSaysSo) {
  Listen();

  EXPECT_THAT(client_->Join(exchange::TestJoin(exchange::TestWorker(1), config_)),
              base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("database")));
  EXPECT_THAT(client_->FetchWeights({exchange::TestWorker(1), run_, version_, weights_sha256_}),
              base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(rpc::ProbeHealth(channel_, "", absl::Seconds(30)), base::IsOkAndHolds(false));
}

TEST_F(GatewayTest, TheDatabaseIsAwaited) {
  Listen();
  int tries = 0;

  ASSERT_OK(gateway_->AwaitBackend([&](telemetry::Metrics&) -> absl::StatusOr<GatewayBackend> {
    if (++tries < 4) return absl::UnavailableError("connection refused");
    return Backend();
  }));

  EXPECT_EQ(tries, 4);
  EXPECT_TRUE(AwaitServing(true));
  EXPECT_OK(client_->Join(exchange::TestJoin(exchange::TestWorker(1), config_)));
}

TEST_F(GatewayTest, AnErrorThatWillNotPassEndsTheStart) {
  Listen();

  EXPECT_THAT(gateway_->AwaitBackend([](telemetry::Metrics&) -> absl::StatusOr<GatewayBackend> {
    return absl::FailedPreconditionError("run: gannet migrate");
  }),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("gannet migrate")));
}

TEST_F(GatewayTest, TheWaitForADatabaseCanBeGivenUp) {
  Listen();

  EXPECT_THAT(gateway_->AwaitBackend([this](telemetry::Metrics&) -> absl::StatusOr<GatewayBackend> {
    gateway_->RequestStop();
    return absl::UnavailableError("connection refused");
  }),
              base::StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(GatewayTest, ServesUntilAskedToStop) {
  Listen();
  std::thread server(
      [&] { EXPECT_OK(gateway_->Run([this](telemetry::Metrics&) { return Backend(); })); });
  EXPECT_TRUE(AwaitServing(true));

  gateway_->RequestStop();

  server.join();
  EXPECT_THAT(client_->Join(exchange::TestJoin(exchange::TestWorker(1), config_)),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(GatewayTest, ATakenPortIsAClearError) {
  Listen();
  GatewayServerOptions options = TestGatewayOptions();
  options.rpc.listen = absl::StrCat("127.0.0.1:", gateway_->port());

  EXPECT_THAT(GatewayServer::Start(options, clock_, telemetry::NullLogger()).status(),
              base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr(options.rpc.listen)));
}

TEST_F(GatewayTest, CallsAreCountedByMethodAndCode) {
  Start();
  Join(1);
  EXPECT_FALSE(client_->Heartbeat(exchange::TestWorker(2), run_, {}).ok());

  EXPECT_TRUE(AwaitTrue([&] {
    const std::string text = Scrape(gateway_->metrics_port());
    return MetricValue(text, "gannet_gateway_rpc_calls_total{code=\"OK\",method=\"Join\"}") == 1 &&
           MetricValue(text,
                       "gannet_gateway_rpc_calls_total{code=\"UNAUTHENTICATED\","
                       "method=\"Heartbeat\"}") == 1;
  }));
}

TEST(GrpcExchangeTest, AGatewayThatIsNotThereIsUnavailableAndNamed) {
  client::GrpcExchangeOptions options;
  options.channel.target = "127.0.0.1:1";
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<client::GrpcExchange> client,
                       client::GrpcExchange::Create(options));

  EXPECT_THAT(client->Leave(exchange::TestWorker(1), base::RunId(1)),
              base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("127.0.0.1:1")));
}

}  // namespace
}  // namespace gannet::gateway
