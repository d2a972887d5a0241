#include "libs/rpc/server.h"

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gannet/v1/exchange_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/rpc/channel.h"
#include "libs/rpc/grpc_status.h"
#include "libs/rpc/health_probe.h"

namespace gannet::rpc {
namespace {

using ::testing::HasSubstr;

constexpr char kServiceName[] = "gannet.v1.ExchangeService";

// Answers Leave at once, refuses Join, and holds Claim until it is cancelled or let go.
class FewCalls final : public v1::ExchangeService::CallbackService {
 public:
  grpc::ServerUnaryReactor* Leave(grpc::CallbackServerContext* context, const v1::LeaveRequest*,
                                  v1::LeaveResponse*) override {
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context, const v1::JoinRequest*,
                                 v1::JoinResponse*) override {
    auto* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpcStatus(absl::NotFoundError("no such run: tea")));
    return reactor;
  }

  grpc::ServerUnaryReactor* Claim(grpc::CallbackServerContext*, const v1::ClaimRequest*,
                                  v1::ClaimResponse*) override {
    class Held final : public grpc::ServerUnaryReactor {
     public:
      explicit Held(std::promise<void>& arrived) { arrived.set_value(); }
      void OnCancel() override { Finish(grpc::Status::CANCELLED); }
      void OnDone() override { delete this; }
    };
    return new Held(claim_arrived);
  }

  std::promise<void> claim_arrived;
};

class ServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto server = RpcServer::Start({.metric_prefix = "gannet_test_rpc"},
                                   {{&service_, kServiceName}}, metrics_, clock_);
    ASSERT_OK(server);
    server_ = std::move(*server);
    auto channel = MakeChannel({.target = absl::StrCat("127.0.0.1:", server_->bound_port())},
                               ChannelUse::kControl);
    ASSERT_OK(channel);
    channel_ = *channel;
    stub_ = v1::ExchangeService::NewStub(channel_);
  }

  absl::Status Leave() {
    grpc::ClientContext context;
    SetDeadline(context, absl::Seconds(30));
    v1::LeaveResponse response;
    return FromGrpcStatus(stub_->Leave(&context, {}, &response));
  }

  base::RealClock clock_;
  telemetry::Metrics metrics_;
  FewCalls service_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ExchangeService::Stub> stub_;
};

TEST_F(ServerTest, StatusAndMessageReachTheClient) {
  grpc::ClientContext context;
  SetDeadline(context, absl::Seconds(30));
  v1::JoinResponse response;

  EXPECT_THAT(FromGrpcStatus(stub_->Join(&context, {}, &response)),
              base::StatusIs(absl::StatusCode::kNotFound, "no such run: tea"));
}

TEST_F(ServerTest, IsNotServingUntilTold) {
  EXPECT_THAT(ProbeHealth(channel_, "", absl::Seconds(30)), base::IsOkAndHolds(false));

  server_->SetServing(true);

  EXPECT_THAT(ProbeHealth(channel_, "", absl::Seconds(30)), base::IsOkAndHolds(true));
  EXPECT_THAT(ProbeHealth(channel_, kServiceName, absl::Seconds(30)), base::IsOkAndHolds(true));
  EXPECT_THAT(ProbeHealth(channel_, "gannet.v1.Nothing", absl::Seconds(30)),
              base::StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ServerTest, ATakenPortIsRefusedAndNamed) {
  const std::string taken = absl::StrCat("127.0.0.1:", server_->bound_port());
  FewCalls other;

  EXPECT_THAT(
      RpcServer::Start({.listen = taken}, {{&other, kServiceName}}, metrics_, clock_).status(),
      base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr(taken)));
}

