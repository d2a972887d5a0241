#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace gannet::telemetry {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// A named value of a log line. Non-finite numbers are written as text.
struct LogField {
  LogField(absl::string_view k, absl::string_view v) : key(k), value(v) {}
  LogField(absl::string_view k, const char* v) : key(k), value(v) {}
  LogField(absl::string_view k, const std::string& v) : key(k), value(v) {}
  LogField(absl::string_view k, bool v) : key(k), value(v ? "true" : "false"), number(true) {}
  LogField(absl::string_view k, int v) : key(k), value(std::to_string(v)), number(true) {}
  LogField(absl::string_view k, int64_t v) : key(k), value(std::to_string(v)), number(true) {}
  LogField(absl::string_view k, uint64_t v) : key(k), value(std::to_string(v)), number(true) {}
  LogField(absl::string_view k, double v);
  LogField(absl::string_view k, absl::Duration v);
  LogField(absl::string_view k, const absl::Status& v);

  std::string key;
  std::string value;
  bool number = false;  // a number or truth value: written without quotes in JSON
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  bool json = false;  // one JSON object a line instead of text

  // From the words of the settings: "debug", "info", "warning" or "error", and "text" or "json".
  // Any other word counts as the default; the settings refuse it.
  static LogOptions FromWords(absl::string_view level, absl::string_view format);
};

// Writes lines to stderr: time, level, service, fixed text, then key=value fields (values last,
// quoted where needed; see log_line.h for the exact form). Passed by reference: there is no global
// logger. Secrets never go into a line.
//
// Thread safety: all methods may be called from any thread; lines are never mixed.
class Logger {
 public:
  // `service` is named in every line.
  Logger(absl::string_view service, const LogOptions& options);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void Log(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields = {});
  void Debug(absl::string_view message, std::initializer_list<LogField> fields = {}) {
    Log(LogLevel::kDebug, message, fields);
  }
  void Info(absl::string_view message, std::initializer_list<LogField> fields = {}) {
    Log(LogLevel::kInfo, message, fields);
  }
  void Warning(absl::string_view message, std::initializer_list<LogField> fields = {}) {
    Log(LogLevel::kWarning, message, fields);
  }
  void Error(absl::string_view message, std::initializer_list<LogField> fields = {}) {
    Log(LogLevel::kError, message, fields);
  }

  void Flush();

 private:
  friend Logger& NullLogger();
  struct State;
  explicit Logger(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;  // null: writes nothing
};

// A logger that writes nothing, for tests and benchmarks.
Logger& NullLogger();

}  // namespace gannet::telemetry
