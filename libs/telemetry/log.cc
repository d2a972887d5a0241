#include "libs/telemetry/log.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "libs/base/clock.h"
#include "libs/telemetry/log_line.h"
#include "spdlog/logger.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace gannet::telemetry {

LogField::LogField(absl::string_view k, double v)
    : key(k), value(absl::StrCat(v)), number(std::isfinite(v)) {}

LogField::LogField(absl::string_view k, absl::Duration v)
    : key(k), value(absl::FormatDuration(v)) {}

LogField::LogField(absl::string_view k, const absl::Status& v) : key(k), value(v.ToString()) {}

struct Logger::State {
  State(absl::string_view service_name, const LogOptions& log_options)
      : service(service_name),
        options(log_options),
        // Not registered with spdlog: its registry is global.
        out(std::string(service_name), std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    out.set_level(spdlog::level::trace);
    // Our lines are complete: spdlog only adds the line end.
    out.set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
  }

  const std::string service;
  const LogOptions options;
  base::RealClock clock;
  spdlog::logger out;
};

Logger::Logger(absl::string_view service, const LogOptions& options)
    : Logger(std::make_unique<State>(service, options)) {}

Logger::Logger(std::unique_ptr<State> state) : state_(std::move(state)) {}

Logger::~Logger() = default;

void Logger::Log(LogLevel level, absl::string_view message,
                 std::initializer_list<LogField> fields) {
  if (state_ == nullptr || level < state_->options.level) return;
  const absl::Span<const LogField> span(fields.begin(), fields.size());
  const absl::Time now = state_->clock.Now();
  const std::string line = state_->options.json
                               ? FormatJsonLine(now, level, state_->service, message, span)
                               : FormatTextLine(now, level, state_->service, message, span);
  // Given as a string view, the line is not a format string.
  state_->out.log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
}

void Logger::Flush() {
  if (state_ != nullptr) state_->out.flush();
}

LogOptions LogOptions::FromWords(absl::string_view level, absl::string_view format) {
  LogOptions options;
  if (level == "debug") options.level = LogLevel::kDebug;
  if (level == "warning") options.level = LogLevel::kWarning;
  if (level == "error") options.level = LogLevel::kError;
  options.json = format == "json";
  return options;
}

Logger& NullLogger() {
  // Never destroyed, so that threads that end late may still write to it.
  static Logger& logger = *new Logger(std::unique_ptr<Logger::State>());
  return logger;
}

}  // namespace gannet::telemetry
