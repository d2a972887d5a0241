#include <iostream>

#include "CLI/App.hpp"
#include "cli/cli_state.h"
#include "libs/config/version.h"
#include "libs/exchange/exchange.h"
#include "libs/gan/gan.h"

namespace gannet::cli {
namespace {

int PrintVersion() {
  std::cout << "gannet " << GannetVersion() << "\n"
            << "protocol " << kProtocolVersion << ", oldest understood " << kMinProtocolVersion
            << "\n"
            << DescribeCompute().text << "\n";
  return kExitOk;
}

}  // namespace

void AddVersionCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand("version", "Print versions of program and protocol");
  command->callback([&cli] { cli.action = PrintVersion; });
}

}  // namespace gannet::cli
