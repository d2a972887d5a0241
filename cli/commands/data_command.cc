#include <atomic>
#include <filesystem>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "CLI/App.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/cli_state.h"
#include "cli/dataset_source.h"
#include "cli/fetch.h"
#include "cli/printable.h"
#include "cli/terminal.h"
#include "cli/url_name.h"
#include "libs/base/hex.h"
#include "libs/base/process_signals.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset.h"
#include "libs/data/dataset_check.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/own_output.h"
#include "libs/data/packed_dataset.h"
#include "libs/data/passed_over.h"
#include "libs/image/image_grid.h"
#include "libs/image/image_io.h"

namespace gannet::cli {
namespace {

constexpr const char* kDataAdvice = "Check data.kind and data.path (gannet config show).";

// As many as a person reads; the rest is counted.
constexpr size_t kShownBadImages = 20;

std::string LabelsText(const data::Dataset& dataset) {
  if (!dataset.has_labels()) {
    const std::string problem = dataset.labels_problem();
    return problem.empty() ? "none" : absl::StrCat("none, because ", base::Printable(problem));
  }
  std::set<int64_t> classes;
  int64_t without = 0;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    if (dataset.LabelOf(i) == data::kNoLabel) {
      ++without;
    } else {
      classes.insert(dataset.LabelOf(i));
    }
  }
  const std::vector<std::string> bits = dataset.label_bits();
  return absl::StrCat(
      bits.empty()
          ? absl::StrCat(classes.size(), " classes")
          : absl::StrCat(bits.size(), " attributes: ", base::Printable(absl::StrJoin(bits, ", "))),
      without > 0 ? absl::StrCat("; ", without, " of ", dataset.size(), " images have none") : "");
}

// What lies among the images and is none of them, one line for each kind.
void ShowPassedOver(const std::vector<data::PassedOver>& all, std::ostream& out) {
  for (const data::PassedOver& one : all) {
    out << "passed over " << one.count << " " << base::Printable(one.what) << " (" << one.why
        << "), such as " << base::Printable(one.first) << "\n";
  }
}

int Check(const CliState& cli, bool exclude) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const data::DatasetOptions options = ShownDatasetOptions(*config);
  const absl::StatusOr<data::DatasetCheckReport> report = data::CheckDataset(options, nullptr);
  if (!report.ok()) return Fail(report.status(), kDataAdvice);
  for (size_t i = 0; i < std::min(report->bad.size(), kShownBadImages); ++i) {
    std::cout << "unusable " << base::Printable(report->bad[i].name) << ": "
              << base::Printable(report->bad[i].reason) << "\n";
  }
  if (report->bad.size() > kShownBadImages) {
    std::cout << "and " << report->bad.size() - kShownBadImages << " more\n";
  }
  ShowPassedOver(report->passed_over, std::cout);
  std::cout << report->good_count << " images can be used, " << report->bad.size() << " cannot.\n";
  if (exclude) {
    if (const absl::Status written = data::WriteExclusions(options, report->bad); !written.ok()) {
      return Fail(written, "Without the file every worker would meet these images again.");
    }
    if (!report->bad.empty()) {
      const std::string file = base::Printable(data::ExclusionFilePath(options));
      std::cout << "They are left out from now on: "
                << (data::FindDatasetKind(options.kind)->is_folder
                        ? absl::StrCat(file, " goes with the folder; every worker needs it.\n")
                        : absl::StrCat("copy ", file, " beside the archive of every worker.\n"));
    }
  }
  const absl::StatusOr<std::unique_ptr<data::Dataset>> dataset = data::OpenDataset(options);
  if (!dataset.ok()) return Fail(dataset.status(), kDataAdvice);
  const data::DatasetFingerprint& fingerprint = (*dataset)->fingerprint();
  std::cout << "data set    " << base::Printable(fingerprint.description) << "\n"
            << "images      " << fingerprint.image_count << "\n"
            << "fingerprint " << fingerprint.digest << "\n"
            << "labels      " << LabelsText(**dataset) << "\n";
  if (fingerprint.image_count <= report->good_count) return config::kExitOk;
  return Fail(absl::FailedPreconditionError(absl::StrCat(
                  fingerprint.image_count - report->good_count,
                  " images of the data set cannot be read, and a worker that meets one "
                  "fails its unit")),
              "Repair or remove them, or leave them out with: gannet data check --exclude");
}

