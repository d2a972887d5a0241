#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/admin_connection.h"
#include "cli/cli_state.h"
#include "cli/printable.h"
#include "libs/base/status_macros.h"
#include "libs/config/schema.h"

namespace gannet {
namespace {

struct Options {
  AdminOptions admin;
  std::string reason;
  std::vector<std::string> settings;  // KEY=VALUE
};

// A key that may change in mid-run, and what it is in a run's configuration. ChangeConfig knows
// them, too.
struct Changeable {
  const char* key;
  void (*take)(const Config&, RunConfig&);
};

const std::vector<Changeable>& Changeables() {
  using C = Config;
  using R = RunConfig;
  static const auto& all = *new std::vector<Changeable>{
      {"training.learning_rate",
       [](const C& c, R& r) { r.adam.learning_rate = c.training.learning_rate; }},
      {"training.learning_rate_generator",
       [](const C& c, R& r) {
         r.adam.learning_rate_generator = c.training.learning_rate_generator;
       }},
      {"training.learning_rate_discriminator",
       [](const C& c, R& r) {
         r.adam.learning_rate_discriminator = c.training.learning_rate_discriminator;
       }},
      {"training.images_per_unit",
       [](const C& c, R& r) { r.images_per_unit = c.training.images_per_unit; }},
      {"training.units_per_round",
       [](const C& c, R& r) { r.units_per_round = c.training.units_per_round; }},
      {"training.lease", [](const C& c, R& r) { r.lease = c.training.lease; }},
      {"training.quorum", [](const C& c, R& r) { r.policy.quorum = c.training.quorum; }},
      {"training.round_deadline",
       [](const C& c, R& r) { r.policy.deadline = c.training.round_deadline; }},
      {"training.stale_weight",
       [](const C& c, R& r) { r.policy.stale_weight = c.training.stale_weight; }},
      {"training.spare_after",
       [](const C& c, R& r) { r.policy.spare_after = c.training.spare_after; }},
      {"run.rounds", [](const C& c, R& r) { r.round_count = c.run.rounds; }}};
  return all;
}

std::string ChangeableKeys() {
  return absl::StrJoin(Changeables(), ", ", [](std::string* out, const Changeable& changeable) {
    absl::StrAppend(out, changeable.key);
  });
}

// Puts "KEY=VALUE" into `run`.
absl::Status Take(const std::string& setting, RunConfig& run) {
  const size_t equals = setting.find('=');
  const std::string name = setting.substr(0, equals);
  for (const Changeable& changeable : Changeables()) {
    if (name != changeable.key) continue;
    if (equals == std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(name, " needs a value: ", name, "=VALUE"));
    }
    Config config;
    GANNET_RETURN_IF_ERROR(SetValue(*FindKey(name), setting.substr(equals + 1), config));
    changeable.take(config, run);
    return absl::OkStatus();
  }
  if (FindKey(name) == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("unknown setting '", Printable(name),
                                                   "'; what can change: ", ChangeableKeys()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", Printable(name),
                   "' cannot change while a run is under way; what can: ", ChangeableKeys()));
}

int RunSet(const AdminConnection& admin, const Options& options) {
  const absl::StatusOr<RunReport> report = admin.client->GetRun();
  if (!report.ok()) return FailAdmin(report.status(), admin.address);
  RunConfig run = report->next_config;
  std::set<std::string> given;
  for (const std::string& setting : options.settings) {
    const std::string key = setting.substr(0, setting.find('='));
    if (!given.insert(key).second) {
      return Fail(absl::InvalidArgumentError(absl::StrCat(Printable(key), " is given twice")),
                  "Nothing was changed.");
    }
    if (const absl::Status taken = Take(setting, run); !taken.ok()) {
      return Fail(taken,
                  "Nothing was changed. For example: gannet set training.learning_rate=1e-4");
    }
  }
  const absl::StatusOr<Round> round = admin.client->ChangeSettings(run, options.reason);
  if (!round.ok()) return FailAdmin(round.status(), admin.address);
  // Leases and spares are always given by the settings set last (docs/training.md).
  RunConfig at_once = report->next_config;
  at_once.lease = run.lease;
  at_once.policy.spare_after = run.policy.spare_after;
  if (at_once != report->next_config) {
    std::cout << "From now on: " << DescribeDifference(report->next_config, at_once) << ".\n";
  }
  if (at_once != run) {
    std::cout << "From round " << round->value() << " on: " << DescribeDifference(at_once, run)
              << ".\n";
  }
  return kExitOk;
}

}  // namespace

void AddSetCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "set", absl::StrCat("Change settings of the run while it goes on: ", ChangeableKeys()));
  const auto options = std::make_shared<Options>();
  AddAdminOptions(*command, &options->admin);
  command->add_option("--reason", options->reason, "Why; shown to everybody who looks at the run")
      ->type_name("TEXT");
  command->add_option("settings", options->settings, "What to change")
      ->required()
      ->type_name("KEY=VALUE");
  command->callback([&cli, options] {
    cli.action = [&cli, options] {
      return WithAdmin(cli, options->admin,
                       [&](const AdminConnection& admin) { return RunSet(admin, *options); });
    };
  });
}

}  // namespace gannet
