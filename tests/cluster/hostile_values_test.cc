// A worker that sends every field of every message with extreme but well-formed values, through a
// gateway and past it, to a class in which somebody else works honestly.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gannet/v1/exchange_service.grpc.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/gan/gan.h"
#include "libs/rpc/channel.h"
#include "libs/store/testing/test_postgres.h"
#include "tests/cluster/test_cluster.h"

namespace gannet::cluster {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr uint64_t kSeed = 20261129;
constexpr int kRandomMessages = 150;

const domain::ModelConfig kModel = {.image_size = 32, .latent_dim = 2, .base_width = 1};

const std::vector<double>& Doubles() {
  static const std::vector<double> values = {0.0,
                                             -0.0,
                                             std::numeric_limits<double>::denorm_min(),
                                             std::numeric_limits<double>::max(),
                                             -std::numeric_limits<double>::max(),
                                             1e308,
                                             1e30,
                                             -1e30,
                                             10000.5,
                                             std::numeric_limits<double>::infinity(),
                                             -std::numeric_limits<double>::infinity(),
                                             std::nan("")};
  return values;
}

const std::vector<float>& Floats() {
  static const std::vector<float> values = {0.0F,
                                            -0.0F,
                                            std::numeric_limits<float>::denorm_min(),
                                            std::numeric_limits<float>::max(),
                                            -std::numeric_limits<float>::max(),
                                            1e30F,
                                            -1e30F,
                                            1e18F,
                                            -1e6F,
                                            std::numeric_limits<float>::infinity(),
                                            -std::numeric_limits<float>::infinity(),
                                            std::nanf("")};
  return values;
}

const std::vector<int64_t>& Integers() {
  static const std::vector<int64_t> values = {0,
                                              1,
                                              -1,
                                              std::numeric_limits<int32_t>::max(),
                                              std::numeric_limits<int64_t>::max(),
                                              std::numeric_limits<int64_t>::min()};
  return values;
}

const std::vector<std::string>& Texts() {
  static const std::vector<std::string> values = {"",
                                                  "'; DROP TABLE worker; --",
                                                  std::string(100'000, 'x'),
                                                  "\x01\n",
                                                  "\xE2\x80\xAE",
                                                  std::string(32, 'f')};
  return values;
}

// The message that `path` leads to.
Message& Follow(Message& message, const std::vector<const FieldDescriptor*>& path) {
  Message* at = &message;
  for (const FieldDescriptor* field : path) {
    const auto* reflection = at->GetReflection();
    if (!field->is_repeated()) {
      at = reflection->MutableMessage(at, field);
    } else if (reflection->FieldSize(*at, field) > 0) {
      at = reflection->MutableRepeatedMessage(at, field, 0);
    } else {
      at = reflection->AddMessage(at, field);
    }
  }
  return *at;
}

// Every way in which one field of a message, at any depth, becomes an extreme value.
void AddChanges(const google::protobuf::Descriptor* type, std::vector<const FieldDescriptor*> path,
                std::vector<std::function<void(Message&)>>& changes) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      path.push_back(field);
      AddChanges(field->message_type(), path, changes);
      path.pop_back();
      // Absent, too.
      changes.push_back([path, field](Message& message) {
        Message& parent = Follow(message, path);
        parent.GetReflection()->ClearField(&parent, field);
      });
      continue;
    }
    const auto add = [&](auto set) {
      changes.push_back([path, field, set](Message& message) {
        Message& parent = Follow(message, path);
        set(parent, *parent.GetReflection(), field);
      });
    };
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_DOUBLE:
        for (const double value : Doubles()) {
          add([value](Message& m, const auto& r, auto* f) { r.SetDouble(&m, f, value); });
        }
        break;
      case FieldDescriptor::CPPTYPE_INT64:
        for (const int64_t value : Integers()) {
          add([value](Message& m, const auto& r, auto* f) { r.SetInt64(&m, f, value); });
        }
        break;
      case FieldDescriptor::CPPTYPE_INT32:
        for (const int64_t value : Integers()) {
          const auto small = static_cast<int32_t>(std::clamp<int64_t>(
              value, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
          add([small](Message& m, const auto& r, auto* f) { r.SetInt32(&m, f, small); });
        }
        break;
      case FieldDescriptor::CPPTYPE_ENUM:
        for (const int value : {0, 1, 2, -1, 1000}) {
          add([value](Message& m, const auto& r, auto* f) { r.SetEnumValue(&m, f, value); });
        }
        break;
      case FieldDescriptor::CPPTYPE_STRING:
        for (const std::string& value : Texts()) {
          add([value](Message& m, const auto& r, auto* f) { r.SetString(&m, f, value); });
        }
        break;
      default:
        ADD_FAILURE() << "a worker's message has a field of a kind that is not tried: "
                      << field->full_name();
    }
  }
}