int FetchFile(FetchOptions options) {
  std::error_code error;
  const bool into_folder =
      absl::EndsWith(options.out, "/") || std::filesystem::is_directory(options.out, error);
  if (options.out.empty() || into_folder) {
    const absl::StatusOr<std::string> name = FileNameOfUrl(options.url);
    if (!name.ok()) return Fail(name.status(), "Name a file with --out FILE.");
    options.out = (std::filesystem::path(options.out) / *name).string();
  }
  base::ProcessSignals signals;
  std::atomic<bool> stopped = false;
  const bool terminal = TerminalWidth().has_value();
  options.on_progress = [&](int64_t done, int64_t total) {
    if (terminal) {
      std::cout << "\r" << done / 1'000'000 << " of "
                << (total > 0 ? absl::StrCat(total / 1'000'000) : "?") << " MB " << std::flush;
    }
    return !stopped.load();
  };
  absl::Status status;
  signals.RunUntilDone([&] { status = Fetch(options); }, [&](int) { stopped = true; });
  if (terminal) std::cout << "\r";
  if (absl::IsCancelled(status)) {
    std::cout << "What has arrived stays; the same command resumes from there.\n";
    return kExitStopped;
  }
  if (absl::IsDataLoss(status)) return Fail(status, "Nothing was kept.");
  if (absl::IsAlreadyExists(status)) return Fail(status, "Remove it, or choose another --out.");
  if (absl::IsFailedPrecondition(status)) {
    return Fail(status, "Wait for it, or choose another --out.");
  }
  if (!status.ok()) {
    const bool kept = std::filesystem::file_size(options.out + ".part", error) > 0 && !error;
    return Fail(status, kept ? "What has arrived stays; the same command resumes from there."
                             : "Nothing has arrived.");
  }
  std::cout << base::Printable(options.out) << ": "
            << (options.sha256.empty()
                    ? "arrived; without --sha256 nobody knows whether it is intact"
                    : "arrived, checksum as expected")
            << "\n";
  return config::kExitOk;
}

struct PackOptions {
  std::string out;
};

int Pack(const CliState& cli, const PackOptions& options) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<std::unique_ptr<data::Dataset>> dataset =
      data::OpenDataset(ShownDatasetOptions(*config));
  if (!dataset.ok()) return Fail(dataset.status(), kDataAdvice);
  const int64_t total = (*dataset)->size();
  const bool terminal = TerminalWidth().has_value();
  const auto progress = [&](int64_t done) {
    if (terminal) std::cout << "\rpacking " << 100 * done / total << " %" << std::flush;
  };
  const absl::Status written =
      data::WritePackedDataset(**dataset, config->run.model.image_size, options.out, progress);
  if (terminal) std::cout << "\r";
  if (absl::IsDataLoss(written))
    return Fail(written, "Find all such images with: gannet data check");
  if (!written.ok()) return Fail(written, "Choose another --out.");
  ReportStream(options.out)
      << options.out << ": " << total << " images of " << config->run.model.image_size << "x"
      << config->run.model.image_size << " pixels\n"
      << "Use it, here and on other machines, with: --data.kind packed --data.path " << options.out
      << "\n";
  return config::kExitOk;
}

struct PreviewOptions {
  std::string out = "preview.png";
  int64_t first = 0;
  int count = 64;
  int columns = 8;
  int scale = 2;
};

