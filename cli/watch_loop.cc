#include "cli/watch_loop.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/printable.h"
#include "cli/run_text.h"

namespace gannet::cli {
namespace {

// The coordinator ends soon after the run: near the end it is asked more often, so that the end is
// seen.
constexpr absl::Duration kFinishIsNear = absl::Seconds(3);
constexpr absl::Duration kFinishInterval = absl::Milliseconds(100);

// Back to the first column, and erase up to the end of the line.
constexpr const char* kOverwrite = "\r\x1b[K";

bool MayPass(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

WatchLoop::Result WatchLoop::Run() {
  Result result;
  absl::Duration heard_at = clock_.Steady();
  while (true) {
    absl::StatusOr<client::RunReport> report = get_run_();
    const absl::Duration now = clock_.Steady();
    if (report.ok()) {
      heard_at = now;
      lost_shown_ = false;
      result.last = *report;
      Show(*report);
      if (domain::HasEnded(report->state)) {
        EndLine();
        return result;
      }
    } else if (!MayPass(report.status()) || now - heard_at >= options_.patience) {
      EndLine();
      result.status = report.status();
      return result;
    } else {
      ShowLost(report.status());
    }
    if (!out_.good() && !options_.goes_on_unread) {
      result.status = absl::CancelledError("nobody reads what the watch writes");
      return result;
    }
    sleep_(NextPause(result.last));
  }
}

absl::Duration WatchLoop::NextPause(const std::optional<client::RunReport>& last) const {
  const bool near = last.has_value() && last->state == domain::RunState::kRunning &&
                    TimeLeft(*last) <= kFinishIsNear;
  return near ? std::min(kFinishInterval, options_.interval) : options_.interval;
}

void WatchLoop::Show(const client::RunReport& report) {
  if (options_.terminal_width.has_value()) {
    // The last column stays free: some terminals break the line after it.
    out_ << kOverwrite << ProgressLine(report, *options_.terminal_width - 1, options_.trainer)
         << std::flush;
    line_open_ = true;
    return;
  }
  const absl::Duration now = clock_.Steady();
  if (shown_state_ == report.state && now - shown_at_ < options_.plain_interval) return;
  shown_state_ = report.state;
  shown_at_ = now;
  out_ << PlainProgressLine(report, options_.trainer) << std::endl;
}

void WatchLoop::ShowLost(const absl::Status& status) {
  if (lost_shown_) return;
  lost_shown_ = true;
  EndLine();
  shown_state_.reset();
  out_ << "waiting up to " << ShortDuration(options_.patience)
       << " for the coordinator: " << base::Printable(std::string(status.message())) << std::endl;
}

void WatchLoop::EndLine() {
  if (line_open_) out_ << std::endl;
  line_open_ = false;
}

}  // namespace gannet::cli