std::vector<std::function<void(Message&)>> ChangesOf(const Message& message) {
  std::vector<std::function<void(Message&)>> changes;
  AddChanges(message.GetDescriptor(), {}, changes);
  return changes;
}

class HostileValuesTest : public ::testing::Test {
 protected:
  HostileValuesTest() : cluster_(Config()), random_(kSeed) {
    std::cout << "seed " << kSeed << std::endl;
    gan::ConfigureCompute(1);
    cluster_.StartGateway();
    cluster_.StartCoordinator();
    run_ = cluster_.run();
    honest_ = cluster_.AddWorker(WorkerPath::kGateway);
    const auto channel = rpc::MakeChannel(
        {.target = absl::StrCat("127.0.0.1:", cluster_.gateway_port())}, rpc::ChannelUse::kBulk);
    EXPECT_OK(channel);
    stub_ = v1::ExchangeService::NewStub(*channel);
  }

  static domain::RunConfig Config() {
    domain::RunConfig config = FacesRunConfig(kModel, 4, 2, 1'000'000);
    config.units_per_round = 3;
    return config;
  }

  // ---- The class

  exchange::RunStatus Status() {
    absl::StatusOr<exchange::RunStatus> status = cluster_.store().GetRunStatus(run_);
    EXPECT_OK(status);
    return *std::move(status);
  }

  // What an instructor does when a unit was failed again and again: the reason names who did it.
  void ResumeIfPaused() {
    const exchange::RunStatus status = Status();
    if (status.state != domain::RunState::kPaused) return;
    EXPECT_TRUE(absl::StrContains(status.state_reason, "worker ")) << status.state_reason;
    EXPECT_OK(cluster_.store().SetRunState(run_, domain::RunState::kRunning, ""));
  }

  // The hostile worker stands aside; the next rounds must be published, and be in order.
  void ExpectTheClassGoesOn() {
    LeaveEverything();
    const int64_t goal = Status().weights_version.value() + 2;
    const absl::Duration end = clock_.Steady() + absl::Minutes(2);
    while (Status().weights_version.value() < goal) {
      ASSERT_LT(clock_.Steady(), end) << "no round is published any more";
      ResumeIfPaused();
      cluster_.store().AwaitChange(run_, absl::Milliseconds(50));
    }
    const absl::StatusOr<exchange::Store::Snapshot> snapshot = cluster_.store().LoadSnapshot(run_);
    ASSERT_OK(snapshot);
    for (const exchange::Payload& payload : {snapshot->weights, snapshot->adam_state}) {
      const absl::StatusOr<tensor::TensorBundle> bundle =
          DecodeBundle(*payload.bytes, payload.codec);
      ASSERT_OK(bundle);
      EXPECT_OK(bundle->CheckFinite());
      for (const tensor::Tensor& tensor : bundle->tensors()) {
        if (!absl::EndsWith(tensor.spec.name, "running_var")) continue;
        for (const float value : tensor.f32()) EXPECT_GE(value, 0) << tensor.spec.name;
      }
    }
    const exchange::RunStatus status = Status();
    ASSERT_TRUE(status.last_round.has_value());
    EXPECT_LE(std::abs(status.last_round->discriminator_loss), 1e4);
    EXPECT_LE(std::abs(status.last_round->generator_loss), 1e4);
    EXPECT_GE(status.last_round->real_accuracy, 0);
    EXPECT_LE(status.last_round->real_accuracy, 1);
    const absl::StatusOr<std::vector<exchange::WorkerSummary>> workers =
        cluster_.store().ListWorkers(run_, base::WorkerId(), exchange::kMaxPage);
    ASSERT_OK(workers);
    for (const exchange::WorkerSummary& worker : *workers) {
      if (worker.worker == exchange::TestWorker(honest_).id) {
        EXPECT_EQ(worker.removed_reason, "");
      }
    }
  }