int Preview(const CliState& cli, const PreviewOptions& options) {
  const absl::StatusOr<config::Config> config = LoadSettings(cli.command_line);
  if (!config.ok()) return FailConfig(config.status());
  const absl::StatusOr<std::unique_ptr<data::Dataset>> dataset =
      data::OpenDataset(ShownDatasetOptions(*config));
  if (!dataset.ok()) return Fail(dataset.status(), kDataAdvice);
  if (options.first >= (*dataset)->size()) {
    return Fail(
        absl::InvalidArgumentError(absl::StrCat("--first must be below the ", (*dataset)->size(),
                                                " images of the data set, got ", options.first)),
        "Choose a smaller --first.");
  }
  const auto count =
      static_cast<size_t>(std::min<int64_t>(options.count, (*dataset)->size() - options.first));
  const auto side = static_cast<size_t>(config->run.model.image_size);
  std::vector<uint8_t> images(count * 3 * side * side);
  for (size_t i = 0; i < count; ++i) {
    const absl::Status read =
        (*dataset)->ReadRgb(options.first + static_cast<int64_t>(i),
                            absl::MakeSpan(images).subspan(i * 3 * side * side, 3 * side * side));
    if (!read.ok()) return Fail(read, "Find all such images with: gannet data check");
  }
  const absl::StatusOr<image::RgbImage> grid =
      image::MakeImageGrid(absl::MakeConstSpan(images), config->run.model.image_size,
                           {.columns = options.columns, .scale = options.scale});
  if (!grid.ok()) return Fail(grid.status(), "Check --columns and --scale.");
  if (const absl::Status written = data::WriteGridPng(options.out, *grid); !written.ok()) {
    return Fail(written, "Choose another --out.");
  }
  ReportStream(options.out) << options.out << ": " << count << " images from number "
                            << options.first << "\n";
  ShowPassedOver((*dataset)->passed_over(), ReportStream(options.out));
  return config::kExitOk;
}

}  // namespace

void AddDataCommand(CLI::App& app, CliState& cli) {
  CLI::App* group = app.add_subcommand("data", "Fetch, check, look at and pack the data set");

  CLI::App* check = group->add_subcommand(
      "check", "Read every image; name those that cannot be used, and print the fingerprint");
  const auto exclude = std::make_shared<bool>(false);
  check->add_flag("--exclude", *exclude, "Leave unusable images out of the data set from now on");
  check->callback(
      [&cli, exclude] { cli.action = [&cli, exclude] { return Check(cli, *exclude); }; });

  CLI::App* fetch =
      group->add_subcommand("fetch", "Download a file; resume where an earlier attempt ended");
  const auto fetch_options = std::make_shared<FetchOptions>();
  fetch->add_option("url", fetch_options->url, "Its address, http or https")
      ->required()
      ->type_name("URL");
  fetch
      ->add_option("--out", fetch_options->out,
                   "File to write, or folder; default: the name in the address")
      ->type_name("FILE");
  fetch->add_option("--sha256", fetch_options->sha256, "Its checksum, 64 hexadecimal digits")
      ->check([](const std::string& text) {
        return base::IsHex(absl::AsciiStrToLower(text), 64) ? "" : "must be 64 hexadecimal digits";
      })
      ->type_name("HEX");
  fetch->callback([&cli, fetch_options] {
    cli.action = [fetch_options] { return FetchFile(*fetch_options); };
  });

  CLI::App* pack = group->add_subcommand(
      "pack",
      "Decode and scale every image once, into one file that trains as fast as memory; it joins a "
      "run as what it was made of");
  const auto pack_options = std::make_shared<PackOptions>();
  pack->add_option("--out", pack_options->out, "File to write")->required()->type_name("FILE");
  pack->callback([&cli, pack_options] {
    cli.action = [&cli, pack_options] { return Pack(cli, *pack_options); };
  });

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

}  // namespace gannet::cli
