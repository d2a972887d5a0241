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
#include "libs/config/nearest_name.h"
#include "libs/domain/run_settings.h"

namespace gannet::cli {
namespace {

struct Options {
  AdminOptions admin;
  std::string reason;
  std::vector<std::string> settings;  // KEY=VALUE
};

// ", did you mean …?" with the name of a setting that is close, or nothing.
std::string DidYouMean(const std::string& name) {
  std::vector<std::string> names;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    if (row.change != domain::SettingChange::kNever) names.push_back(row.name);
  }
  const std::string near = name.empty() ? "" : config::NearestName(name, names);
  return near.empty() ? "" : absl::StrCat("; did you mean ", near, "?");
}

int RunSet(const AdminConnection& admin, const Options& options) {
  const absl::StatusOr<client::RunReport> report = admin.client->GetRun();
  if (!report.ok()) return FailAdmin(report.status(), admin.address);
  domain::RunConfig run = report->next_config;
  std::set<std::string> given;
  std::vector<std::string> mistakes;
  for (const std::string& setting : options.settings) {
    const std::string name = setting.substr(0, setting.find('='));
    const domain::RunSetting* row = domain::FindRunSetting(name);
    const std::string key = row == nullptr ? name : row->name;
    if (row != nullptr && name != key) {
      std::cerr << "gannet: " << base::FormerNameWarning(*row, name) << "\n";
    }
    if (!given.insert(key).second) {
      mistakes.push_back(absl::StrCat(base::Printable(key), " is given twice"));
    } else if (const absl::Status changed = domain::ChangeSetting(setting, run); !changed.ok()) {
      mistakes.push_back(absl::StrCat(changed.message(), DidYouMean(row == nullptr ? name : "")));
    }
  }
  if (!mistakes.empty()) {
    return Fail(absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n")),
                "Nothing was changed. For example: gannet set training.learning_rate=1e-4");
  }
  const absl::StatusOr<base::Round> round = admin.client->ChangeSettings(run, options.reason);
  if (!round.ok()) return FailAdmin(round.status(), admin.address);
  domain::RunConfig at_once = report->next_config;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    if (row.change == domain::SettingChange::kAtOnce) row.set(at_once, row.get(run));
  }
  if (at_once != report->next_config) {
    std::cout << "From now on: " << domain::DescribeDifference(report->next_config, at_once)
              << ".\n";
  }
  if (at_once != run) {
    std::cout << "From round " << round->value()
              << " on: " << domain::DescribeDifference(at_once, run) << ".\n";
  }
  return config::kExitOk;
}

}  // namespace

void AddSetCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "set", absl::StrCat("Change settings during the run: ", domain::ChangeableSettings()));
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

}  // namespace gannet::cli