  // ---- The hostile worker

  exchange::Exchange& direct() { return cluster_.direct_exchange(); }
  exchange::WorkerIdentity me() const { return exchange::TestWorker(1000 + number_); }

  // Joined, and with a unit where one is free; under a new identity once the old one was removed.
  void TakePlace() {
    while (true) {
      const auto joined = direct().Join(exchange::TestJoin(me(), cluster_.config()));
      if (joined.ok()) break;
      ASSERT_EQ(joined.status().code(), absl::StatusCode::kFailedPrecondition) << joined.status();
      ++number_;
      unit_.reset();
    }
    if (unit_.has_value()) {
      const auto held = direct().Heartbeat(me(), run_, {{unit_->unit, unit_->attempt, 0}});
      if (held.ok() && held->dropped.empty()) return;
      unit_.reset();
    }
    const auto claimed = direct().Claim({me(), run_, base::RandomHex(16), absl::Milliseconds(200)});
    if (claimed.ok()) unit_ = claimed->unit;
    if (!unit_.has_value()) ResumeIfPaused();
  }

  void LeaveEverything() {
    for (int number = 0; number <= number_; ++number) {
      // Refused when it was removed, by which nothing is left to release.
      direct().Leave(exchange::TestWorker(1000 + number), run_).IgnoreError();
    }
    unit_.reset();
  }

  exchange::WorkUnit UnitOrAny() const {
    if (unit_.has_value()) return *unit_;
    exchange::WorkUnit any;
    any.run = run_;
    any.unit = base::UnitId(1);
    any.attempt = base::Attempt(1);
    return any;
  }

  exchange::SubmitRequest Submission(const tensor::TensorBundle& gradient) {
    exchange::SubmitRequest request = exchange::TestSubmit(cluster_.config(), me(), UnitOrAny());
    request.run = run_;
    absl::StatusOr<exchange::Payload> payload =
        exchange::Payload::FromBundle(gradient, tensor::Codec::kFp32);
    EXPECT_OK(payload);
    request.payload = *std::move(payload);
    return request;
  }

  static tensor::TensorBundle Gradient() {
    tensor::TensorBundle gradient;
    for (const tensor::TensorSpec& spec : domain::GradientSpec(kModel)) {
      tensor::Tensor tensor = tensor::Tensor::Zeros(spec);
      for (float& value : tensor.mutable_f32()) value = 0.01F;
      gradient.Add(std::move(tensor));
    }
    return gradient;
  }

  uint64_t Below(uint64_t bound) { return random_() % bound; }

  // ---- Through the gateway

  template <typename Request, typename Response, typename Call>
  void SendChanged(const std::function<Request()>& ordinary, Call call) {
    const auto changes = ChangesOf(Request());
    const auto send = [&](const std::vector<size_t>& chosen) {
      TakePlace();
      Request request = ordinary();
      for (const size_t change : chosen) changes[change](request);
      grpc::ClientContext context;
      rpc::SetDeadline(context, absl::Seconds(20));
      Response response;
      call(context, request, response);
      ++sent_;
    };
    for (size_t i = 0; i < changes.size(); ++i) send({i});
    for (int i = 0; i < kRandomMessages / 10; ++i) {
      std::vector<size_t> chosen(2 + Below(3));
      for (size_t& change : chosen) change = Below(changes.size());
      send(chosen);
    }
  }

