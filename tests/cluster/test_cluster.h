#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/metrics.h"
#include "services/coordinator/coordinator_server.h"
#include "services/gateway/gateway_server.h"
#include "services/worker/worker.h"

namespace gannet::cluster {

// How a worker reaches the run.
enum class WorkerPath { kGateway, kDirect };

// A whole class in one process: a database of its own on a real PostgreSQL, and the coordinator,
// gateway and workers that the mains run, over real sockets.
//
//   TestCluster cluster(FacesRunConfig(...));
//   cluster.StartGateway();
//   cluster.StartCoordinator();
//   cluster.AddWorker(WorkerPath::kGateway);
//   cluster.AwaitFinished();
//
// Thread safety: none.
class TestCluster {
 public:
  explicit TestCluster(domain::RunConfig config);
  ~TestCluster();

  void StartGateway();
  // The next gateway listens on the same port.
  void StopGateway();

  void StartCoordinator();
  // The coordinators started from now on leave the bytes of a run that has ended where they are.
  void KeepBlobsOfTheEnd() { keep_blobs_ = true; }
  void StopCoordinator();

  // Number of the worker; its identity is the number.
  int AddWorker(WorkerPath path);
  absl::StatusOr<worker::WorkerReport> StopWorker(int number);

  // Waits until so many rounds are published.
  void AwaitRounds(int64_t rounds);
  // Waits until the run is finished and every worker has ended, which each must do by itself.
  void AwaitFinished();

  int gateway_port() const { return gateway_port_; }
  int admin_port() const { return coordinator_->admin_port(); }  // of a running coordinator
  // The database as its superuser, and as a worker in direct mode.
  const std::string& admin_url() const { return url_; }
  std::string worker_url() const;

  exchange::Store& store() { return backend_->store(); }
  exchange::Exchange& direct_exchange() { return backend_->exchange(); }
  base::RunId run();
  const domain::RunConfig& config() const { return config_; }

  // The published weights, which must be kept still.
  exchange::Payload Weights(base::WeightsVersion version);
  // SHA-256 of the last weights, as hexadecimal digits.
  std::string FinalWeightsSha();

 private:
  struct RunningWorker;

  domain::RunConfig config_;
  base::RealClock clock_;
  telemetry::Metrics metrics_;
  std::string url_;
  std::unique_ptr<store::PgBackend> backend_;
  exchange::WorkerIdentity reader_;

  std::unique_ptr<gateway::GatewayServer> gateway_;
  int gateway_port_ = 0;
  bool keep_blobs_ = false;
  std::unique_ptr<coordinator::CoordinatorServer> coordinator_;
  std::thread coordinator_thread_;
  std::vector<std::unique_ptr<RunningWorker>> workers_;
};

// A run on procedural faces, named "cluster": 2 units a round.
domain::RunConfig FacesRunConfig(const domain::ModelConfig& model, int images_per_unit,
                                 int micro_batch, int64_t round_count);

}  // namespace gannet::cluster
