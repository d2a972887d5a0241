#include "libs/tensor/safetensors.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/check.h"
#include "libs/base/status_macros.h"
#include "libs/tensor/foreign_file.h"

namespace gannet::tensor {
namespace {

constexpr char kMetadataKey[] = "__metadata__";
constexpr size_t kLengthBytes = sizeof(uint64_t);
constexpr size_t kMaxRank = 8;
constexpr size_t kMaxShownNameBytes = 100;

// A name out of a file, for a message: short and printable.
std::string ShowName(const std::string& name) {
  return absl::StrCat("'", absl::CHexEscape(name.substr(0, kMaxShownNameBytes)), "'");
}

void AppendJsonString(const std::string& text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&out, "\\u", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad4));
    } else {
      out += c;
    }
  }
  out += '"';
}

const char* DtypeText(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32:
      return "F32";
    case Dtype::kF16:
      return "F16";
    case Dtype::kI64:
      return "I64";
    case Dtype::kF64:
      return "F64";
  }
  base::CheckFailed(__FILE__, __LINE__, "dtype is one of the enumerators");
}

// One tensor as the header states it.
struct HeaderEntry {
  TensorSpec spec;
  uint64_t begin = 0;
  uint64_t end = 0;
  bool is_bfloat16 = false;
};

// Reads the header while it is parsed, so that nothing is kept that is not wanted: a repeated name,
// a surplus key, a number that is not a non-negative integer or a deeper nesting ends the parse.
//
// Grammar: {"__metadata__": {text: text, …}, NAME: {"dtype": text, "shape": [n, …],
// "data_offsets": [n, n]}, …}
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  // `takes_bfloat16`: whether BF16 is a type like the others.
  explicit HeaderReader(bool takes_bfloat16) : takes_bfloat16_(takes_bfloat16) {}

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a truth value"); }
  bool number_integer(number_integer_t) override { return Unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return Unexpected("a fraction"); }
  bool binary(binary_t&) override { return Unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return Fail(absl::StrCat("size of a dimension is too large: ", value));
      }
      if (entry_.spec.shape.size() == kMaxRank) {
        return Fail(absl::StrCat("too many dimensions, at most ", kMaxRank, " are allowed"));
      }
      entry_.spec.shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (place_ == Place::kOffsets) {
      if (offset_count_ == 2) return Fail("data_offsets has more than two numbers");
      (offset_count_ == 0 ? entry_.begin : entry_.end) = value;
      ++offset_count_;
      return true;
    }
    return Unexpected("a number");
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      metadata_.emplace(std::move(key_), std::move(value));
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") return Unexpected("a text");
    if (value == "F32") {
      entry_.spec.dtype = Dtype::kF32;
    } else if (value == "F16" || (value == "BF16" && takes_bfloat16_)) {
      entry_.spec.dtype = Dtype::kF16;
      entry_.is_bfloat16 = value == "BF16";
    } else if (value == "I64") {
      entry_.spec.dtype = Dtype::kI64;
    } else if (value == "F64") {
      entry_.spec.dtype = Dtype::kF64;
    } else {
      return Fail(
          absl::StrCat("unknown dtype, expected F32, F16, I64 or F64, got ", ShowName(value)));
    }
    has_dtype_ = true;
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
      return true;
    }
    if (place_ != Place::kTop) return Unexpected("an object");
    if (key_ == kMetadataKey) {
      place_ = Place::kMetadata;
      return true;
    }
    entry_ = HeaderEntry{};
    entry_.spec.name = std::move(key_);
    has_dtype_ = has_shape_ = has_offsets_ = false;
    place_ = Place::kTensor;
    return true;
  }

  bool key(string_t& value) override {
    key_ = std::move(value);
    switch (place_) {
      case Place::kTop:
        if (!names_.insert(key_).second) return Fail("the same name twice: " + ShowName(key_));
        return true;
      case Place::kMetadata:
        if (metadata_.count(key_) > 0) return Fail("the same key twice: " + ShowName(key_));
        return true;
      default:
        break;
    }
    const bool repeated = (key_ == "dtype" && has_dtype_) || (key_ == "shape" && has_shape_) ||
                          (key_ == "data_offsets" && has_offsets_);
    if (repeated) return Fail("the same key twice: " + ShowName(key_));
    if (key_ != "dtype" && key_ != "shape" && key_ != "data_offsets") {
      return Fail("unknown key " + ShowName(key_));
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kTensor && key_ == "shape") {
      place_ = Place::kShape;
      has_shape_ = true;
      return true;
    }
    if (place_ == Place::kTensor && key_ == "data_offsets") {
      place_ = Place::kOffsets;
      offset_count_ = 0;
      has_offsets_ = true;
      return true;
    }
    return Unexpected("an array");
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offset_count_ != 2) {
      return Fail("data_offsets has fewer than two numbers");
    }
    place_ = Place::kTensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      if (!has_dtype_ || !has_shape_ || !has_offsets_) {
        return Fail("dtype, shape or data_offsets is missing");
      }
      entries_.push_back(std::move(entry_));
      entry_ = HeaderEntry{};
    }
    place_ = place_ == Place::kTop ? Place::kStart : Place::kTop;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Fail(absl::StrCat("not JSON in UTF-8, at byte ", kLengthBytes + position));
  }

  std::vector<HeaderEntry>& entries() { return entries_; }
  std::map<std::string, std::string>& metadata() { return metadata_; }
  const std::string& error() const { return error_; }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets };

  bool Unexpected(const char* what) { return Fail(absl::StrCat("unexpected ", what)); }

  bool Fail(std::string what) {
    error_ = std::move(what);
    const bool in_tensor =
        place_ == Place::kTensor || place_ == Place::kShape || place_ == Place::kOffsets;
    if (in_tensor) absl::StrAppend(&error_, ", in tensor ", ShowName(entry_.spec.name));
    return false;
  }

  const bool takes_bfloat16_;
  Place place_ = Place::kStart;
  std::string key_;
  HeaderEntry entry_;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  int offset_count_ = 0;
  std::unordered_set<std::string> names_;
  std::vector<HeaderEntry> entries_;
  std::map<std::string, std::string> metadata_;
  std::string error_;
};

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("not a valid safetensors file: ", what));
}

