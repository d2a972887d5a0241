#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/cli_state.h"
#include "cli/dataset_source.h"
#include "cli/printable.h"
#include "cli/resume.h"
#include "cli/weights_file.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/gan/gan.h"
#include "libs/quality/features.h"
#include "libs/quality/mode_coverage.h"
#include "libs/quality/reference_images.h"
#include "libs/quality/set_distance.h"
#include "libs/quality/sliced_wasserstein.h"
#include "nlohmann/json.hpp"

namespace gannet::cli {
namespace {

struct Options {
  std::vector<std::string> weights;
  int count = 512;
  std::string network;  // TorchScript; empty: none
  bool initial = false;
  double max_ratio = 0;   // 0: not asked for
  double min_spread = 0;  // 0: not asked for
  bool json = false;
};

// Distances of a set of images to the real ones.
struct Distances {
  double sliced = 0;                  // sliced Wasserstein
  double frechet = 0;                 // in random features
  double kernel = 0;                  // in random features
  std::optional<double> own_frechet;  // in the features of one's own network
};

// What is measured of one generator.
struct Judged {
  std::string name;
  Distances distances;
  double spread_share = 0;  // of the real images' spread
  std::optional<quality::ModeCoverage> modes;
};

struct Report {
  std::vector<Judged> judged;  // the initial weights first, if asked for
  Distances real_distances;    // between two sets of real images: what even a perfect generator has
  std::optional<quality::ModeCoverage> real_modes;
  double real_spread = 0;
  int64_t image_count = 0;
  bool held_out = false;
  std::string data;  // what the real images are, for people
};

// The real images, and what it takes to compare others with them.
class Comparison {
 public:
  static absl::StatusOr<Comparison> Create(quality::ReferenceImages real, int image_size,
                                           std::unique_ptr<quality::FeatureNetwork> own_network) {
    Comparison comparison;
    comparison.image_size_ = image_size;
    comparison.real_ = std::move(real);
    comparison.network_ = quality::MakeRandomFeatureNetwork();
    comparison.own_network_ = std::move(own_network);
    const std::vector<float>& pixels = comparison.real_.pixels;
    GANNET_ASSIGN_OR_RETURN(comparison.features_, comparison.network_->Extract(pixels, image_size));
    if (comparison.own_network_ != nullptr) {
      GANNET_ASSIGN_OR_RETURN(comparison.own_features_,
                              comparison.own_network_->Extract(pixels, image_size));
    }
    return comparison;
  }

  const quality::ReferenceImages& real() const { return real_; }

  // Of as many images as there are real ones.
  absl::StatusOr<Judged> Judge(const std::string& name, absl::Span<const float> pixels) {
    Judged judged;
    judged.name = name;
    Distances& distances = judged.distances;
    GANNET_ASSIGN_OR_RETURN(distances.sliced,
                            quality::ImageSetDistance(pixels, real_.pixels, image_size_));
    GANNET_ASSIGN_OR_RETURN(const quality::Features features,
                            network_->Extract(pixels, image_size_));
    GANNET_ASSIGN_OR_RETURN(distances.frechet, quality::FrechetDistance(features, features_));
    GANNET_ASSIGN_OR_RETURN(distances.kernel, quality::KernelDistance(features, features_));
    if (own_network_ != nullptr) {
      GANNET_ASSIGN_OR_RETURN(const quality::Features own,
                              own_network_->Extract(pixels, image_size_));
      GANNET_ASSIGN_OR_RETURN(distances.own_frechet, quality::FrechetDistance(own, own_features_));
    }
    if (!real_.labels.empty()) {
      GANNET_ASSIGN_OR_RETURN(const std::vector<int64_t> nearest,
                              quality::NearestRows(features, features_));
      std::vector<int64_t> labels;
      labels.reserve(nearest.size());
      for (const int64_t row : nearest) labels.push_back(real_.labels[static_cast<size_t>(row)]);
      judged.modes = quality::MeasureModeCoverage(real_.labels, labels, real_.label_bits);
    }
    return judged;
  }

