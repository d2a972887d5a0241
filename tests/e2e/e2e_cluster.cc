#include "tests/e2e/e2e_cluster.h"

#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/store/testing/test_postgres.h"

namespace gannet::e2e {
namespace {

constexpr char kSettings[] = R"yaml(
run: {name: cluster, seed: 7, rounds: 6}
model: {image_size: 32, latent_dim: 16, base_width: 8}
training: {images_per_unit: 8, units_per_round: 2, micro_batch: 4, lease: 60s}
data: {kind: procedural, count: 64}
coordinator: {sample_every: 2, sample_count: 4, evaluate_every: 0}
worker: {threads: 1}
)yaml";

constexpr char kPassword[] = "correct-horse-battery";

constexpr size_t kShownLogBytes = 6000;

// Makes the roles of the services, each with the rights of its service only, and lets nobody but
// the superuser in without a password.
bool PrepareServer() {
  store::TestPostgres& server = store::TestPostgres::Get();
  // Its schema brings the groups.
  const std::string url = server.CreateDatabase();
  for (const auto& [role, group] :
       {std::pair{"e2e_coordinator", "gannet_coordinator"},
        std::pair{"e2e_gateway", "gannet_worker"}, std::pair{"e2e_worker", "gannet_worker"}}) {
    EXPECT_OK(server.Run(url, absl::StrFormat("CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE %s", role,
                                              kPassword, group)));
  }
  const absl::StatusOr<pg::SqlRows> file =
      server.Query(url, "SELECT current_setting('hba_file') AS path");
  EXPECT_OK(file);
  EXPECT_OK(
      server.Query(url, absl::StrFormat("COPY (VALUES ('local all,replication postgres trust'), "
                                        "('host all postgres 127.0.0.1/32 trust'), "
                                        "('local all all scram-sha-256'), "
                                        "('host all all 127.0.0.1/32 scram-sha-256')) TO '%s'",
                                        pg::SqlRow(*file, 0).Text("path"))));
  server.DropDatabase(url);
  server.Stop(store::TestPostgres::StopMode::kFast);
  server.Start();
  return !::testing::Test::HasFailure();
}

std::vector<std::string> Environment(const std::string& home) {
  std::vector<std::string> environment = {"PATH=/usr/bin:/bin", "HOME=" + home};
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) environment.push_back(absl::StrCat(name, "=", value));
  }
  return environment;
}

std::string ProgramPath(const std::string& program) {
  return absl::StrCat(GANNET_BINARY_DIR "/", program);
}

}  // namespace

E2eCluster::E2eCluster(ProgramSettings settings, Schema schema)
    : url_(schema == Schema::kNone ? store::TestPostgres::Get().CreateEmptyDatabase()
                                   : store::TestPostgres::Get().CreateDatabase()),
      settings_(std::move(settings)) {
  static const bool server_prepared = PrepareServer();
  EXPECT_TRUE(server_prepared);
  Write("class.yaml", kSettings);
  Write("password", absl::StrCat(kPassword, "\n"));
  std::filesystem::create_directory(PathOf("logs"));
}

E2eCluster::~E2eCluster() {
  programs_.clear();
  if (::testing::Test::HasFailure()) {
    for (const auto& entry : std::filesystem::directory_iterator(PathOf("logs"))) {
      const std::string log = base::FileContents(entry.path());
      if (log.empty()) continue;
      std::fprintf(stderr, "---- %s\n%s\n", entry.path().filename().c_str(),
                   log.substr(log.size() - std::min(log.size(), kShownLogBytes)).c_str());
    }
  }
  store::TestPostgres::Get().DropDatabase(url_);
}

std::string E2eCluster::password() { return kPassword; }

std::string E2eCluster::PathOf(const std::string& name) const {
  return folder_.path() + "/" + name;
}

std::string E2eCluster::OutputPath(const std::string& name) const { return PathOf("out/" + name); }

std::string E2eCluster::UrlOf(const std::string& service) const {
  return store::TestPostgres::UrlAs(store::TestPostgres::Get().TcpUrl(url_),
                                    absl::StrCat("e2e_", service));
}

std::string E2eCluster::LogPath(const std::string& name) {
  std::string path = PathOf("logs/" + name);
  for (int number = 2; std::filesystem::exists(path + ".err"); ++number) {
    path = PathOf(absl::StrCat("logs/", name, "-", number));
  }
  return path;
}

base::ChildProcess& E2eCluster::Start(const std::string& name, const std::string& program,
                                      const ProgramSettings& settings) {
  ProgramSettings all = settings;
  all.insert(settings_.begin(), settings_.end());
  all.insert({"database.password_file", password_file()});
  base::ChildOptions options;
  options.argv = {ProgramPath(program), "--config", PathOf("class.yaml")};
  for (const auto& [key, value] : all) {
    options.argv.push_back(absl::StrCat("--", key));
    options.argv.push_back(value);
  }
  options.environment = Environment(folder_.path());
  if (!environment_.empty()) options.environment.push_back(environment_);
  options.output_prefix = LogPath(name);
  programs_.push_back(std::make_unique<base::ChildProcess>(options));
  return *programs_.back();
}