TEST_F(ServerTest, AMalformedAddressIsRefused) {
  FewCalls other;

  EXPECT_THAT(
      RpcServer::Start({.listen = "here"}, {{&other, kServiceName}}, metrics_, clock_).status(),
      base::StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ServerTest, CountsCallsByMethodAndCode) {
  ASSERT_OK(Leave());
  ASSERT_OK(Leave());
  grpc::ClientContext context;
  SetDeadline(context, absl::Seconds(30));
  v1::JoinResponse response;
  ASSERT_FALSE(stub_->Join(&context, {}, &response).ok());
  server_->Stop(absl::Seconds(30));

  const std::string text = metrics_.Render();

  EXPECT_THAT(text, HasSubstr("gannet_test_rpc_calls_total{code=\"OK\",method=\"Leave\"} 2"));
  EXPECT_THAT(text, HasSubstr("gannet_test_rpc_calls_total{code=\"NOT_FOUND\",method=\"Join\"} 1"));
  EXPECT_THAT(text, HasSubstr("gannet_test_rpc_duration_seconds_count{method=\"Leave\"} 2"));
  EXPECT_THAT(text, HasSubstr("gannet_test_rpc_calls_in_progress 0"));
}

TEST_F(ServerTest, MethodsAPeerInventsMakeNoNewLabels) {
  grpc::TemplatedGenericStub<v1::LeaveRequest, v1::LeaveResponse> generic(channel_);
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    SetDeadline(context, absl::Seconds(30));
    const v1::LeaveRequest request;
    v1::LeaveResponse response;
    std::promise<grpc::Status> done;
    generic.UnaryCall(&context, absl::StrCat("/gannet.v1.ExchangeService/Invented", i), {},
                      &request, &response,
                      [&done](grpc::Status status) { done.set_value(std::move(status)); });
    EXPECT_THAT(FromGrpcStatus(done.get_future().get()),
                base::StatusIs(absl::StatusCode::kUnimplemented));
  }
  server_->Stop(absl::Seconds(30));

  EXPECT_THAT(metrics_.Render(), ::testing::Not(HasSubstr("Invented")));
}

TEST_F(ServerTest, ReflectionListsTheService) {
  // The wrapper has the same first bytes as ServerReflectionRequest{list_services = 7} needs; the
  // generated class is not packaged, so the two messages are written by hand.
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> generic(channel_);
  grpc::ClientContext context;
  SetDeadline(context, absl::Seconds(30));
  grpc::CompletionQueue queue;
  auto call = generic.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  void* tag = nullptr;
  bool ok = false;
  auto await = [&] { return queue.Next(&tag, &ok) && ok; };
  call->StartCall(&tag);
  ASSERT_TRUE(await());
  grpc::Slice slice(std::string("\x3a\x01*"));  // field 7, one byte: "*"
  call->Write(grpc::ByteBuffer(&slice, 1), &tag);
  ASSERT_TRUE(await());
  grpc::ByteBuffer answer;
  call->Read(&answer, &tag);
  ASSERT_TRUE(await());
  std::vector<grpc::Slice> slices;
  ASSERT_TRUE(answer.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& part : slices) {
    text.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }

  EXPECT_THAT(text, HasSubstr(kServiceName));

  context.TryCancel();
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
}

TEST_F(ServerTest, StopCancelsWhatOutlivesTheLimit) {
  std::thread caller([this] {
    grpc::ClientContext context;
    SetDeadline(context, absl::Seconds(60));
    v1::ClaimResponse response;
    EXPECT_FALSE(stub_->Claim(&context, {}, &response).ok());
  });
  service_.claim_arrived.get_future().wait();

  server_->Stop(absl::Milliseconds(10));
  caller.join();

  EXPECT_THAT(metrics_.Render(), HasSubstr("gannet_test_rpc_calls_in_progress 0"));
}

TEST_F(ServerTest, StopIsIdempotent) {
  server_->Stop(absl::ZeroDuration());
  server_->Stop(absl::ZeroDuration());

  EXPECT_FALSE(Leave().ok());
}

}  // namespace
}  // namespace gannet::rpc
