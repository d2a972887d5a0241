#include <iostream>

#include "CLI/App.hpp"
#include "cli/cli_state.h"
#include "libs/config/version.h"
#include "libs/exchange/exchange.h"
#include "libs/gan/gan.h"

namespace gannet::cli {
namespace {

int PrintVersion() {
  std::cout << "gannet " << config::GannetVersion() << "\n"
            << "protocol " << exchange::kProtocolVersion << ", oldest understood "
            << exchange::kMinProtocolVersion << "\n"
            << gan::DescribeCompute().text << "\n";
  return config::kExitOk;
}

}  // namespace

void AddVersionCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand("version", "Print versions of program and protocol");
  command->callback([&cli] { cli.action = PrintVersion; });
}

}  // namespace gannet::cli