  grpc::Status SendStream(grpc::ClientContext& context, const v1::SubmitHeader& header,
                          const std::string& bytes, v1::SubmitResponse& response) {
    const auto stream = stub_->Submit(&context, &response);
    v1::SubmitRequest message;
    *message.mutable_header() = header;
    bool open = stream->Write(message);
    for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
      message.set_chunk(bytes.substr(at, kChunkBytes));
      open = stream->Write(message);
    }
    if (open) stream->WritesDone();
    return stream->Finish();
  }

  // ---- Past it

  absl::Status Sql(const std::string& sql) {
    ++sent_;
    return store::TestPostgres::Get().Query(cluster_.worker_url(), sql).status();
  }

  std::string SqlBytes(const std::string& bytes) {
    return absl::StrCat("'\\x", base::HexEncode(bytes), "'::bytea");
  }

  struct Argument {
    std::string ordinary;
    std::vector<std::string> extremes;
    std::string key = {};  // set: a member of the JSON object that stands in its place
  };

  // The arguments of a call: members that stand side by side as one object.
  static std::string Listed(const std::vector<Argument>& shape,
                            const std::vector<std::string>& values) {
    std::string list;
    bool in_object = false;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (in_object && shape[i].key.empty()) absl::StrAppend(&list, ")");
      if (i > 0) absl::StrAppend(&list, ", ");
      if (!shape[i].key.empty()) {
        absl::StrAppend(&list, in_object ? "'" : "jsonb_build_object('", shape[i].key, "', ");
      }
      in_object = !shape[i].key.empty();
      absl::StrAppend(&list, values[i]);
    }
    if (in_object) absl::StrAppend(&list, ")");
    return list;
  }

  // Calls a function with each of its arguments extreme in turn, then with several at once.
  void CallChanged(const std::string& name,
                   const std::function<std::vector<Argument>()>& arguments) {
    const auto call = [&](const std::vector<std::pair<size_t, size_t>>& chosen) {
      TakePlace();
      const std::vector<Argument> ordinary = arguments();
      std::vector<std::string> values;
      for (const Argument& argument : ordinary) values.push_back(argument.ordinary);
      for (const auto& [place, extreme] : chosen) {
        values[place] = ordinary[place].extremes[extreme % ordinary[place].extremes.size()];
      }
      Sql(absl::StrCat("SELECT * FROM gannet.", name, "(", Listed(ordinary, values), ")"))
          .IgnoreError();
    };
    TakePlace();
    const std::vector<Argument> shape = arguments();
    for (size_t place = 0; place < shape.size(); ++place) {
      for (size_t i = 0; i < shape[place].extremes.size(); ++i) call({{place, i}});
    }
    for (int i = 0; i < kRandomMessages / 10; ++i) {
      std::vector<std::pair<size_t, size_t>> chosen(2 + Below(3));
      for (auto& [place, extreme] : chosen) {
        place = Below(shape.size());
        extreme = Below(100);
      }
      call(chosen);
    }
  }

  static std::vector<std::string> SqlTexts() {
    return {"''",
            "NULL",
            "'''; DROP TABLE worker; --'",
            "repeat('x', 100000)",
            "E'\\x01\\n'",
            "U&'\\202E'",
            "repeat('f', 32)"};
  }
  // As members of an object.
  static std::vector<std::string> SqlJsonTexts() {
    std::vector<std::string> values = {"7", "'[1]'::jsonb", "'{}'::jsonb", "true"};
    for (const std::string& text : SqlTexts()) values.push_back(absl::StrCat(text, "::text"));
    return values;
  }
  static std::vector<std::string> SqlDoubles() {
    return {"0",
            "'-0'::float8",
            "5e-324",
            "1.7e308",
            "-1.7e308",
            "1e30",
            "-1e30",
            "10000.5",
            "'Infinity'::float8",
            "'-Infinity'::float8",
            "'NaN'::float8",
            "NULL"};
  }
  static std::vector<std::string> SqlBigints() {
    return {"0",   "1", "-1", "2147483647", "9223372036854775807", "'-9223372036854775808'::bigint",
            "NULL"};
  }
  static std::vector<std::string> SqlIntegers() {
    return {"0", "1", "-1", "2147483647", "'-2147483648'::integer", "NULL"};
  }
  static std::vector<std::string> SqlSmallints() {
    return {"0::smallint", "2::smallint", "-1::smallint", "32767::smallint", "NULL"};
  }
  static std::vector<std::string> SqlByteas() {
    return {"''::bytea", "'\\x00'::bytea", "convert_to(repeat('x', 100000), 'UTF8')", "NULL"};
  }

  std::vector<Argument> IdentityArguments() {
    return {{absl::StrCat("'", me().id.value(), "'"), SqlTexts()},
            {absl::StrCat("'", me().secret, "'"), SqlTexts()},
            {"1", SqlBigints()},
            {absl::StrCat(run_.value()), SqlBigints()}};
  }

  std::vector<Argument> LeaseArguments() {
    std::vector<Argument> arguments = IdentityArguments();
    arguments.push_back({absl::StrCat(UnitOrAny().unit.value()), SqlBigints()});
    arguments.push_back({absl::StrCat(UnitOrAny().attempt.value()), SqlIntegers()});
    return arguments;
  }

  std::vector<Argument> SubmitArguments(const tensor::TensorBundle& gradient) {
    const exchange::SubmitRequest request = Submission(gradient);
    const exchange::GradientStats& stats = request.stats;
    std::vector<Argument> arguments = LeaseArguments();
    const auto add = [&](const std::string& key, const std::string& value,
                         std::vector<std::string> extremes) {
      extremes.insert(extremes.end(), {"'x'::text", "'[1]'::jsonb", "'{}'::jsonb", "true"});
      arguments.push_back({value, std::move(extremes), key});
    };
    add("image_count", absl::StrCat(stats.image_count), SqlIntegers());
    add("micro_batch_count", absl::StrCat(stats.micro_batch_count), SqlIntegers());
    add("discriminator_loss", absl::StrCat(stats.discriminator_loss), SqlDoubles());
    add("generator_loss", absl::StrCat(stats.generator_loss), SqlDoubles());
    add("real_accuracy", absl::StrCat(stats.real_accuracy), SqlDoubles());
    add("fake_accuracy", absl::StrCat(stats.fake_accuracy), SqlDoubles());
    add("compute_seconds", absl::StrCat(stats.compute_seconds), SqlDoubles());
    add("codec", "1", SqlSmallints());
    add("payload_bytes", absl::StrCat(request.payload.bytes->size()), SqlBigints());
    arguments.push_back({SqlBytes(request.payload.sha256), SqlByteas()});
    arguments.push_back({"0", SqlIntegers()});
    arguments.push_back({SqlBytes(*request.payload.bytes), SqlByteas()});
    return arguments;
  }

  static constexpr size_t kChunkBytes = 64 * 1024;

  base::RealClock clock_;
  TestCluster cluster_;
  std::mt19937_64 random_;
  base::RunId run_;
  int honest_ = 0;
  std::unique_ptr<v1::ExchangeService::Stub> stub_;
  int number_ = 0;  // of the hostile worker's identity
  std::optional<exchange::WorkUnit> unit_;
  int sent_ = 0;
};

