#include "services/coordinator/history_file.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace gannet {
namespace {

constexpr char kHeading[] =
    "round,epoch,gradients,images,discriminator_loss,generator_loss,real_accuracy,fake_accuracy,"
    "seconds";

}  // namespace

std::string HistoryLine(const RoundSummary& round) {
  return absl::StrFormat("%d,%d,%d,%d,%.9g,%.9g,%.6g,%.6g,%.4f", round.round.value(), round.epoch,
                         round.gradient_count, round.image_count, round.discriminator_loss,
                         round.generator_loss, round.real_accuracy, round.fake_accuracy,
                         round.seconds);
}

HistoryFile::HistoryFile(std::string path, Logger& log) : path_(std::move(path)), log_(log) {}

void HistoryFile::Begin() {
  file_.close();
  file_.clear();
  file_.open(path_, std::ios::trunc);
  if (file_.is_open()) {
    file_ << kHeading << '\n' << std::flush;
  }
  CheckWritten();
}

void HistoryFile::Append(const RoundSummary& round) {
  if (!file_.is_open()) return;
  file_ << HistoryLine(round) << '\n' << std::flush;
  CheckWritten();
}

void HistoryFile::CheckWritten() {
  if (file_.is_open() && file_.good()) return;
  file_.close();
  log_.Warning(
      "loss history cannot be written any more; is the disk full? It is complete in the "
      "database and written anew by the next start",
      {{"path", path_}});
}

}  // namespace gannet
