#include "services/coordinator/history_file.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/csv.h"

namespace gannet::coordinator {
namespace {

std::string Heading() {
  return base::CsvLine({"round", "epoch", "gradients", "images", "discriminator_loss",
                        "generator_loss", "real_accuracy", "fake_accuracy", "seconds"});
}

}  // namespace

std::string HistoryLine(const exchange::RoundSummary& round) {
  return base::CsvLine(
      {absl::StrCat(round.round.value()), absl::StrCat(round.epoch),
       absl::StrCat(round.gradient_count), absl::StrCat(round.image_count),
       absl::StrFormat("%.9g", round.discriminator_loss),
       absl::StrFormat("%.9g", round.generator_loss), absl::StrFormat("%.6g", round.real_accuracy),
       absl::StrFormat("%.6g", round.fake_accuracy), absl::StrFormat("%.4f", round.seconds)});
}

HistoryFile::HistoryFile(std::string path, telemetry::Logger& log)
    : path_(std::move(path)), log_(log) {}

void HistoryFile::Begin() {
  file_.close();
  file_.clear();
  file_.open(path_, std::ios::trunc);
  if (file_.is_open()) {
    file_ << Heading() << std::flush;
  }
  CheckWritten();
}

void HistoryFile::Append(const exchange::RoundSummary& round) {
  if (!file_.is_open()) return;
  file_ << HistoryLine(round) << std::flush;
  CheckWritten();
}

void HistoryFile::CheckWritten() {
  if (file_.is_open() && file_.good()) return;
  file_.close();
  log_.Warning(
      "loss history cannot be written any more; is the disk full? It is complete in the "
      "database and rewritten by the next start",
      {{"path", path_}});
}

}  // namespace gannet::coordinator