TEST_F(HostileValuesTest, NoFieldOfAMessageStopsAClass) {
  const auto identity = [this] { return exchange::ToProto(me()); };
  SendChanged<v1::JoinRequest, v1::JoinResponse>(
      [&] { return exchange::ToProto(exchange::TestJoin(me(), cluster_.config())); },
      [&](auto& context, const auto& request, auto& response) {
        stub_->Join(&context, request, &response);
      });
  SendChanged<v1::ClaimRequest, v1::ClaimResponse>(
      [&] {
        v1::ClaimRequest request;
        *request.mutable_worker() = identity();
        request.set_run_id(run_.value());
        request.set_request_id(base::RandomHex(16));
        return request;
      },
      [&](auto& context, const auto& request, auto& response) {
        stub_->Claim(&context, request, &response);
      });
  SendChanged<v1::FetchWeightsRequest, v1::FetchWeightsResponse>(
      [&] {
        v1::FetchWeightsRequest request;
        *request.mutable_worker() = identity();
        request.set_run_id(run_.value());
        request.set_weights_version(Status().weights_version.value());
        return request;
      },
      [&](auto& context, const auto& request, auto& response) {
        const auto stream = stub_->FetchWeights(&context, request);
        while (stream->Read(&response)) continue;
        stream->Finish();
      });
  SendChanged<v1::HeartbeatRequest, v1::HeartbeatResponse>(
      [&] {
        v1::HeartbeatRequest request;
        *request.mutable_worker() = identity();
        request.set_run_id(run_.value());
        v1::UnitProgress& progress = *request.add_progress();
        progress.set_unit_id(UnitOrAny().unit.value());
        progress.set_attempt(UnitOrAny().attempt.value());
        return request;
      },
      [&](auto& context, const auto& request, auto& response) {
        stub_->Heartbeat(&context, request, &response);
      });
  SendChanged<v1::ReleaseRequest, v1::ReleaseResponse>(
      [&] {
        v1::ReleaseRequest request;
        *request.mutable_worker() = identity();
        request.set_run_id(run_.value());
        request.set_unit_id(UnitOrAny().unit.value());
        request.set_attempt(UnitOrAny().attempt.value());
        return request;
      },
      [&](auto& context, const auto& request, auto& response) {
        stub_->Release(&context, request, &response);
      });
  SendChanged<v1::FailRequest, v1::FailResponse>(
      [&] {
        v1::FailRequest request;
        *request.mutable_worker() = identity();
        request.set_run_id(run_.value());
        request.set_unit_id(UnitOrAny().unit.value());
        request.set_attempt(UnitOrAny().attempt.value());
        request.set_reason("cannot");
        return request;
      },
      [&](auto& context, const auto& request, auto& response) {
        stub_->Fail(&context, request, &response);
      });
  SendChanged<v1::DescribeRequest, v1::DescribeResponse>(
      [&] {
        v1::DescribeRequest request;
        *request.mutable_worker() = identity();
        request.set_run_id(run_.value());
        return request;
      },
      [&](auto& context, const auto& request, auto& response) {
        stub_->Describe(&context, request, &response);
      });
  SendChanged<v1::LeaveRequest, v1::LeaveResponse>(
      [&] {
        v1::LeaveRequest request;
        *request.mutable_worker() = identity();
        request.set_run_id(run_.value());
        return request;
      },
      [&](auto& context, const auto& request, auto& response) {
        stub_->Leave(&context, request, &response);
      });

  ExpectTheClassGoesOn();
  std::cout << sent_ << " messages" << std::endl;
}