 private:
  int image_size_ = 0;
  quality::ReferenceImages real_;
  std::unique_ptr<quality::FeatureNetwork> network_;
  std::unique_ptr<quality::FeatureNetwork> own_network_;
  quality::Features features_;
  quality::Features own_features_;
};

absl::StatusOr<Judged> JudgeWeights(const std::string& name, const WeightsFile& file, uint64_t seed,
                                    double real_spread, Comparison& comparison) {
  GANNET_ASSIGN_OR_RETURN(const gan::ImageBatch batch,
                          gan::GenerateImages(file.model, file.weights, seed,
                                              static_cast<int>(comparison.real().count)));
  const std::vector<float> pixels = gan::Flattened(batch);
  GANNET_ASSIGN_OR_RETURN(Judged judged, comparison.Judge(name, pixels));
  GANNET_ASSIGN_OR_RETURN(const double spread, quality::PixelSpread(pixels, file.model.image_size));
  judged.spread_share = real_spread > 0 ? spread / real_spread : 0;
  return judged;
}

absl::StatusOr<Report> Measure(const config::CommandLine& command_line,
                               const config::Config& config, const Options& options) {
  std::vector<std::pair<std::string, WeightsFile>> files;
  for (const std::string& path : options.weights) {
    GANNET_ASSIGN_OR_RETURN(WeightsFile file, ReadWeightsFile(path));
    files.emplace_back(path, std::move(file));
  }
  const domain::ModelConfig model = files.front().second.model;
  for (const auto& [path, file] : files) {
    if (file.model.image_size != model.image_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("all weights must make images of one size, got ", file.model.image_size,
                       " in ", path, " and ", model.image_size, " in ", files.front().first));
    }
  }
  GANNET_RETURN_IF_ERROR(CheckModelFlags(command_line, config, model));
  std::unique_ptr<quality::FeatureNetwork> own_network;
  if (!options.network.empty()) {
    GANNET_ASSIGN_OR_RETURN(own_network, quality::LoadTorchScriptNetwork(options.network));
  }
  data::DatasetOptions data = ShownDatasetOptions(config);
  data.image_size = model.image_size;
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<data::Dataset> dataset, data::OpenDataset(data));
  // Two sets of them are wanted that share none.
  int64_t count = options.count;
  if (!base::IsDrawnDataset(data.kind)) count = std::min(count, dataset->size() / 2);
  if (count < 2) return absl::InvalidArgumentError("at least 4 real images are needed");
  GANNET_ASSIGN_OR_RETURN(quality::ReferenceImages real,
                          quality::ReadReferenceImages(*dataset, data, count, 0));
  GANNET_ASSIGN_OR_RETURN(const quality::ReferenceImages others,
                          quality::ReadReferenceImages(*dataset, data, real.count, real.count));
  Report report;
  report.image_count = real.count;
  report.held_out = real.held_out;
  report.data = dataset->fingerprint().description;
  GANNET_ASSIGN_OR_RETURN(report.real_spread, quality::PixelSpread(real.pixels, model.image_size));
  GANNET_ASSIGN_OR_RETURN(
      Comparison comparison,
      Comparison::Create(std::move(real), model.image_size, std::move(own_network)));
  GANNET_ASSIGN_OR_RETURN(const Judged among, comparison.Judge("", others.pixels));
  report.real_distances = among.distances;
  report.real_modes = among.modes;
  const auto judge = [&](const std::string& name, const WeightsFile& file) {
    return JudgeWeights(name, file, config.run.seed, report.real_spread, comparison);
  };
  if (options.initial) {
    const WeightsFile untrained{model, gan::InitialWeights(model, config.run.seed)};
    GANNET_ASSIGN_OR_RETURN(report.judged.emplace_back(), judge("initial weights", untrained));
  }
  for (const auto& [path, file] : files) {
    GANNET_ASSIGN_OR_RETURN(report.judged.emplace_back(), judge(path, file));
  }
  return report;
}

double Ratio(const Report& report, const Judged& judged) {
  return judged.distances.sliced / report.judged.front().distances.sliced;
}

std::string ModesText(const std::optional<quality::ModeCoverage>& modes) {
  return modes.has_value() ? absl::StrCat(modes->covered, "/", modes->real_modes) : "";
}

std::string OwnText(const Distances& distances) {
  return distances.own_frechet.has_value() ? absl::StrFormat("%.3f", *distances.own_frechet) : "";
}

std::string ReportText(const Report& report) {
  std::vector<std::vector<std::string>> rows = {
      {"weights", "distance", "of first", "frechet", "kernel", "own", "spread", "modes"}};
  const auto row = [&](const std::string& name, const Distances& distances,
                       const std::string& ratio, double spread,
                       const std::optional<quality::ModeCoverage>& modes) {
    rows.push_back({name, absl::StrFormat("%.4f", distances.sliced), ratio,
                    absl::StrFormat("%.4f", distances.frechet),
                    absl::StrFormat("%.4f", distances.kernel), OwnText(distances),
                    absl::StrFormat("%.2f", spread), ModesText(modes)});
  };
  for (const Judged& judged : report.judged) {
    row(judged.name, judged.distances, absl::StrFormat("%.2f", Ratio(report, judged)),
        judged.spread_share, judged.modes);
  }
  row("real images among themselves", report.real_distances, "", 1, report.real_modes);
  std::string text = absl::StrCat(
      TextTable(rows), "\ndistance: sliced Wasserstein distance (whole images and patches) to ",
      report.image_count,
      report.held_out ? " real images that nobody trained on"
                      : " real images of the training set (this kind of data has no others)",
      "\nreal images: ", base::Printable(report.data),
      "\nfrechet, kernel: Frechet distance and KID in the features of a small network of fixed "
      "random weights; not FID\n"
      "own: Frechet distance in the features of --network; FID, if that is Inception\n"
      "spread: standard deviation of a pixel over the images, as a share of the real images'\n");
  if (!report.real_modes.has_value()) return text;
  absl::StrAppend(
      &text,
      "modes: of the classes, or pairs of attributes, that real images have, those that "
      "generated ones have at least a tenth as often (each counts as the real image it "
      "is nearest to)\n");
  const Judged& last = report.judged.back();
  if (last.modes->bits.empty()) return text;
  std::vector<std::vector<std::string>> bits = {{"attribute", "real", "generated"}};
  for (const quality::ModeCoverage::Bit& bit : last.modes->bits) {
    bits.push_back({base::Printable(bit.name), absl::StrFormat("%.3f", bit.real_share),
                    absl::StrFormat("%.3f", bit.generated_share)});
  }
  absl::StrAppend(&text, "\nShares of ", base::Printable(last.name), ":\n", TextTable(bits));
  return text;
}

