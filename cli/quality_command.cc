#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/cli_state.h"
#include "cli/image_quality.h"
#include "cli/printable.h"
#include "cli/weights_file.h"
#include "libs/base/status_macros.h"
#include "libs/data/sliced_wasserstein.h"
#include "libs/gan/gan.h"
#include "nlohmann/json.hpp"

namespace gannet {
namespace {

struct Options {
  std::vector<std::string> weights;
  int count = 512;
  bool initial = false;
  double max_ratio = 0;   // 0: not asked for
  double min_spread = 0;  // 0: not asked for
  bool json = false;
};

// What is measured of one generator.
struct Judged {
  std::string name;
  double distance = 0;      // to held-out real images
  double spread_share = 0;  // of the real images' spread
};

struct Report {
  std::vector<Judged> judged;  // the initial weights first, if asked for
  double real_distance = 0;    // between two sets of real images: what even a perfect generator has
  double real_spread = 0;
  int64_t image_count = 0;
  bool held_out = false;
};

absl::StatusOr<Judged> Judge(const std::string& name, const WeightsFile& file, uint64_t seed,
                             const RealImages& real, double real_spread) {
  GANNET_ASSIGN_OR_RETURN(const ImageBatch batch, GenerateImages(file.model, file.weights, seed,
                                                                 static_cast<int>(real.count)));
  const std::vector<float> pixels = Flattened(batch);
  Judged judged;
  judged.name = name;
  GANNET_ASSIGN_OR_RETURN(judged.distance,
                          ImageSetDistance(pixels, real.pixels, file.model.image_size));
  GANNET_ASSIGN_OR_RETURN(const double spread, PixelSpread(pixels, file.model.image_size));
  judged.spread_share = real_spread > 0 ? spread / real_spread : 0;
  return judged;
}

absl::StatusOr<Report> Measure(const Config& config, const Options& options) {
  std::vector<std::pair<std::string, WeightsFile>> files;
  for (const std::string& path : options.weights) {
    GANNET_ASSIGN_OR_RETURN(WeightsFile file, ReadWeightsFile(path));
    files.emplace_back(path, std::move(file));
  }
  const ModelConfig model = files.front().second.model;
  for (const auto& [path, file] : files) {
    if (file.model.image_size != model.image_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("all weights must make images of one size, got ", file.model.image_size,
                       " in ", path, " and ", model.image_size, " in ", files.front().first));
    }
  }
  GANNET_ASSIGN_OR_RETURN(const RealImages real,
                          ReadRealImages(config, model.image_size, options.count, 0));
  GANNET_ASSIGN_OR_RETURN(const RealImages others,
                          ReadRealImages(config, model.image_size, real.count, real.count));
  Report report;
  report.image_count = real.count;
  report.held_out = real.held_out;
  GANNET_ASSIGN_OR_RETURN(report.real_spread, PixelSpread(real.pixels, model.image_size));
  GANNET_ASSIGN_OR_RETURN(report.real_distance,
                          ImageSetDistance(others.pixels, real.pixels, model.image_size));
  if (options.initial) {
    const WeightsFile untrained{model, InitialWeights(model, config.run.seed)};
    GANNET_ASSIGN_OR_RETURN(
        report.judged.emplace_back(),
        Judge("initial weights", untrained, config.run.seed, real, report.real_spread));
  }
  for (const auto& [path, file] : files) {
    GANNET_ASSIGN_OR_RETURN(report.judged.emplace_back(),
                            Judge(path, file, config.run.seed, real, report.real_spread));
  }
  return report;
}

std::string RatioText(const Report& report, const Judged& judged) {
  return absl::StrFormat("%.2f", judged.distance / report.judged.front().distance);
}

std::string ReportText(const Report& report) {
  std::vector<std::vector<std::string>> rows = {{"weights", "distance", "of first", "spread"}};
  for (const Judged& judged : report.judged) {
    rows.push_back({judged.name, absl::StrFormat("%.4f", judged.distance),
                    RatioText(report, judged), absl::StrFormat("%.2f", judged.spread_share)});
  }
  rows.push_back(
      {"real images among themselves", absl::StrFormat("%.4f", report.real_distance), "", "1.00"});
  return absl::StrCat(
      TextTable(rows), "\ndistance: sliced Wasserstein distance (whole images and patches) to ",
      report.image_count,
      report.held_out ? " real images that nobody trained on"
                      : " real images of the training set (this kind of data has no others)",
      "\nspread: standard deviation of a pixel over the images, as a share of the real images'\n");
}

std::string ReportJson(const Report& report) {
  nlohmann::ordered_json json = {{"image_count", report.image_count},
                                 {"held_out", report.held_out},
                                 {"real_distance", report.real_distance},
                                 {"real_spread", report.real_spread},
                                 {"weights", nlohmann::ordered_json::array()}};
  for (const Judged& judged : report.judged) {
    json["weights"].push_back({{"name", judged.name},
                               {"distance", judged.distance},
                               {"ratio", judged.distance / report.judged.front().distance},
                               {"spread_share", judged.spread_share}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// What the last weights lack of what was asked for; nothing when they have it.
std::string Shortfall(const Report& report, const Options& options) {
  const Judged& last = report.judged.back();
  const double ratio = last.distance / report.judged.front().distance;
  std::string missed;
  // Written so that a ratio that is not a number is missed too.
  if (options.max_ratio > 0 && !(ratio <= options.max_ratio)) {
    absl::StrAppendFormat(&missed,
                          "the distance is %.2f of the first one's, at most %.2f was asked for",
                          ratio, options.max_ratio);
  }
  if (options.min_spread > 0 && !(last.spread_share >= options.min_spread)) {
    absl::StrAppendFormat(&missed,
                          "%sthe spread is %.2f of the real images', at least %.2f was asked for",
                          missed.empty() ? "" : "; ", last.spread_share, options.min_spread);
  }
  return missed;
}

int RunQuality(const CliState& cli, const Options& options) {
  const absl::StatusOr<Config> config = LoadConfig(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  if (options.max_ratio > 0 && !options.initial && options.weights.size() < 2) {
    return Fail(
        absl::InvalidArgumentError("--max-ratio compares with the first weights, got only one"),
        "Add --initial, or name the weights to compare with first.");
  }
  ConfigureCompute(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const absl::StatusOr<Report> report = Measure(*config, options);
  if (!report.ok()) {
    return Fail(report.status(),
                "Name weights.safetensors of a run, and its settings with --config.");
  }
  std::cout << (options.json ? ReportJson(*report) : ReportText(*report)) << std::flush;
  const std::string missed = Shortfall(*report, options);
  if (missed.empty()) return kExitOk;
  return Fail(absl::FailedPreconditionError(missed), "Train longer, or look at gannet rounds.");
}

}  // namespace

void AddQualityCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "quality", "Measure how near generated images are to real ones, and how varied");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("--weights", options->weights,
                   "weights.safetensors of a run; several, oldest first")
      ->required()
      ->type_name("FILE");
  command->add_flag("--initial", options->initial,
                    "Also judge the untrained weights of run.seed, as the first");
  command->add_option("--count", options->count, "Images of each kind; default 512")
      ->check(CLI::Range(2, 10'000))
      ->type_name("N");
  command
      ->add_option("--max-ratio", options->max_ratio,
                   "Fail (exit code 1) when the last distance is more than this share of the first")
      ->check(CLI::Range(0.0, 100.0))
      ->type_name("R");
  command
      ->add_option(
          "--min-spread", options->min_spread,
          "Fail (exit code 1) when the last spread is less than this share of the real images'")
      ->check(CLI::Range(0.0, 100.0))
      ->type_name("R");
  command->add_flag("--json", options->json, "One JSON object");
  command->callback(
      [&cli, options] { cli.action = [&cli, options] { return RunQuality(cli, *options); }; });
}

}  // namespace gannet