// Bytes of the tensor's data, or false when that does not fit 64 bits.
bool ComputeDataBytes(const TensorSpec& spec, uint64_t& out) {
  out = DtypeBytes(spec.dtype);
  // A dimension of zero makes the whole zero, however large the others are.
  if (std::find(spec.shape.begin(), spec.shape.end(), 0) != spec.shape.end()) {
    out = 0;
  }
  for (const int64_t size : spec.shape) {
    if (__builtin_mul_overflow(out, static_cast<uint64_t>(size), &out)) return false;
  }
  return true;
}

// Reads the header into `reader`; returns the data behind it.
absl::StatusOr<absl::string_view> ReadHeader(absl::string_view bytes, HeaderReader& reader) {
  if (bytes.size() < kLengthBytes) {
    return Invalid(absl::StrCat("truncated in the header length, expected at least ", kLengthBytes,
                                " bytes, got ", bytes.size()));
  }
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  // A number read out of a text helps nobody. (That of a gzip file may be small.)
  if (header_bytes > kMaxSafetensorsHeaderBytes || bytes.substr(0, 3) == "\x1f\x8b\x08") {
    if (const absl::string_view what = WhatItIsInstead(bytes); !what.empty()) {
      return Invalid(absl::StrCat("it is ", what));
    }
  }
  if (header_bytes > kMaxSafetensorsHeaderBytes) {
    return Invalid(absl::StrCat("header is too large, at most ", kMaxSafetensorsHeaderBytes,
                                " bytes are allowed, got ", header_bytes));
  }
  if (header_bytes > bytes.size() - kLengthBytes) {
    return Invalid(absl::StrCat("truncated in the header, expected ", header_bytes, " bytes, got ",
                                bytes.size() - kLengthBytes));
  }
  const absl::string_view header = bytes.substr(kLengthBytes, header_bytes);
  if (header.empty() || header.front() != '{') return Invalid("the header does not begin with '{'");
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &reader)) {
    return Invalid(reader.error());
  }
  return bytes.substr(kLengthBytes + header_bytes);
}

}  // namespace

std::string SafetensorsHeader(const BundleSpec& spec,
                              const std::map<std::string, std::string>& metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    absl::StrAppend(&json, "\"", kMetadataKey, "\":{");
    for (const auto& [key, value] : metadata) {
      if (json.back() != '{') json += ',';
      AppendJsonString(key, json);
      json += ':';
      AppendJsonString(value, json);
    }
    json += '}';
  }
  uint64_t offset = 0;
  for (const TensorSpec& tensor : spec) {
    GANNET_CHECK(tensor.name != kMetadataKey);
    uint64_t size = 0;
    GANNET_CHECK(ComputeDataBytes(tensor, size));
    if (json.size() > 1) json += ',';
    AppendJsonString(tensor.name, json);
    absl::StrAppend(&json, ":{\"dtype\":\"", DtypeText(tensor.dtype), "\",\"shape\":[",
                    absl::StrJoin(tensor.shape, ","), "],\"data_offsets\":[", offset, ",",
                    offset + size, "]}");
    offset += size;
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');
  const uint64_t header_bytes = json.size();
  json.insert(0, reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes);
  return json;
}

