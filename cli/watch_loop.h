#pragma once

#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/run_text.h"
#include "libs/base/clock.h"
#include "libs/client/admin_client.h"

namespace gannet::cli {

struct WatchOptions {
  absl::Duration interval = absl::Milliseconds(500);
  absl::Duration patience = absl::Seconds(30);
  // Without a terminal: a line when the state changes, and at most one this often in between.
  absl::Duration plain_interval = absl::Seconds(5);
  std::optional<int> terminal_width =
      {};  // one line that is written over again; unset: plain lines
  Trainer trainer = Trainer::kClass;
  // Whether the watch goes on when `out` cannot be written any more (`| head`).
  bool goes_on_unread = false;
};

// Follows a run until it has ended, and writes how far it is to `out`. Where the coordinator cannot
// be reached, it is asked again until the patience ends; silence before the first answer counts as
// well.
//
// Thread safety: none. Ownership and lifetime: everything passed by reference outlives it.
class WatchLoop {
 public:
  using GetRun = std::function<absl::StatusOr<client::RunReport>()>;
  using Sleep = std::function<void(absl::Duration)>;

  WatchLoop(const WatchOptions& options, GetRun get_run, base::Clock& clock, Sleep sleep,
            std::ostream& out)
      : options_(options),
        get_run_(std::move(get_run)),
        clock_(clock),
        sleep_(std::move(sleep)),
        out_(out) {}

  // How it ended.
  struct Result {
    std::optional<client::RunReport> last;  // the last answer
    absl::Status status;                    // OK - the run has ended; otherwise why the watch did
  };

  // Returns: OK - the last report has ended state; CANCELLED - nobody reads `out` any more;
  // UNAVAILABLE, DEADLINE_EXCEEDED - lost for longer than the patience; any other error of the
  // coordinator at once.
  Result Run();

 private:
  void Show(const client::RunReport& report);
  void ShowLost(const absl::Status& status);
  void EndLine();
  absl::Duration NextPause(const std::optional<client::RunReport>& last) const;

  const WatchOptions options_;
  const GetRun get_run_;
  base::Clock& clock_;
  const Sleep sleep_;
  std::ostream& out_;
  bool line_open_ = false;
  bool lost_shown_ = false;
  std::optional<domain::RunState> shown_state_;
  absl::Duration shown_at_;
};

}  // namespace gannet::cli