base::ChildProcess& E2eCluster::StartCoordinator(const ProgramSettings& settings) {
  ProgramSettings all = settings;
  all.insert({{"database.url", UrlOf("coordinator")},
              {"coordinator.admin_listen", "127.0.0.1:0"},
              {"coordinator.metrics_listen", "127.0.0.1:0"},
              {"coordinator.output_dir", PathOf("out")}});
  return Start("coordinator", "gannet-coordinator", all);
}

base::ChildProcess& E2eCluster::StartGateway(const ProgramSettings& settings) {
  ProgramSettings all = settings;
  all.insert({{"database.url", UrlOf("gateway")},
              {"gateway.listen", gateway_address_.empty() ? "127.0.0.1:0" : gateway_address_},
              {"gateway.metrics_listen", "127.0.0.1:0"}});
  base::ChildProcess& gateway = Start("gateway", "gannet-gateway", all);
  if (gateway_address_.empty()) {
    gateway_address_ = absl::StrCat("127.0.0.1:", PortOf(gateway, "port"));
  }
  return gateway;
}

base::ChildProcess& E2eCluster::StartWorker(const std::string& name,
                                            const ProgramSettings& settings) {
  ProgramSettings all = settings;
  all.insert({{"worker.exchange", gateway_address_},
              {"worker.name", name},
              {"worker.state_file", PathOf(name + ".json")},
              {"worker.metrics_listen", "127.0.0.1:0"}});
  return Start(name, "gannet-worker", all);
}

base::ChildProcess& E2eCluster::StartDirectWorker(const std::string& name,
                                                  const ProgramSettings& settings) {
  ProgramSettings all = settings;
  all.insert({"worker.exchange", UrlOf("worker")});
  return StartWorker(name, all);
}

Outcome E2eCluster::Gannet(const std::vector<std::string>& arguments) {
  base::ChildOptions options;
  options.argv = arguments;
  options.argv.insert(options.argv.begin(), ProgramPath("gannet"));
  options.environment = Environment(folder_.path());
  options.output_prefix = LogPath("gannet");
  base::ChildProcess gannet(options);
  const int exit_code = gannet.AwaitExit();
  return {exit_code, gannet.out(), gannet.err()};
}

int E2eCluster::PortOf(base::ChildProcess& program, const std::string& key) {
  const std::string field = absl::StrCat(" ", key, "=");
  if (!program.AwaitError(field)) return 0;
  int port = 0;
  // The digits are whole when something follows them.
  const bool found = base::AwaitUntil([&] {
    const std::string log = program.err();
    const size_t start = log.find(field) + field.size();
    size_t end = start;
    while (end < log.size() && std::isdigit(static_cast<unsigned char>(log[end])) != 0) ++end;
    return end < log.size() && absl::SimpleAtoi(log.substr(start, end - start), &port);
  });
  EXPECT_TRUE(found) << "no number behind" << field;
  return port;
}

std::string E2eCluster::Text(const std::string& sql) const {
  const absl::StatusOr<pg::SqlRows> rows = store::TestPostgres::Get().Query(url_, sql);
  if (!rows.ok() || rows->empty()) return "";
  return rows->rows[0].at(0).value_or("");
}

int64_t E2eCluster::Number(const std::string& sql) const {
  int64_t number = -1;
  return absl::SimpleAtoi(Text(sql), &number) ? number : -1;
}

void E2eCluster::Execute(const std::string& sql) const {
  EXPECT_OK(store::TestPostgres::Get().Run(url_, sql));
}

bool E2eCluster::AwaitRounds(int64_t rounds) const {
  const bool published = base::AwaitUntil(
      [&] { return Number("SELECT max(weights_version) FROM gannet.run") >= rounds; });
  EXPECT_TRUE(published) << "round " << rounds << " does not come";
  return published;
}

void E2eCluster::ExpectEnd(const std::vector<base::ChildProcess*>& programs) const {
  for (base::ChildProcess* program : programs) EXPECT_EQ(program->AwaitExit(), 0) << program->err();
  EXPECT_EQ(Text("SELECT state FROM gannet.run"), "finished");
}

void E2eCluster::ExpectEveryGradientCountedOnce() const {
  const std::string units =
      "SELECT count(DISTINCT (u.round, u.slot)) FROM gannet.work_unit u "
      "JOIN gannet.run r USING (run_id) WHERE u.round <= r.weights_version";
  EXPECT_GT(Number(units), 0);
  EXPECT_EQ(Number("SELECT count(*) FROM gannet.gradient"), Number(units));
  EXPECT_EQ(Number("SELECT count(*) FROM gannet.gradient g JOIN gannet.work_unit u USING (unit_id) "
                   "WHERE g.attempt = u.attempt AND g.round = u.round AND g.slot = u.slot "
                   "AND u.consumed"),
            Number(units));
  EXPECT_EQ(Number("SELECT sum(accepted_unit_count) FROM gannet.worker"), Number(units));
  // 1: accepted, 2: late; those are kept.
  EXPECT_EQ(Number("SELECT count(*) FROM (SELECT unit_id FROM gannet.ledger "
                   "WHERE outcome IN (1, 2) GROUP BY unit_id HAVING count(*) > 1) AS twice"),
            0);
}

}  // namespace gannet::e2e
