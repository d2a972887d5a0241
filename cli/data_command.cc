#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/str_cat.h"
#include "cli/cli_state.h"
#include "cli/dataset_source.h"
#include "cli/printable.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset.h"
#include "libs/data/dataset_check.h"
#include "libs/data/image_grid.h"
#include "libs/data/image_io.h"

namespace gannet {
namespace {

constexpr const char* kDataAdvice = "Check data.kind and data.path (gannet config show).";

// As many as a person reads; the rest is counted.
constexpr size_t kShownBadImages = 20;

int Check(const CliState& cli, bool exclude) {
  const absl::StatusOr<Config> config = LoadConfig(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const DatasetOptions options = DatasetOptionsFrom(*config);
  const absl::StatusOr<DatasetCheckReport> report = CheckDataset(options, nullptr);
  if (!report.ok()) return Fail(report.status(), kDataAdvice);
  for (size_t i = 0; i < std::min(report->bad.size(), kShownBadImages); ++i) {
    std::cout << "unusable " << Printable(report->bad[i].name) << ": "
              << Printable(report->bad[i].reason) << "\n";
  }
  if (report->bad.size() > kShownBadImages) {
    std::cout << "and " << report->bad.size() - kShownBadImages << " more\n";
  }
  std::cout << report->good_count << " images can be used, " << report->bad.size() << " cannot.\n";
  if (exclude) {
    if (const absl::Status written = WriteExclusions(options, report->bad); !written.ok()) {
      return Fail(written, "Without the file every worker would meet these images again.");
    }
    if (!report->bad.empty()) {
      std::cout << "They are left out from now on: copy " << Printable(ExclusionFilePath(options))
                << " beside the data of every worker.\n";
    }
  }
  const absl::StatusOr<std::unique_ptr<Dataset>> dataset = OpenDataset(options);
  if (!dataset.ok()) return Fail(dataset.status(), kDataAdvice);
  const DatasetFingerprint& fingerprint = (*dataset)->fingerprint();
  std::cout << "data set    " << Printable(fingerprint.description) << "\n"
            << "images      " << fingerprint.image_count << "\n"
            << "fingerprint " << fingerprint.digest << "\n";
  if (fingerprint.image_count <= report->good_count) return kExitOk;
  return Fail(absl::FailedPreconditionError(absl::StrCat(
                  fingerprint.image_count - report->good_count,
                  " images of the data set cannot be read, and a worker that meets one "
                  "fails its unit")),
              "Repair or remove them, or leave them out with: gannet data check --exclude");
}

struct PreviewOptions {
  std::string out = "preview.png";
  int64_t first = 0;
  int count = 64;
  int columns = 8;
  int scale = 2;
};

int Preview(const CliState& cli, const PreviewOptions& options) {
  const absl::StatusOr<Config> config = LoadConfig(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<std::unique_ptr<Dataset>> dataset = OpenDataset(DatasetOptionsFrom(*config));
  if (!dataset.ok()) return Fail(dataset.status(), kDataAdvice);
  if (options.first >= (*dataset)->size()) {
    return Fail(
        absl::InvalidArgumentError(absl::StrCat("--first must be below the ", (*dataset)->size(),
                                                " images of the data set, got ", options.first)),
        "Choose a smaller --first.");
  }
  const auto count =
      static_cast<size_t>(std::min<int64_t>(options.count, (*dataset)->size() - options.first));
  const auto side = static_cast<size_t>(config->model.image_size);
  std::vector<uint8_t> images(count * 3 * side * side);
  for (size_t i = 0; i < count; ++i) {
    const absl::Status read =
        (*dataset)->ReadRgb(options.first + static_cast<int64_t>(i),
                            absl::MakeSpan(images).subspan(i * 3 * side * side, 3 * side * side));
    if (!read.ok()) return Fail(read, "Find all such images with: gannet data check");
  }
  const absl::StatusOr<RgbImage> grid =
      MakeImageGrid(absl::MakeConstSpan(images), config->model.image_size,
                    {.columns = options.columns, .scale = options.scale});
  if (!grid.ok()) return Fail(grid.status(), "Check --columns and --scale.");
  if (const absl::Status written = WritePngRgb(options.out, *grid); !written.ok()) {
    return Fail(written, "Choose another --out.");
  }
  std::cout << options.out << ": " << count << " images from number " << options.first << "\n";
  return kExitOk;
}

}  // namespace

void AddDataCommand(CLI::App& app, CliState& cli) {
  CLI::App* group = app.add_subcommand("data", "Check and look at the data set");

  CLI::App* check = group->add_subcommand(
      "check", "Read every image; name those that cannot be used, and print the fingerprint");
  const auto exclude = std::make_shared<bool>(false);
  check->add_flag("--exclude", *exclude, "Leave unusable images out of the data set from now on");
  check->callback(
      [&cli, exclude] { cli.action = [&cli, exclude] { return Check(cli, *exclude); }; });

  CLI::App* preview = group->add_subcommand("preview", "Write some images as a grid");
  const auto options = std::make_shared<PreviewOptions>();
  preview->add_option("--out", options->out, "PNG to write; default preview.png")
      ->type_name("FILE");
  preview->add_option("--first", options->first, "Number of the first image; default 0")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->type_name("N");
  preview->add_option("--count", options->count, "How many images; default 64")
      ->check(CLI::Range(1, 4096))
      ->type_name("N");
  preview->add_option("--columns", options->columns, "Images in a row; default 8")
      ->check(CLI::Range(1, 256))
      ->type_name("N");
  preview->add_option("--scale", options->scale, "Enlargement; default 2")
      ->check(CLI::Range(1, 16))
      ->type_name("N");
  preview->callback(
      [&cli, options] { cli.action = [&cli, options] { return Preview(cli, *options); }; });
}

}  // namespace gannet
