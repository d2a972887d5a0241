#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gannet/v1/exchange_service.grpc.pb.h"
#include "libs/exchange/exchange.h"
#include "tests/hostile/mutation.h"

namespace gannet::hostile {

struct HostileOptions {
  std::string gateway;   // "127.0.0.1:PORT"
  std::string run_name;  // of a run that goes on
  uint64_t seed = 1;
  // Whether gradients have well-formed bytes with numbers that no training makes, and statistics
  // likewise. Without, a hostile gradient that is kept is zero.
  bool extreme_gradients = true;
};

// A program that has the class code, knows the protocol, and means no good: each Call is one call
// of the gateway, from a seed. It joins under many names, claims units, and then breaks promises:
// it submits too little, too much, something else, what belongs to others, twice, or nothing at
// all; reports made-up progress; opens streams and neither sends nor reads; and puts extreme values
// into every field of every message.
//
// Thread safety: none; each thread has one of its own.
class HostileClient {
 public:
  explicit HostileClient(const HostileOptions& options);
  ~HostileClient();

  // Makes one call, whatever becomes of it.
  void Call();

  // Kind of call and code of its answer, to how often that was.
  const std::map<std::string, int64_t>& answers() const { return answers_; }

 private:
  struct Unit {
    v1::WorkerIdentity holder;
    v1::WorkUnit unit;
  };
  struct OpenSubmit;
  struct OpenFetch;

  void Join();
  void Claim();
  void Heartbeat();
  void ReleaseUnit();
  void Describe();
  void Leave();
  void FetchWeights();
  void Submit();
  void AbandonSubmit();
  void AbandonFetch();
  void SendGarbage();

  // Some worker that has joined, or one that nobody knows.
  v1::WorkerIdentity AnyWorker();
  // A unit that was claimed some time, by whom it was claimed, now and then under another attempt
  // or in the name of somebody else.
  Unit AnyUnit();
  v1::SubmitHeader HeaderOf(const Unit& unit, const std::string& bytes);
  std::string GradientBytes();
  void Spoil(google::protobuf::Message& message);
  void Note(const std::string& kind, const grpc::Status& status);
  void Note(const std::string& kind, const std::string& answer);

  const HostileOptions options_;
  HostileRandom random_;
  std::unique_ptr<v1::ExchangeService::Stub> stub_;
  v1::JoinResponse run_;
  std::string zero_gradient_;
  std::deque<v1::WorkerIdentity> workers_;
  std::deque<Unit> units_;
  std::vector<v1::SubmitHeader> sent_;  // to be repeated
  std::deque<std::unique_ptr<OpenSubmit>> open_submits_;
  std::deque<std::unique_ptr<OpenFetch>> open_fetches_;
  std::vector<int> idle_sockets_;
  std::map<std::string, int64_t> answers_;
};

}  // namespace gannet::hostile
