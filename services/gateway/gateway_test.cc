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
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/client/grpc_exchange.h"
#include "libs/exchange/memory_backend.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/grpc_status.h"
#include "libs/rpc/health_probe.h"
#include "libs/tensor/codec.h"
#include "services/gateway/gateway_server.h"
#include "services/gateway/testing/forwarding_exchange.h"
#include "services/gateway/testing/gateway_fixture.h"
#include "services/gateway/testing/waiting.h"

namespace gannet {
namespace {

using ::testing::HasSubstr;

// Counts what reaches the backend, and can hold reads of weights up.
class WatchedExchange final : public ForwardingExchange {
 public:
  using ForwardingExchange::ForwardingExchange;

  absl::StatusOr<Payload> FetchWeights(const FetchWeightsRequest& request) override {
    ++weight_reads;
    if (weights_gate.valid()) weights_gate.wait();
    return ForwardingExchange::FetchWeights(request);
  }
  absl::StatusOr<SubmitOutcome> Submit(const SubmitRequest& request) override {
    ++submits;
    return ForwardingExchange::Submit(request);
  }

  std::atomic<int> weight_reads = 0;
  std::atomic<int> submits = 0;
  std::shared_future<void> weights_gate;  // set before the first read
};

class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    run_ = backend_.store().CreateRun(TestNewRun(config_)).value();
    leadership_ = backend_.store().AcquireLeadership(run_, TestLeader(1), absl::Hours(1)).value();
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
    auto gateway = GatewayServer::Start(options, clock_, NullLogger());
    ASSERT_OK(gateway);
    gateway_ = *std::move(gateway);
    client_ = ConnectTo(*gateway_);
    auto channel =
        MakeChannel({.target = absl::StrCat("127.0.0.1:", gateway_->port())}, ChannelUse::kBulk);
    ASSERT_OK(channel);
    channel_ = *channel;
    stub_ = v1::ExchangeService::NewStub(channel_);
  }

  void Start(const GatewayServerOptions& options = TestGatewayOptions()) {
    Listen(options);
    ASSERT_OK(gateway_->AwaitBackend([this](Metrics&) { return Backend(); }));
  }

  bool AwaitServing(bool serving) {
    return AwaitTrue([&] {
      const auto answer = ProbeHealth(channel_, "", absl::Seconds(30));
      return answer.ok() && *answer == serving;
    });
  }

  double Metric(const std::string& series) {
    return MetricValue(Scrape(gateway_->metrics_port()), series);
  }

  WorkerIdentity Join(int number, int64_t incarnation = 1) {
    WorkerIdentity worker = TestWorker(number, incarnation);
    EXPECT_OK(client_->Join(TestJoin(worker, config_)));
    return worker;
  }

  absl::StatusOr<ClaimResult> Claim(const WorkerIdentity& worker,
                                    absl::Duration wait = absl::ZeroDuration()) {
    return client_->Claim({.worker = worker,
                           .run = run_,
                           .request_id = absl::StrFormat("%032x", ++last_request_),
                           .wait = wait});
  }

  WorkUnit ClaimUnit(const WorkerIdentity& worker) {
    const absl::StatusOr<ClaimResult> result = Claim(worker);
    EXPECT_OK(result);
    return result.value().unit.value();
  }

