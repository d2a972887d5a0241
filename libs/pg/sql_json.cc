#include "libs/pg/sql_json.h"

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace gannet::pg {
namespace {

std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&quoted, "\\u00", absl::Hex(c, absl::kZeroPad2));
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

}  // namespace

SqlJson& SqlJson::Add(absl::string_view key, absl::string_view json) {
  absl::StrAppend(&members_, members_.empty() ? "" : ",", Quoted(key), ":", json);
  return *this;
}

SqlJson& SqlJson::Int(absl::string_view key, int64_t value) {
  return Add(key, absl::StrCat(value));
}

SqlJson& SqlJson::UInt(absl::string_view key, uint64_t value) {
  return Add(key, absl::StrCat(value));
}

SqlJson& SqlJson::Double(absl::string_view key, double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "\"%.17g\"", value);
  return Add(key, text);
}

SqlJson& SqlJson::Bool(absl::string_view key, bool value) {
  return Add(key, value ? "true" : "false");
}

SqlJson& SqlJson::Text(absl::string_view key, absl::string_view value) {
  return Add(key, Quoted(value));
}

SqlJson& SqlJson::IntArray(absl::string_view key, absl::Span<const int64_t> values) {
  return Add(key, absl::StrCat("\"{", absl::StrJoin(values, ","), "}\""));
}

SqlJson& SqlJson::Json(absl::string_view key, absl::string_view json) { return Add(key, json); }

std::string SqlJson::text() const { return absl::StrCat("{", members_, "}"); }

std::string SqlJsonArray(absl::Span<const SqlJson> objects) {
  return absl::StrCat("[",
                      absl::StrJoin(objects, ",",
                                    [](std::string* out, const SqlJson& object) {
                                      absl::StrAppend(out, object.text());
                                    }),
                      "]");
}

}  // namespace gannet::pg
