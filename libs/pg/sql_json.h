#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace gannet::pg {

// A JSON object as a function of the schema takes it, in one parameter, for jsonb_to_record to take
// apart. Every value arrives as it was, bit for bit: a double and an array go as text in quotes,
// which jsonb keeps as it is and the type of the column reads. As a number of JSON a double would
// lose the sign of zero and could not be infinite; an array of numbers takes five times as long.
//
//   SqlJson().Int("slot", 3).Double("distance", 0.1).Text("reason", reason).text()
//
// Thread safety: as a value.
class SqlJson {
 public:
  SqlJson& Int(absl::string_view key, int64_t value);
  SqlJson& UInt(absl::string_view key, uint64_t value);
  SqlJson& Double(absl::string_view key, double value);
  SqlJson& Bool(absl::string_view key, bool value);
  SqlJson& Text(absl::string_view key, absl::string_view value);  // UTF-8
  SqlJson& IntArray(absl::string_view key, absl::Span<const int64_t> values);
  // Another object, or whatever else is JSON already.
  SqlJson& Json(absl::string_view key, absl::string_view json);

  std::string text() const;

 private:
  SqlJson& Add(absl::string_view key, absl::string_view json);

  std::string members_;
};

// The objects in their order.
std::string SqlJsonArray(absl::Span<const SqlJson> objects);

}  // namespace gannet::pg