TEST_F(HostileValuesTest, NoFieldOfASubmissionAndNoTensorStopsAClass) {
  exchange::SubmitRequest last;
  SendChanged<v1::SubmitHeader, v1::SubmitResponse>(
      [&] {
        last = Submission(Gradient());
        return exchange::SubmitHeaderOf(last);
      },
      [&](auto& context, const auto& header, auto& response) {
        SendStream(context, header, *last.payload.bytes, response);
      });
  ExpectTheClassGoesOn();

  const size_t tensors = Gradient().tensors().size();
  for (size_t tensor = 0; tensor < tensors; ++tensor) {
    for (const float value : Floats()) {
      TakePlace();
      tensor::TensorBundle gradient = Gradient();
      const absl::Span<float> values = gradient.mutable_tensors()[tensor].mutable_f32();
      values[Below(values.size())] = value;
      const exchange::SubmitRequest request = Submission(gradient);
      grpc::ClientContext context;
      rpc::SetDeadline(context, absl::Seconds(20));
      v1::SubmitResponse response;
      SendStream(context, exchange::SubmitHeaderOf(request), *request.payload.bytes, response);
      ++sent_;
    }
  }
  ExpectTheClassGoesOn();
  std::cout << sent_ << " messages" << std::endl;
}

TEST_F(HostileValuesTest, NoArgumentOfAFunctionStopsAClass) {
  const domain::DataFingerprint& data = cluster_.config().data;
  CallChanged("join_run", [&] {
    std::vector<Argument> arguments = IdentityArguments();
    arguments.back() = {"'cluster'::text", SqlJsonTexts(), "run_name"};
    arguments.push_back({"'hostile'::text", SqlJsonTexts(), "display_name"});
    arguments.push_back({"'cpu'::text", SqlJsonTexts(), "hardware"});
    arguments.push_back({absl::StrCat("'", data.kind, "'::text"), SqlJsonTexts(), "data_kind"});
    arguments.push_back({absl::StrCat(data.image_count), SqlBigints(), "data_image_count"});
    arguments.push_back({absl::StrCat("'", data.digest, "'::text"), SqlJsonTexts(), "data_digest"});
    return arguments;
  });
  CallChanged("claim_unit", [&] {
    std::vector<Argument> arguments = IdentityArguments();
    arguments.push_back({absl::StrCat("'", base::RandomHex(16), "'"), SqlTexts()});
    return arguments;
  });
  CallChanged("open_weights", [&] {
    std::vector<Argument> arguments = IdentityArguments();
    arguments.push_back({absl::StrCat(Status().weights_version.value()), SqlBigints()});
    arguments.push_back({"''::bytea", SqlByteas()});
    return arguments;
  });
  CallChanged("heartbeat", [&] {
    std::vector<Argument> arguments = IdentityArguments();
    const exchange::WorkUnit unit = UnitOrAny();
    arguments.push_back({absl::StrCat("ARRAY[", unit.unit.value(), "]::bigint[]"),
                         {"'{}'", "NULL", "'{NULL}'", "'{9223372036854775807}'",
                          "array_fill(1::bigint, '{100000}')"}});
    for (const int value : {unit.attempt.value(), 0}) {
      arguments.push_back({absl::StrCat("ARRAY[", value, "]"),
                           {"'{}'", "NULL", "'{NULL}'", "'{2147483647}'", "'{-2147483648}'",
                            "array_fill(1, '{100000}')"}});
    }
    return arguments;
  });
  CallChanged("release_unit", [&] { return LeaseArguments(); });
  CallChanged("fail_unit", [&] {
    std::vector<Argument> arguments = LeaseArguments();
    arguments.push_back({"'cannot'", SqlTexts()});
    return arguments;
  });
  CallChanged("describe_run", [&] { return IdentityArguments(); });
  CallChanged("leave_run", [&] { return IdentityArguments(); });
  CallChanged("check_submission", [&] {
    std::vector<Argument> arguments = LeaseArguments();
    arguments.push_back({"4", SqlIntegers()});
    arguments.push_back({"2", SqlIntegers()});
    arguments.push_back({"sha256('abc')", SqlByteas()});
    return arguments;
  });
  CallChanged("stage_gradient", [&] {
    std::vector<Argument> arguments = LeaseArguments();
    arguments.push_back({"0", SqlIntegers()});
    arguments.push_back({"'abc'::bytea", SqlByteas()});
    return arguments;
  });

  ExpectTheClassGoesOn();
  std::cout << sent_ << " calls" << std::endl;
}

