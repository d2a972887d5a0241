#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace gannet::pg {

// One statement: its name (for prepared statements, metrics and messages), its text, and whether
// repeating it after a lost connection is harmless because it changes nothing. Kept as a named
// constant beside the one method that runs it.
struct SqlStatement {
  const char* name;
  const char* text;
  bool reads_only = false;
};

// Parameters of a statement, in order. Numbers travel as text; write `$1::bigint` where the type is
// not plain.
//
// Thread safety: as a value.
class SqlParams {
 public:
  // A value, as text or as the bytes of a bytea; null when neither.
  struct Value {
    bool null = false;
    bool binary = false;
    std::string text;         // unless binary
    absl::string_view bytes;  // when binary; not owned
  };

  SqlParams& Null();
  SqlParams& Int(int64_t value);
  SqlParams& UInt(uint64_t value);
  SqlParams& Double(double value);  // keeps every bit
  SqlParams& Bool(bool value);
  SqlParams& Text(std::string value);
  SqlParams& IntArray(absl::Span<const int64_t> values);
  // Bytes of a bytea, not copied: they must outlive the call. Binary on a bulk connection; an
  // ordinary one sends digits, so use it there for checksums only.
  SqlParams& Bytes(absl::string_view value);

  const std::vector<Value>& values() const { return values_; }

 private:
  std::vector<Value> values_;
};

// A table of results in text form.
struct SqlRows {
  std::vector<std::string> columns;
  std::vector<std::vector<std::optional<std::string>>> rows;

  size_t size() const { return rows.size(); }
  bool empty() const { return rows.empty(); }
};

// Reads the values of one row by column name. What is missing, null or of another type reads as
// zero, and status() says so afterwards.
//
//   SqlRow row(rows, 0);
//   const int64_t version = row.Int("weights_version");
//   GANNET_RETURN_IF_ERROR(row.status());
//
// Thread safety: none. The rows must outlive it.
class SqlRow {
 public:
  SqlRow(const SqlRows& rows, size_t index) : rows_(rows), index_(index) {}

  bool IsNull(const char* column);
  int64_t Int(const char* column);
  uint64_t UInt(const char* column);
  double Double(const char* column);
  bool Bool(const char* column);
  std::string Text(const char* column);
  std::string Bytes(const char* column);
  std::vector<int64_t> IntArray(const char* column);

  // INTERNAL - the first value that could not be read, by column.
  const absl::Status& status() const { return status_; }

 private:
  const std::optional<std::string>* Find(const char* column);
  const std::string& NotNull(const char* column);
  void Fail(const char* column, const char* expected);

  const SqlRows& rows_;
  const size_t index_;
  absl::Status status_;
};

}  // namespace gannet::pg
