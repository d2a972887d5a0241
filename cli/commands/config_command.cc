#include <iostream>
#include <memory>

#include "CLI/App.hpp"
#include "cli/cli_state.h"
#include "cli/settings_check.h"
#include "libs/base/training_choices.h"
#include "libs/config/config.h"
#include "libs/config/config_docs.h"
#include "libs/domain/transfer_estimate.h"
#include "libs/tensor/codec.h"

namespace gannet::cli {
namespace {

int Check(const CliState& cli, bool files) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::Status usable = CheckSettings(*config, files);
  if (!usable.ok()) return FailConfig(usable);
  std::cout << "The configuration is valid.\n";
  const std::string warning =
      domain::WarnOfTransfer(config->run.model, config->run.images_per_unit,
                             static_cast<tensor::Codec>(config->run.gradient_codec));
  if (!warning.empty()) std::cerr << "Note: " << warning << ".\n";
  return config::kExitOk;
}

int Show(const CliState& cli) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  std::cout << config::DumpConfig(*config);
  return config::kExitOk;
}

int PrintKeys(bool markdown) {
  std::cout << (markdown ? config::ConfigMarkdown() : config::ConfigTable());
  return config::kExitOk;
}

}  // namespace

void AddConfigCommand(CLI::App& app, CliState& cli) {
  CLI::App* group = app.add_subcommand("config", "Check, show and explain settings");

  CLI::App* check =
      group->add_subcommand("check", "Report every mistake in file, environment and flags at once");
  const auto files = std::make_shared<bool>(false);
  check->add_flag("--files", *files,
                  "Try to read the certificates, secrets and images it names, too");
  check->callback([&cli, files] { cli.action = [&cli, files] { return Check(cli, *files); }; });

  CLI::App* show = group->add_subcommand("show", "Print the settings in effect as YAML");
  show->callback([&cli] { cli.action = [&cli] { return Show(cli); }; });

  CLI::App* keys = group->add_subcommand("keys", "List every key with meaning, range and default");
  const auto markdown = std::make_shared<bool>(false);
  keys->add_flag("--markdown", *markdown, "As docs/configuration.md");
  keys->callback([&cli, markdown] { cli.action = [markdown] { return PrintKeys(*markdown); }; });
}

}  // namespace gannet::cli
