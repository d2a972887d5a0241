#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/exchange/store.h"
#include "libs/telemetry/log.h"

namespace gannet::coordinator {

// The loss history of a run as a CSV file: one line a round, with a heading. The truth is the
// database; the file is made anew from it whenever somebody begins to lead the run.
//
// A file that cannot be written costs a warning, never a round: afterwards nothing is written until
// the next Begin.
//
// Thread safety: none.
class HistoryFile {
 public:
  HistoryFile(std::string path, telemetry::Logger& log);

  // Replaces the file by these rounds, which come in pages: call Begin once, then Append.
  void Begin();

  // Adds a round; it is in the file when this returns.
  void Append(const exchange::RoundSummary& round);

 private:
  void CheckWritten();

  const std::string path_;
  telemetry::Logger& log_;
  std::ofstream file_;
};

// The line of a round, with its end.
std::string HistoryLine(const exchange::RoundSummary& round);

}  // namespace gannet::coordinator
