#include "libs/telemetry/log_line.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace gannet {
namespace {

// A log is read by people; whoever needs a whole payload has another place for it.
constexpr size_t kMaxValueBytes = 2000;

const char* LevelName(LogLevel level, bool json) {
  switch (level) {
    case LogLevel::kDebug:
      return json ? "debug" : "DEBUG";
    case LogLevel::kInfo:
      return json ? "info" : "INFO";
    case LogLevel::kWarning:
      return json ? "warning" : "WARNING";
    case LogLevel::kError:
      return json ? "error" : "ERROR";
  }
  return "?";
}

// Length of the valid UTF-8 sequence at `text[at]`, or 0. Overlong forms, surrogates and values
// beyond U+10FFFF are not valid.
size_t Utf8Length(absl::string_view text, size_t at, uint32_t* code_point) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(at);
  size_t length = 0;
  uint32_t value = 0;
  if (first < 0x80) {
    *code_point = first;
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    length = 2;
    value = first & 0x1fU;
  } else if (first >= 0xe0 && first <= 0xef) {
    length = 3;
    value = first & 0x0fU;
  } else if (first >= 0xf0 && first <= 0xf4) {
    length = 4;
    value = first & 0x07U;
  } else {
    return 0;
  }
  if (at + length > text.size()) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xc0U) != 0x80U) return 0;
    value = (value << 6U) | (byte(at + i) & 0x3fU);
  }
  if ((length == 3 && value < 0x800) || (length == 4 && value < 0x10000)) return 0;
  if ((value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff) return 0;
  *code_point = value;
  return length;
}

// C1 controls steer terminals as C0 controls do; U+2028 and U+2029 end a line for some readers.
bool IsControl(uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f) || code_point == 0x2028 ||
         code_point == 0x2029;
}

enum class Style { kMessage, kQuotedText, kJson };

void AppendEscaped(absl::string_view text, Style style, std::string* out) {
  const size_t shown = std::min(text.size(), kMaxValueBytes);
  size_t at = 0;
  while (at < shown) {
    uint32_t code_point = 0;
    const size_t length = Utf8Length(text, at, &code_point);
    if (length == 0) {
      if (style == Style::kJson) {
        out->append("\\ufffd");
      } else {
        absl::StrAppendFormat(out, "\\x%02x", static_cast<uint8_t>(text[at]));
      }
      ++at;
      continue;
    }
    if (code_point == '\n') {
      out->append("\\n");
    } else if (code_point == '\r') {
      out->append("\\r");
    } else if (code_point == '\t') {
      out->append("\\t");
    } else if (IsControl(code_point)) {
      if (style == Style::kJson || code_point > 0xff) {
        absl::StrAppendFormat(out, "\\u%04x", code_point);
      } else {
        absl::StrAppendFormat(out, "\\x%02x", code_point);
      }
    } else if (style != Style::kMessage && (code_point == '"' || code_point == '\\')) {
      out->push_back('\\');
      out->push_back(static_cast<char>(code_point));
    } else {
      out->append(text.data() + at, length);
    }
    at += length;
  }
  if (at < text.size()) absl::StrAppend(out, "... (", text.size(), " bytes)");
}

bool IsPlain(absl::string_view value) {
  if (value.empty() || value.size() > kMaxValueBytes) return false;
  for (const char c : value) {
    if (c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

// Keys are written by us; anything odd in one is replaced rather than allowed to break the line.
std::string CleanKey(absl::string_view key) {
  std::string clean(key);
  for (char& c : clean) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '.' || c == '-';
    if (!fine) c = '_';
  }
  return clean.empty() ? "_" : clean;
}

std::string LineTime(absl::Time time) {
  // %E3S truncates, so a line never carries a time that has not come yet.
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

}  // namespace

std::string FormatTextLine(absl::Time time, LogLevel level, absl::string_view service,
                           absl::string_view message, absl::Span<const LogField> fields) {
  std::string line = absl::StrCat(LineTime(time), " ", LevelName(level, false), " ");
  AppendEscaped(service, Style::kMessage, &line);
  line.push_back(' ');
  AppendEscaped(message, Style::kMessage, &line);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", CleanKey(field.key), "=");
    if (IsPlain(field.value)) {
      line.append(field.value);
    } else {
      line.push_back('"');
      AppendEscaped(field.value, Style::kQuotedText, &line);
      line.push_back('"');
    }
  }
  return line;
}

std::string FormatJsonLine(absl::Time time, LogLevel level, absl::string_view service,
                           absl::string_view message, absl::Span<const LogField> fields) {
  std::string line = absl::StrCat("{\"time\":\"", LineTime(time), "\",\"level\":\"",
                                  LevelName(level, true), "\",\"service\":\"");
  AppendEscaped(service, Style::kJson, &line);
  line.append("\",\"message\":\"");
  AppendEscaped(message, Style::kJson, &line);
  line.push_back('"');
  for (const LogField& field : fields) {
    std::string key = CleanKey(field.key);
    if (key == "time" || key == "level" || key == "service" || key == "message") key.push_back('_');
    absl::StrAppend(&line, ",\"", key, "\":");
    if (field.number) {
      line.append(field.value);
    } else {
      line.push_back('"');
      AppendEscaped(field.value, Style::kJson, &line);
      line.push_back('"');
    }
  }
  line.push_back('}');
  return line;
}

}  // namespace gannet
