#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "libs/telemetry/log.h"

namespace gannet::telemetry {

// One line of the log, as a pure function of what it says. Whatever a peer or file puts into a
// message or value, the result is one line without control characters, in valid UTF-8, and a value
// cannot look like another field. Long messages and values are cut and say so.

// "2026-01-02T03:04:05.678Z INFO coordinator round published round=12 seconds=0.14". A value is
// quoted, with backslash escapes, when it is empty or contains anything but plain visible
// characters.
std::string FormatTextLine(absl::Time time, LogLevel level, absl::string_view service,
                           absl::string_view message, absl::Span<const LogField> fields);

// {"time":"…","level":"info","service":"coordinator","message":"round
// published","round":12,"seconds":0.14}. A field that is called like one of the first four keys
// gets an underscore behind its name.
std::string FormatJsonLine(absl::Time time, LogLevel level, absl::string_view service,
                           absl::string_view message, absl::Span<const LogField> fields);

}  // namespace gannet::telemetry