nlohmann::ordered_json ToJson(const Distances& distances) {
  nlohmann::ordered_json json = {{"sliced_wasserstein", distances.sliced},
                                 {"frechet_random_features", distances.frechet},
                                 {"kernel_random_features", distances.kernel}};
  if (distances.own_frechet.has_value()) json["frechet_own_network"] = *distances.own_frechet;
  return json;
}

nlohmann::ordered_json ToJson(const quality::ModeCoverage& modes) {
  nlohmann::ordered_json json = {{"real_modes", modes.real_modes},
                                 {"covered", modes.covered},
                                 {"share_error", modes.share_error}};
  for (const quality::ModeCoverage::Bit& bit : modes.bits) {
    json["attributes"][bit.name] = {{"real", bit.real_share}, {"generated", bit.generated_share}};
  }
  return json;
}

std::string ReportJson(const Report& report) {
  nlohmann::ordered_json json = {{"image_count", report.image_count},
                                 {"data", report.data},
                                 {"held_out", report.held_out},
                                 {"real_distance", report.real_distances.sliced},
                                 {"real_distances", ToJson(report.real_distances)},
                                 {"real_spread", report.real_spread},
                                 {"weights", nlohmann::ordered_json::array()}};
  for (const Judged& judged : report.judged) {
    nlohmann::ordered_json row = {{"name", judged.name},
                                  {"distance", judged.distances.sliced},
                                  {"ratio", Ratio(report, judged)},
                                  {"spread_share", judged.spread_share},
                                  {"distances", ToJson(judged.distances)}};
    if (judged.modes.has_value()) row["modes"] = ToJson(*judged.modes);
    json["weights"].push_back(std::move(row));
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// What the last weights lack of what was asked for; nothing when they have it.
std::string Shortfall(const Report& report, const Options& options) {
  const Judged& last = report.judged.back();
  const double ratio = Ratio(report, last);
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

// The settings of the training whose folder, or whose checkpoints/, the weights are in; empty when
// there are none.
std::string SettingsBeside(const std::string& weights) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::absolute(weights, error).parent_path();
  for (const std::filesystem::path& place : {folder, folder.parent_path()}) {
    const std::filesystem::path settings = place / kSettingsFile;
    if (std::filesystem::is_regular_file(settings, error)) return settings.string();
  }
  return "";
}

int RunEvaluate(const CliState& cli, const Options& options) {
  config::CommandLine command_line = cli.command_line;
  if (command_line.config_path.empty()) {
    command_line.config_path = SettingsBeside(options.weights.back());
  }
  const absl::StatusOr<config::Config> config = LoadSettings(command_line);
  if (!config.ok()) return FailConfig(config.status());
  if (options.max_ratio > 0 && !options.initial && options.weights.size() < 2) {
    return Fail(
        absl::InvalidArgumentError("--max-ratio compares with the first weights, got only one"),
        "Add --initial, or name the weights to compare with first.");
  }
  gan::ConfigureCompute(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
  const absl::StatusOr<Report> report = Measure(cli.command_line, *config, options);
  if (!report.ok()) {
    return Fail(report.status(),
                "Name weights.safetensors, generator.safetensors or a checkpoint of a run, and its "
                "settings with --config.");
  }
  std::cout << (options.json ? ReportJson(*report) : ReportText(*report)) << std::flush;
  const std::string missed = Shortfall(*report, options);
  if (missed.empty()) return config::kExitOk;
  return Fail(absl::FailedPreconditionError(missed), "Train longer, or look at gannet rounds.");
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, CliState& cli) {
  CLI::App* command = app.add_subcommand(
      "evaluate", "Measure how near generated images are to real ones, and how varied");
  const auto options = std::make_shared<Options>();
  command
      ->add_option(
          "--weights", options->weights,
          "weights.safetensors or generator.safetensors of a run, or a checkpoint; several, oldest "
          "first")
      ->required()
      ->type_name("FILE");
  command->add_flag("--initial", options->initial,
                    "Also judge the untrained weights of run.seed, as the first");
  command->add_option("--count", options->count, "Images of each kind; default 512")
      ->check(CLI::Range(2, 10'000))
      ->type_name("N");
  command
      ->add_option("--network", options->network,
                   "A feature network as TorchScript, such as Inception for FID: from (n, 3, side, "
                   "side) in [-1, 1] to (n, dimensions)")
      ->type_name("FILE");
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
      [&cli, options] { cli.action = [&cli, options] { return RunEvaluate(cli, *options); }; });
}

}  // namespace gannet::cli