  void TakeAllUnits() {
    for (int i = 0; i < config_.units_per_round; ++i) ClaimUnit(Join(1'000 + i));
  }

  void Publish() {
    ASSERT_OK(backend_.store().Publish(TestPublish(config_, run_, leadership_, version_)));
    version_ = WeightsVersion(version_.value() + 1);
    weights_sha256_ = TestWeights(config_, static_cast<float>(version_.value())).sha256;
    signal_.Notify();
  }

  // Sends a header and chunks as they are, without the client's own checks, and ends the stream.
  absl::Status SubmitRaw(const v1::SubmitHeader& header, const std::vector<std::string>& chunks) {
    grpc::ClientContext context;
    SetDeadline(context, absl::Seconds(60));
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
    return FromGrpcStatus(stream->Finish());
  }

  // Submits a bundle as the gradient of a fresh unit.
  absl::StatusOr<SubmitOutcome> SubmitBundle(const TensorBundle& gradient) {
    const WorkerIdentity worker = Join(1);
    SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
    request.payload =
        Payload::FromBytes(Codec::kFp32, EncodeBundle(gradient, Codec::kFp32).value());
    return client_->Submit(request);
  }

  TensorBundle GoodGradient() {
    return DecodeBundle(*TestGradient(config_, 1.0f).bytes, Codec::kFp32).value();
  }

  const RunConfig config_ = TinyRunConfig();
  RealClock clock_;
  MemoryBackend backend_{clock_};
  WatchedExchange exchange_{backend_.exchange()};
  WorkSignal signal_;
  std::atomic<bool> database_there_ = true;
  RunId run_;
  Leadership leadership_;
  WeightsVersion version_{0};
  std::string weights_sha256_ = TestWeights(config_, 0.0f).sha256;  // of that version
  std::unique_ptr<GatewayServer> gateway_;
  std::unique_ptr<GrpcExchange> client_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ExchangeService::Stub> stub_;
  int last_request_ = 0;
};

// ---- Gradients

TEST_F(GatewayTest, AGoodGradientIsAccepted) {
  Start();

  EXPECT_THAT(SubmitBundle(GoodGradient()), IsOkAndHolds(SubmitOutcome::kAccepted));

  EXPECT_EQ(Metric("gannet_gateway_submits_total{outcome=\"accepted\"}"), 1);
  EXPECT_EQ(Metric("gannet_gateway_upload_in_progress_bytes"), 0);
}

TEST_F(GatewayTest, AHalfPrecisionGradientIsAccepted) {
  Start();
  const WorkerIdentity worker = Join(1);
  SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
  request.payload =
      Payload::FromBytes(Codec::kFp16, EncodeBundle(GoodGradient(), Codec::kFp16).value());

  EXPECT_THAT(client_->Submit(request), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_F(GatewayTest, ATruncatedStreamIsDataLoss) {
  Start();
  const WorkerIdentity worker = Join(1);
  const SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
  const std::string& bytes = *request.payload.bytes;

  EXPECT_THAT(SubmitRaw(SubmitHeaderOf(request), {bytes.substr(0, bytes.size() - 1)}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated")));
  EXPECT_THAT(SubmitRaw(SubmitHeaderOf(request), {}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("truncated")));

  EXPECT_EQ(exchange_.submits, 0);
  EXPECT_THAT(client_->Submit(request), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_F(GatewayTest, AStreamThatGoesOnIsDataLoss) {
  Start();
  const WorkerIdentity worker = Join(1);
  const SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));

  EXPECT_THAT(SubmitRaw(SubmitHeaderOf(request), {*request.payload.bytes, "more"}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("announced end")));
}

TEST_F(GatewayTest, AFlippedBitIsDataLoss) {
  Start();
  const WorkerIdentity worker = Join(1);
  const SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
  std::string bytes = *request.payload.bytes;
  bytes.back() = static_cast<char>(bytes.back() ^ 1);

  EXPECT_THAT(SubmitRaw(SubmitHeaderOf(request), {bytes}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum")));

  EXPECT_EQ(exchange_.submits, 0);
  EXPECT_THAT(client_->Submit(request), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_F(GatewayTest, ANumberThatIsNotFiniteIsRefusedByTensorName) {
  Start();
  TensorBundle gradient = GoodGradient();
  Tensor& tensor = gradient.mutable_tensors().front();
  tensor.mutable_f32()[3] = std::numeric_limits<float>::quiet_NaN();

  EXPECT_THAT(SubmitBundle(gradient),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(tensor.spec.name)));

  EXPECT_EQ(exchange_.submits, 0);
  EXPECT_EQ(Metric("gannet_gateway_submits_total{outcome=\"refused\"}"), 1);
}

TEST_F(GatewayTest, AnotherShapeIsRefusedByTensorName) {
  Start();
  const TensorBundle good = GoodGradient();
  TensorBundle gradient;
  const std::string name = good.tensors().front().spec.name;
  for (const Tensor& tensor : good.tensors()) {
    gradient.Add(tensor.spec.name == name ? Tensor::FromF32(name, {1}, {1.0f}) : tensor);
  }

  EXPECT_THAT(SubmitBundle(gradient),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
}

TEST_F(GatewayTest, AMissingTensorIsRefusedByName) {
  Start();
  const TensorBundle good = GoodGradient();
  TensorBundle gradient;
  const std::string name = good.tensors().back().spec.name;
  for (const Tensor& tensor : good.tensors()) {
    if (tensor.spec.name != name) gradient.Add(tensor);
  }

  EXPECT_THAT(SubmitBundle(gradient),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
}

TEST_F(GatewayTest, BytesThatAreNoTensorsAreRefused) {
  Start();
  const WorkerIdentity worker = Join(1);
  SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
  request.payload = Payload::FromBytes(Codec::kFp32, "anything but tensors");

  EXPECT_THAT(client_->Submit(request), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(exchange_.submits, 0);
}

// ---- Refused before the body

TEST_F(GatewayTest, AnAnnouncedSizeBeyondTheLimitIsRefusedBeforeTheBody) {
  Start();
  const WorkerIdentity worker = Join(1);
  v1::SubmitHeader header = SubmitHeaderOf(TestSubmit(config_, worker, ClaimUnit(worker)));
  // A million times the memory of this machine: were it allocated, the process would end here.
  header.mutable_payload()->set_total_bytes(int64_t{1} << 60);

  EXPECT_THAT(SubmitRaw(header, {}), StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(GatewayTest, AMalformedHeaderIsRefusedBeforeTheBody) {
  Start();
  const WorkerIdentity worker = Join(1);
  const v1::SubmitHeader good = SubmitHeaderOf(TestSubmit(config_, worker, ClaimUnit(worker)));
  std::vector<v1::SubmitHeader> headers(5, good);
  headers[0].mutable_payload()->set_codec(v1::CODEC_UNSPECIFIED);
  headers[1].mutable_payload()->set_sha256("short");
  headers[2].mutable_payload()->set_total_bytes(0);
  headers[3].mutable_payload()->set_total_bytes(-1);
  headers[4].clear_worker();

  for (const v1::SubmitHeader& header : headers) {
    EXPECT_THAT(SubmitRaw(header, {}), StatusIs(absl::StatusCode::kInvalidArgument))
        << header.ShortDebugString();
  }
}

TEST_F(GatewayTest, AStrangerIsRefusedBeforeTheBody) {
  Start();
  const WorkerIdentity worker = Join(1);
  SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
  request.worker = TestWorker(2);

  // An empty stream would be DATA_LOSS, had anybody waited for its bytes.
  EXPECT_THAT(SubmitRaw(SubmitHeaderOf(request), {}), StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(GatewayTest, AStaleIncarnationIsRefusedAtOnceAfterANewOneJoinedHere) {
  Start();
  const WorkerIdentity old = Join(1, 1);
  const SubmitRequest request = TestSubmit(config_, old, ClaimUnit(old));
  ASSERT_OK(client_->FetchWeights({old, run_, version_, weights_sha256_}));
  Join(1, 2);

  EXPECT_THAT(client_->FetchWeights({old, run_, version_, weights_sha256_}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(SubmitRaw(SubmitHeaderOf(request), {}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(GatewayTest, AForeignAttemptIsNotKept) {
  Start();
  const WorkerIdentity holder = Join(1);
  const WorkUnit unit = ClaimUnit(holder);

  EXPECT_THAT(client_->Submit(TestSubmit(config_, Join(2), unit)),
              IsOkAndHolds(SubmitOutcome::kSuperseded));
}

TEST_F(GatewayTest, UploadsTogetherStayWithinTheLimitAndTheNextOneGetsItsTurn) {
  GatewayServerOptions options = TestGatewayOptions();
  const auto one = static_cast<int64_t>(TestGradient(config_, 1.0f).bytes->size());
  options.service.max_payload_bytes = one;
  options.service.max_inflight_bytes = one;
  Start(options);
  const WorkerIdentity first = Join(1);
  const WorkerIdentity second = Join(2);
  const SubmitRequest first_request = TestSubmit(config_, first, ClaimUnit(first));
  const SubmitRequest second_request = TestSubmit(config_, second, ClaimUnit(second));

  // The first one stands in the middle of its stream.
  grpc::ClientContext context;
  SetDeadline(context, absl::Seconds(60));
  v1::SubmitResponse response;
  const auto stream = stub_->Submit(&context, &response);
  v1::SubmitRequest message;
  *message.mutable_header() = SubmitHeaderOf(first_request);
  ASSERT_TRUE(stream->Write(message));
  ASSERT_TRUE(AwaitTrue([&] {
    return Metric("gannet_gateway_upload_in_progress_bytes") == static_cast<double>(one);
  }));

  EXPECT_THAT(client_->Submit(second_request), StatusIs(absl::StatusCode::kResourceExhausted));

  message.set_chunk(*first_request.payload.bytes);
  ASSERT_TRUE(stream->Write(message));
  stream->WritesDone();
  EXPECT_OK(FromGrpcStatus(stream->Finish()));
  EXPECT_THAT(client_->Submit(second_request), IsOkAndHolds(SubmitOutcome::kAccepted));
}

TEST_F(GatewayTest, AnUploadThatBreaksOffGivesItsBytesBack) {
  Start();
  const WorkerIdentity worker = Join(1);
  {
    grpc::ClientContext context;
    SetDeadline(context, absl::Seconds(60));
    v1::SubmitResponse response;
    const auto stream = stub_->Submit(&context, &response);
    v1::SubmitRequest message;
    *message.mutable_header() = SubmitHeaderOf(TestSubmit(config_, worker, ClaimUnit(worker)));
    ASSERT_TRUE(stream->Write(message));
    ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_upload_in_progress_bytes") > 0; }));

    context.TryCancel();
    stream->Finish();
  }

  EXPECT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_upload_in_progress_bytes") == 0; }));
}

TEST_F(GatewayTest, AnUploadThatStandsStillGivesItsBytesBack) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.upload_stall_limit = absl::Milliseconds(30);
  Start(options);
  const WorkerIdentity worker = Join(1);
  const SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
  grpc::ClientContext context;
  SetDeadline(context, absl::Seconds(60));
  v1::SubmitResponse response;
  const auto stream = stub_->Submit(&context, &response);
  v1::SubmitRequest message;
  *message.mutable_header() = SubmitHeaderOf(request);
  ASSERT_TRUE(stream->Write(message));

  EXPECT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_uploads_stalled_total") == 1; }));

  EXPECT_EQ(Metric("gannet_gateway_upload_in_progress_bytes"), 0);
  message.set_chunk(*request.payload.bytes);
  stream->Write(message);
  stream->WritesDone();
  EXPECT_THAT(FromGrpcStatus(stream->Finish()), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(GatewayTest, TheLayoutIsLearntAgainAfterARestart) {
  Start();
  const WorkerIdentity worker = Join(1);
  SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
  gateway_->Stop();
  Start();
  TensorBundle surplus = GoodGradient();
  surplus.Add(Tensor::FromF32("surplus", {1}, {1.0f}));
  request.payload = Payload::FromBytes(Codec::kFp32, EncodeBundle(surplus, Codec::kFp32).value());

  EXPECT_THAT(client_->Submit(request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("surplus")));
}

TEST_F(GatewayTest, AGradientOfARunThatCannotBeLearntIsStillCheckedForNumbers) {
  Start();
  const WorkerIdentity worker = Join(1);
  SubmitRequest request = TestSubmit(config_, worker, ClaimUnit(worker));
  gateway_->Stop();
  ASSERT_OK(backend_.store().CreateRun(TestNewRun(TinyRunConfig("newer"))));
  Start();
  TensorBundle gradient = GoodGradient();
  gradient.mutable_tensors().front().mutable_f32()[0] = std::numeric_limits<float>::infinity();
  SubmitRequest bad = request;
  bad.payload = Payload::FromBytes(Codec::kFp32, EncodeBundle(gradient, Codec::kFp32).value());

  EXPECT_THAT(client_->Submit(bad), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(client_->Submit(request), IsOkAndHolds(SubmitOutcome::kAccepted));

  EXPECT_EQ(Metric("gannet_gateway_submits_unchecked_total"), 2);
}

// ---- Weights

TEST_F(GatewayTest, ThirtyWorkersCostOneRead) {
  std::promise<void> open;
  exchange_.weights_gate = open.get_future().share();
  Start();
  std::vector<std::thread> workers;
  std::atomic<int> intact = 0;
  for (int i = 1; i <= 30; ++i) {
    const WorkerIdentity worker = Join(i);
    workers.emplace_back([this, worker, &intact] {
      const absl::StatusOr<Payload> weights =
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

  EXPECT_THAT(client_->FetchWeights({TestWorker(2), run_, version_, weights_sha256_}),
              StatusIs(absl::StatusCode::kUnauthenticated));
}

TEST_F(GatewayTest, WeightsOfManyChunksArriveIntact) {
  RunConfig wide = TinyRunConfig("wide");
  wide.model = {.image_size = 32, .latent_dim = 16, .base_width = 32};
  const NewRun new_run = TestNewRun(wide);
  run_ = backend_.store().CreateRun(new_run).value();
  Start();
  ASSERT_OK(client_->Join(TestJoin(TestWorker(1), wide)));

  ASSERT_OK_AND_ASSIGN(const Payload weights,
                       client_->FetchWeights({TestWorker(1), run_, version_}));

  EXPECT_GT(weights.bytes->size(), size_t{1} << 20);
  EXPECT_EQ(*weights.bytes, *new_run.weights.bytes);
  EXPECT_EQ(weights.sha256, new_run.weights.sha256);
  EXPECT_EQ(Metric("gannet_gateway_payload_bytes_total{direction=\"out\"}"),
            static_cast<double>(weights.bytes->size()));
}

TEST_F(GatewayTest, AGradientOfManyChunksIsAccepted) {
  RunConfig wide = TinyRunConfig("wide");
  wide.model = {.image_size = 32, .latent_dim = 16, .base_width = 32};
  run_ = backend_.store().CreateRun(TestNewRun(wide)).value();
  Start();
  const WorkerIdentity worker = TestWorker(1);
  ASSERT_OK(client_->Join(TestJoin(worker, wide)));
  const SubmitRequest request = TestSubmit(wide, worker, ClaimUnit(worker));
  ASSERT_GT(request.payload.bytes->size(), size_t{1} << 20);

  EXPECT_THAT(client_->Submit(request), IsOkAndHolds(SubmitOutcome::kAccepted));

  ASSERT_OK_AND_ASSIGN(const Payload stored, backend_.store().FetchGradient(run_, request.unit));
  EXPECT_EQ(*stored.bytes, *request.payload.bytes);
}

TEST_F(GatewayTest, TheClientRefusesWeightsBeyondItsLimit) {
  Start();
  GrpcExchangeOptions options;
  options.channel.target = absl::StrCat("127.0.0.1:", gateway_->port());
  options.max_weights_bytes = 10;
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<GrpcExchange> small, GrpcExchange::Create(options));

  EXPECT_THAT(small->FetchWeights({Join(1), run_, version_, weights_sha256_}),
              StatusIs(absl::StatusCode::kOutOfRange));
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
  options.service.claims.max_looks_at_once = 1;
  options.service.claims.look_interval = absl::Hours(1);
  Start(options);
  TakeAllUnits();
  std::vector<std::unique_ptr<AsyncClaim>> claims;
  for (int i = 1; i <= 200; ++i) {
    auto claim = std::make_unique<AsyncClaim>();
    SetDeadline(claim->context, absl::Seconds(120));
    claim->request = ToProto(ClaimRequest{.worker = Join(i),
                                          .run = run_,
                                          .request_id = absl::StrFormat("%032x", 10'000 + i),
                                          .wait = kMaxClaimWait});
    stub_->async()->Claim(
        &claim->context, &claim->request, &claim->response,
        [raw = claim.get()](grpc::Status status) { raw->done.set_value(std::move(status)); });
    claims.push_back(std::move(claim));
  }
  ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 200; }));

  // Two threads, two hundred claims: were one of them held, this would not be answered.
  EXPECT_OK(client_->Heartbeat(TestWorker(1), run_, {}));
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
  const WorkerIdentity worker = Join(1);
  std::thread waiting([&] {
    const absl::StatusOr<ClaimResult> result = Claim(worker, kMaxClaimWait);
    EXPECT_OK(result);
    EXPECT_FALSE(result.ok() && result->unit.has_value());
  });
  ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 1; }));

  gateway_->Stop();
  waiting.join();

  EXPECT_THAT(Claim(worker), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(GatewayTest, AClaimWhoseCallerIsGoneTakesNoUnit) {
  GatewayServerOptions options = TestGatewayOptions();
  options.service.claims.look_interval = absl::Hours(1);
  Start(options);
  TakeAllUnits();
  const WorkerIdentity gone = Join(1);
  AsyncClaim claim;
  SetDeadline(claim.context, absl::Seconds(60));
  claim.request = ToProto(ClaimRequest{
      .worker = gone, .run = run_, .request_id = std::string(32, 'a'), .wait = kMaxClaimWait});
  stub_->async()->Claim(&claim.context, &claim.request, &claim.response,
                        [&claim](grpc::Status status) { claim.done.set_value(std::move(status)); });
  ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 1; }));

  claim.context.TryCancel();
  claim.done.get_future().wait();
  ASSERT_TRUE(AwaitTrue([&] { return Metric("gannet_gateway_parked_claims") == 0; }));
  Publish();

  for (int i = 2; i <= 4; ++i) {
    ASSERT_OK_AND_ASSIGN(const ClaimResult result, Claim(Join(i)));
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
  const WorkerIdentity worker = Join(1);
  ASSERT_OK(client_->FetchWeights({worker, run_, version_, weights_sha256_}));
  database_there_ = false;
  ASSERT_TRUE(AwaitServing(false));

  ASSERT_OK(client_->FetchWeights({worker, run_, version_, weights_sha256_}));

  EXPECT_EQ(exchange_.weight_reads, 2);
}

TEST_F(GatewayTest, WithoutADatabaseCallsAreUnavailableAndHealthSaysSo) {
  Listen();

  EXPECT_THAT(client_->Join(TestJoin(TestWorker(1), config_)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("database")));
  EXPECT_THAT(client_->FetchWeights({TestWorker(1), run_, version_, weights_sha256_}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(ProbeHealth(channel_, "", absl::Seconds(30)), IsOkAndHolds(false));
}

TEST_F(GatewayTest, TheDatabaseIsAwaited) {
  Listen();
  int tries = 0;

  ASSERT_OK(gateway_->AwaitBackend([&](Metrics&) -> absl::StatusOr<GatewayBackend> {
    if (++tries < 4) return absl::UnavailableError("connection refused");
    return Backend();
  }));

  EXPECT_EQ(tries, 4);
  EXPECT_TRUE(AwaitServing(true));
  EXPECT_OK(client_->Join(TestJoin(TestWorker(1), config_)));
}

TEST_F(GatewayTest, AnErrorThatWillNotPassEndsTheStart) {
  Listen();

  EXPECT_THAT(gateway_->AwaitBackend([](Metrics&) -> absl::StatusOr<GatewayBackend> {
    return absl::FailedPreconditionError("run: gannet migrate");
  }),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("gannet migrate")));
}

TEST_F(GatewayTest, TheWaitForADatabaseCanBeGivenUp) {
  Listen();

  EXPECT_THAT(gateway_->AwaitBackend([this](Metrics&) -> absl::StatusOr<GatewayBackend> {
    gateway_->RequestStop();
    return absl::UnavailableError("connection refused");
  }),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(GatewayTest, ServesUntilAskedToStop) {
  Listen();
  std::thread server([&] { EXPECT_OK(gateway_->Run([this](Metrics&) { return Backend(); })); });
  EXPECT_TRUE(AwaitServing(true));

  gateway_->RequestStop();

  server.join();
  EXPECT_THAT(client_->Join(TestJoin(TestWorker(1), config_)),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(GatewayTest, ATakenPortIsAClearError) {
  Listen();
  GatewayServerOptions options = TestGatewayOptions();
  options.rpc.listen = absl::StrCat("127.0.0.1:", gateway_->port());

  EXPECT_THAT(GatewayServer::Start(options, clock_, NullLogger()).status(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(options.rpc.listen)));
}

TEST_F(GatewayTest, CallsAreCountedByMethodAndCode) {
  Start();
  Join(1);
  EXPECT_FALSE(client_->Heartbeat(TestWorker(2), run_, {}).ok());

  EXPECT_TRUE(AwaitTrue([&] {
    const std::string text = Scrape(gateway_->metrics_port());
    return MetricValue(text, "gannet_gateway_rpc_calls_total{code=\"OK\",method=\"Join\"}") == 1 &&
           MetricValue(text,
                       "gannet_gateway_rpc_calls_total{code=\"UNAUTHENTICATED\","
                       "method=\"Heartbeat\"}") == 1;
  }));
}

TEST(GrpcExchangeTest, AGatewayThatIsNotThereIsUnavailableAndNamed) {
  GrpcExchangeOptions options;
  options.channel.target = "127.0.0.1:1";
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<GrpcExchange> client, GrpcExchange::Create(options));

  EXPECT_THAT(client->Leave(TestWorker(1), RunId(1)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("127.0.0.1:1")));
}

}  // namespace
}  // namespace gannet
