#include <deque>
#include <iostream>
#include <memory>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/admin_connection.h"
#include "cli/cli_state.h"
#include "cli/printable.h"

namespace gannet::cli {
namespace {

constexpr int kPageSize = 10'000;

struct Options {
  AdminOptions admin;
  bool csv = false;
  int last = 20;
};

std::vector<std::string> CsvCells(const exchange::RoundSummary& round) {
  // %.9g gives back every float the losses were computed from.
  return {absl::StrCat(round.round.value()),
          absl::StrCat(round.epoch),
          absl::StrCat(round.gradient_count),
          absl::StrCat(round.image_count),
          absl::StrFormat("%.9g", round.discriminator_loss),
          absl::StrFormat("%.9g", round.generator_loss),
          absl::StrFormat("%.9g", round.real_accuracy),
          absl::StrFormat("%.9g", round.fake_accuracy),
          absl::StrFormat("%.6f", round.seconds)};
}

std::vector<std::string> TableCells(const exchange::RoundSummary& round) {
  return {absl::StrCat(round.round.value()),
          absl::StrCat(round.epoch),
          absl::StrCat(round.gradient_count),
          absl::StrCat(round.image_count),
          absl::StrFormat("%.3f", round.discriminator_loss),
          absl::StrFormat("%.3f", round.generator_loss),
          absl::StrFormat("%.2f", round.real_accuracy),
          absl::StrFormat("%.2f", round.fake_accuracy),
          absl::StrFormat("%.3f", round.seconds)};
}

int RunRounds(const AdminConnection& admin, const Options& options) {
  if (options.csv) {
    std::cout << base::CsvLine({"round", "epoch", "gradient_count", "image_count",
                                "discriminator_loss", "generator_loss", "real_accuracy",
                                "fake_accuracy", "seconds"});
  }
  std::deque<exchange::RoundSummary> last;
  std::string page_token;
  do {
    const absl::StatusOr<client::Page<exchange::RoundSummary>> page =
        admin.client->ListRounds(kPageSize, page_token);
    if (!page.ok()) return FailAdmin(page.status(), admin.address);
    for (const exchange::RoundSummary& round : page->items) {
      if (options.csv) {
        std::cout << base::CsvLine(CsvCells(round));
        continue;
      }
      last.push_back(round);
      if (last.size() > static_cast<size_t>(options.last)) last.pop_front();
    }
    page_token = page->next_page_token;
  } while (!page_token.empty());
  if (options.csv) return config::kExitOk;
  if (last.empty()) {
    std::cout << "No round is finished yet.\n";
    return config::kExitOk;
  }
  std::vector<std::vector<std::string>> rows = {
      {"round", "epoch", "gradients", "images", "D loss", "G loss", "real", "fake", "seconds"}};
  for (const exchange::RoundSummary& round : last) rows.push_back(TableCells(round));
  std::cout << TextTable(rows);
  return config::kExitOk;
}

}  // namespace

void AddRoundsCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand("rounds", "List finished rounds with losses and times");
  const auto options = std::make_shared<Options>();
  AddLookOptions(*command, &options->admin);
  command->add_flag("--csv", options->csv, "All rounds as CSV, for a spreadsheet");
  command->add_option("--last", options->last, "How many rounds the table shows; default 20")
      ->check(CLI::Range(1, 100'000))
      ->type_name("N");
  command->callback([&cli, options] {
    cli.action = [&cli, options] {
      return WithRun(cli, options->admin,
                     [&](const AdminConnection& admin) { return RunRounds(admin, *options); });
    };
  });
}

}  // namespace gannet::cli