std::string EncodeSafetensors(const TensorBundle& bundle,
                              const std::map<std::string, std::string>& metadata) {
  BundleSpec spec;
  size_t data_bytes = 0;
  for (const Tensor& tensor : bundle.tensors()) {
    spec.push_back(tensor.spec);
    data_bytes += tensor.bytes.size();
  }
  const std::string header = SafetensorsHeader(spec, metadata);
  std::string out;
  out.reserve(header.size() + data_bytes);
  out += header;
  for (const Tensor& tensor : bundle.tensors()) out += tensor.bytes;
  return out;
}

absl::StatusOr<std::string> EncodeSafetensorsFile(
    const TensorBundle& bundle, const std::map<std::string, std::string>& metadata) {
  std::string bytes = EncodeSafetensors(bundle, metadata);
  GANNET_RETURN_IF_ERROR(CheckSafetensorsHeaderSize(bytes));
  return bytes;
}

absl::Status CheckSafetensorsHeaderSize(absl::string_view bytes) {
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes <= kMaxSafetensorsHeaderBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("names and metadata are too long for a safetensors file, at most ",
                   kMaxSafetensorsHeaderBytes, " bytes can be read again, got ", header_bytes));
}

namespace {

absl::StatusOr<std::vector<TensorView>> Parse(absl::string_view bytes, HeaderReader& reader) {
  GANNET_ASSIGN_OR_RETURN(const absl::string_view data, ReadHeader(bytes, reader));
  std::vector<HeaderEntry>& entries = reader.entries();
  std::stable_sort(entries.begin(), entries.end(), [](const HeaderEntry& a, const HeaderEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::vector<TensorView> views;
  views.reserve(entries.size());
  uint64_t position = 0;
  for (HeaderEntry& entry : entries) {
    const std::string name = ShowName(entry.spec.name);
    uint64_t size = 0;
    if (!ComputeDataBytes(entry.spec, size)) {
      return Invalid(absl::StrCat("the size of tensor ", name, " overflows"));
    }
    if (entry.end < entry.begin || entry.end - entry.begin != size) {
      return Invalid(absl::StrCat("the offsets of tensor ", name,
                                  " do not fit its shape: expected ", size, " bytes, got [",
                                  entry.begin, ",", entry.end, "]"));
    }
    if (entry.begin < position) {
      return Invalid(absl::StrCat("tensor ", name, " overlaps the one before it: expected offset ",
                                  position, ", got ", entry.begin));
    }
    if (entry.begin > position) {
      return Invalid(absl::StrCat("hole before tensor ", name, ": expected offset ", position,
                                  ", got ", entry.begin));
    }
    if (entry.end > data.size()) {
      return Invalid(absl::StrCat("truncated in tensor ", name, ": expected at least ", entry.end,
                                  " bytes of data, got ", data.size()));
    }
    views.push_back({std::move(entry.spec), data.substr(entry.begin, size), entry.is_bfloat16});
    position = entry.end;
  }
  if (position != data.size()) {
    return Invalid(absl::StrCat("surplus bytes behind the last tensor: expected ", position,
                                " bytes of data, got ", data.size()));
  }
  return views;
}

}  // namespace

absl::StatusOr<std::vector<TensorView>> ParseSafetensors(absl::string_view bytes) {
  HeaderReader reader(/*takes_bfloat16=*/false);
  return Parse(bytes, reader);
}

absl::StatusOr<std::vector<TensorView>> ParseForeignSafetensors(absl::string_view bytes) {
  HeaderReader reader(/*takes_bfloat16=*/true);
  return Parse(bytes, reader);
}

absl::StatusOr<TensorBundle> DecodeSafetensors(absl::string_view bytes) {
  GANNET_ASSIGN_OR_RETURN(std::vector<TensorView> views, ParseSafetensors(bytes));
  TensorBundle bundle;
  // Names are known to differ, so TensorBundle::Add and its search are not needed.
  bundle.mutable_tensors().reserve(views.size());
  for (TensorView& view : views) {
    bundle.mutable_tensors().push_back({std::move(view.spec), std::string(view.bytes)});
  }
  return bundle;
}

absl::StatusOr<std::map<std::string, std::string>> ReadSafetensorsMetadata(
    absl::string_view bytes) {
  HeaderReader reader(/*takes_bfloat16=*/true);
  GANNET_RETURN_IF_ERROR(Parse(bytes, reader).status());
  return std::move(reader.metadata());
}

}  // namespace gannet::tensor