TEST_F(HostileValuesTest, NoGradientThatIsStoredPastTheGatewayStopsAClass) {
  CallChanged("submit_gradient", [&] { return SubmitArguments(Gradient()); });
  for (const char* object : {"NULL", "'null'", "'[]'", "'7'", "'{}'", "'{\"codec\": null}'"}) {
    TakePlace();
    const std::vector<Argument> lease = LeaseArguments();
    std::vector<std::string> values;
    for (const Argument& argument : lease) values.push_back(argument.ordinary);
    Sql(absl::StrCat("SELECT gannet.submit_gradient(", Listed(lease, values), ", ", object,
                     "::jsonb, sha256('abc'), 0, 'abc')"))
        .IgnoreError();
  }
  ExpectTheClassGoesOn();

  // Nobody decodes these before the coordinator does.
  const tensor::TensorBundle ordinary = Gradient();
  for (const char* part : {"generator.main.0.weight", ".batch_mean.", ".batch_var."}) {
    for (const float value : Floats()) {
      TakePlace();
      tensor::TensorBundle gradient = ordinary;
      for (tensor::Tensor& tensor : gradient.mutable_tensors()) {
        if (!absl::StrContains(tensor.spec.name, part)) continue;
        for (float& each : tensor.mutable_f32()) each = value;
      }
      std::vector<std::string> values;
      const std::vector<Argument> arguments = SubmitArguments(gradient);
      for (const Argument& argument : arguments) values.push_back(argument.ordinary);
      Sql(absl::StrCat("SELECT gannet.submit_gradient(", Listed(arguments, values), ")"))
          .IgnoreError();
    }
  }
  ExpectTheClassGoesOn();
  const absl::StatusOr<std::vector<exchange::WorkerSummary>> workers =
      cluster_.store().ListWorkers(run_, base::WorkerId(), exchange::kMaxPage);
  ASSERT_OK(workers);
  EXPECT_TRUE(absl::c_any_of(*workers, [](const exchange::WorkerSummary& worker) {
    return absl::StrContains(worker.removed_reason, "more gradients were rejected than used");
  })) << "whoever does so again and again is sent away";
  std::cout << sent_ << " calls" << std::endl;
}

