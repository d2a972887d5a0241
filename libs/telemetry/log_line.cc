#include "libs/telemetry/log_line.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/text_characters.h"

namespace gannet::telemetry {
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

enum class Style { kMessage, kQuotedText, kJson };

void AppendCode(uint32_t code_point, Style style, std::string* out) {
  if (style == Style::kJson && code_point > 0xffff) {
    const uint32_t above = code_point - 0x10000;
    absl::StrAppendFormat(out, "\\u%04x\\u%04x", 0xd800 + (above >> 10), 0xdc00 + (above & 0x3ff));
  } else if (code_point > 0xffff) {
    absl::StrAppendFormat(out, "\\U%08x", code_point);
  } else if (style == Style::kJson || code_point > 0xff) {
    absl::StrAppendFormat(out, "\\u%04x", code_point);
  } else {
    absl::StrAppendFormat(out, "\\x%02x", code_point);
  }
}

void AppendEscaped(absl::string_view text, Style style, std::string* out) {
  const size_t shown = std::min(text.size(), kMaxValueBytes);
  size_t at = 0;
  while (at < shown) {
    const base::TextCharacter character = base::CharacterAt(text, at);
    const uint32_t code_point = character.code_point;
    if (!character.is_well_formed) {
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
    } else if (!character.is_plain) {
      AppendCode(code_point, style, out);
    } else if (style != Style::kMessage && (code_point == '"' || code_point == '\\')) {
      out->push_back('\\');
      out->push_back(static_cast<char>(code_point));
    } else {
      out->append(text.data() + at, character.bytes);
    }
    at += character.bytes;
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

}  // namespace gannet::telemetry
