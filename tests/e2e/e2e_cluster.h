#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/testing/child_process.h"
#include "libs/image/testing/image_files.h"
#include "libs/pg/sql_values.h"

namespace gannet::e2e {

// How a run of `gannet` ended, and what it wrote.
struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Settings given as flags: {"run.rounds", "6"} is --run.rounds 6.
using ProgramSettings = std::map<std::string, std::string>;

// A class of real programs: a database of its own on a real PostgreSQL, which asks everybody but
// the superuser for a password, and coordinator, gateway and workers as processes, with a network
// so small that a round takes milliseconds.
//
//   E2eCluster cluster(ProgramSettings{{"run.rounds", "6"}});
//   ChildProcess& coordinator = cluster.StartCoordinator();
//   cluster.StartGateway();
//   ChildProcess& worker = cluster.StartWorker("ada");
//   EXPECT_EQ(worker.AwaitExit(), 0);
//   EXPECT_EQ(coordinator.AwaitExit(), 0);
//
// All files of the class are in a folder of its own, removed at the end with all processes. When
// the test has failed the end of every log is printed before.
//
// Thread safety: none.
class E2eCluster {
 public:
  enum class Schema { kMigrated, kNone };

  // `settings` are for every program, beside those of all classes.
  explicit E2eCluster(ProgramSettings settings = {}, Schema schema = Schema::kMigrated);
  ~E2eCluster();

  // Starts a program and does not wait for anything, as the order of starts does not matter, but
  // for the port of the first gateway. `settings` are its own and win. A gateway that is started
  // again has the same port.
  base::ChildProcess& StartCoordinator(const ProgramSettings& settings = {});
  base::ChildProcess& StartGateway(const ProgramSettings& settings = {});
  // A worker that goes by the gateway, and one that goes straight to the database. Workers of
  // different names are different ones.
  base::ChildProcess& StartWorker(const std::string& name, const ProgramSettings& settings = {});
  base::ChildProcess& StartDirectWorker(const std::string& name,
                                        const ProgramSettings& settings = {});
  // Any program, with the settings of the class and its own.
  base::ChildProcess& Start(const std::string& name, const std::string& program,
                            const ProgramSettings& settings);

  // One more environment variable ("NAME=VALUE") of the programs started from now on; empty: none.
  void set_environment(const std::string& variable) { environment_ = variable; }

  // Runs `gannet` to its end.
  Outcome Gannet(const std::vector<std::string>& arguments);

  // The port that a program has named in its log: "port", "metrics_port", "admin_port".
  static int PortOf(base::ChildProcess& program, const std::string& key);
  const std::string& gateway_address() const { return gateway_address_; }

  // A file of the class, and one among the results.
  std::string PathOf(const std::string& name) const;
  std::string OutputPath(const std::string& name) const;
  // The file of the final weights.
  std::string FinalWeights() const { return base::FileContents(OutputPath("weights.safetensors")); }
  std::string Write(const std::string& name, const std::string& bytes) const {
    return folder_.Write(name, bytes);
  }

  // URL of the superuser (no password), and of a "coordinator", "gateway" or "worker": by TCP, with
  // the password of password_file().
  const std::string& superuser_url() const { return url_; }
  std::string UrlOf(const std::string& service) const;
  std::string password_file() const { return PathOf("password"); }
  static std::string password();

  // One number that a statement of the superuser selects; -1 when the database does not answer.
  int64_t Number(const std::string& sql) const;
  // One text; empty when the database does not answer.
  std::string Text(const std::string& sql) const;
  void Execute(const std::string& sql) const;

  // Waits until so many rounds are published.
  [[nodiscard]] bool AwaitRounds(int64_t rounds) const;
  // Waits until the run is finished and these programs have ended by themselves, with code 0.
  void ExpectEnd(const std::vector<base::ChildProcess*>& programs) const;
  // Shows that no gradient counted twice: one per unit and slot, under the attempt of its unit, and
  // one kept submission for each that the ledger still holds.
  void ExpectEveryGradientCountedOnce() const;

 private:
  std::string LogPath(const std::string& name);

  image::TempFolder folder_;
  const std::string url_;
  const ProgramSettings settings_;
  std::string gateway_address_;
  std::string environment_;
  std::vector<std::unique_ptr<base::ChildProcess>> programs_;
};

}  // namespace gannet::e2e