// Stored by an older version, when such a loss was taken.
TEST_F(HostileValuesTest, ADatabaseThatHoldsAnAbsurdLossGetsGoingAgain) {
  cluster_.AwaitRounds(1);
  cluster_.StopCoordinator();
  const std::string ready =
      "SELECT 1 FROM gannet.gradient g JOIN gannet.run r USING (run_id) WHERE g.round = "
      "r.weights_version + 1 AND g.slot = 0";
  absl::StatusOr<pg::SqlRows> stored;
  do {
    stored = store::TestPostgres::Get().Query(cluster_.admin_url(), ready);
    ASSERT_OK(stored);
  } while (stored->rows.empty());
  ASSERT_OK(store::TestPostgres::Get().Run(
      cluster_.admin_url(),
      "UPDATE gannet.gradient g SET discriminator_loss = 1e308, generator_loss = 1e308 "
      "FROM gannet.run r WHERE r.run_id = g.run_id AND g.round = r.weights_version + 1 "
      "AND g.slot = 0"));

  cluster_.StartCoordinator();

  ExpectTheClassGoesOn();
  const absl::StatusOr<pg::SqlRows> rejected = store::TestPostgres::Get().Query(
      cluster_.admin_url(), "SELECT 1 FROM gannet.ledger WHERE outcome = 104 /* rejected */");
  ASSERT_OK(rejected);
  EXPECT_EQ(rejected->rows.size(), 1u);
}

}  // namespace
}  // namespace gannet::cluster
