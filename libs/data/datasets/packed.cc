#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/atomic_file.h"
#include "libs/base/clock.h"
#include "libs/base/hex.h"
#include "libs/base/printable.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/data/content_digest.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/image_request.h"
#include "libs/data/packed_dataset.h"
#include "nlohmann/json.hpp"

namespace gannet::data {
namespace {

constexpr absl::string_view kMagic = "GANNETPK";
constexpr size_t kHeaderBytes = 4096;
constexpr size_t kJsonStart = 12;
constexpr int kVersion = 1;
constexpr size_t kPartBytes = size_t{1} << 20;
constexpr size_t kMaxDescriptionChars = 300;
constexpr size_t kMaxTextBytes = 1000;
constexpr int64_t kMaxImages = int64_t{1} << 31;

struct Header {
  int image_size = 0;
  DatasetFingerprint fingerprint;
  std::vector<std::string> label_bits;
  bool has_labels = false;
  std::string sha256;  // of the body, hexadecimal

  int64_t image_bytes() const { return int64_t{3} * image_size * image_size; }
  int64_t labels_at() const {
    return static_cast<int64_t>(kHeaderBytes) + fingerprint.image_count * image_bytes();
  }
  int64_t file_bytes() const {
    return labels_at() + (has_labels ? int64_t{8} * fingerprint.image_count : 0);
  }
};

class File {
 public:
  File(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  // DATA_LOSS - it ends before.
  absl::Status ReadAt(absl::Span<uint8_t> out, int64_t at) const {
    while (!out.empty()) {
      const ssize_t count = pread(fd_, out.data(), out.size(), at);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) {
        return absl::DataLossError(
            absl::StrCat("packed data set cannot be read: ", std::strerror(errno), ": ", path_));
      }
      if (count == 0) {
        return absl::DataLossError(absl::StrCat("packed data set is cut short: ", path_));
      }
      out.remove_prefix(static_cast<size_t>(count));
      at += count;
    }
    return absl::OkStatus();
  }

 private:
  const int fd_;
  const std::string path_;
};

absl::StatusOr<std::string> EncodeHeader(const Header& header) {
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  json["image_size"] = header.image_size;
  json["kind"] = header.fingerprint.kind;
  json["image_count"] = header.fingerprint.image_count;
  json["digest"] = header.fingerprint.digest;
  json["former_digest"] = header.fingerprint.former_digest;
  json["description"] = base::Printable(header.fingerprint.description, kMaxDescriptionChars);
  json["has_labels"] = header.has_labels;
  json["label_bits"] = header.label_bits;
  json["sha256"] = header.sha256;
  const std::string text = json.dump();
  if (text.size() > kHeaderBytes - kJsonStart) {
    return absl::FailedPreconditionError("names of the labels are too long to be packed");
  }
  std::string bytes(kMagic);
  for (int shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<char>(text.size() >> shift & 0xff));
  }
  bytes += text;
  bytes.resize(kHeaderBytes, '\0');
  return bytes;
}

absl::Status NotPacked(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(
      "not a data set that `gannet data pack` made, or a damaged one (", why, "): ", path));
}

// A member of that type; false when there is none.
template <typename T>
bool Take(const nlohmann::json& json, const char* key, T& value) {
  const auto found = json.find(key);
  if (found == json.end()) return false;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return false;
    value = found->template get<std::string>();
    return value.size() <= kMaxTextBytes;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (!found->is_boolean()) return false;
    value = found->template get<bool>();
    return true;
  } else {
    if (!found->is_number_integer()) return false;
    const int64_t number = found->template get<int64_t>();
    value = static_cast<T>(number);
    return static_cast<int64_t>(value) == number;
  }
}

absl::StatusOr<Header> ReadHeader(const File& file, const std::string& path) {
  std::vector<uint8_t> bytes(kHeaderBytes);
  if (!file.ReadAt(absl::MakeSpan(bytes), 0).ok()) return NotPacked(path, "too short");
  const absl::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, kMagic.size()) != kMagic) return NotPacked(path, "other first bytes");
  size_t length = 0;
  for (size_t i = 0; i < 4; ++i) length |= size_t{bytes[kMagic.size() + i]} << (8 * i);
  if (length > kHeaderBytes - kJsonStart) return NotPacked(path, "header too long");
  const nlohmann::json json =
      nlohmann::json::parse(text.substr(kJsonStart, length), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return NotPacked(path, "header is no JSON");
  int version = 0;
  if (!Take(json, "version", version)) return NotPacked(path, "no version");
  if (version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("packed data set of another version, pack it again: expected ", kVersion,
                     ", got ", version, ": ", path));
  }
  Header header;
  DatasetFingerprint& fingerprint = header.fingerprint;
  const bool complete =
      Take(json, "image_size", header.image_size) && Take(json, "kind", fingerprint.kind) &&
      Take(json, "image_count", fingerprint.image_count) &&
      Take(json, "digest", fingerprint.digest) &&
      Take(json, "description", fingerprint.description) &&
      Take(json, "has_labels", header.has_labels) && Take(json, "sha256", header.sha256);
  if (!complete) return NotPacked(path, "header without a part");
  if (header.image_size < kMinDatasetImageSize || header.image_size > kMaxDatasetImageSize ||
      fingerprint.image_count < 1 || fingerprint.image_count > kMaxImages ||
      !base::IsHex(fingerprint.digest, 64)) {
    return NotPacked(path, "impossible numbers");
  }
  // Packed when the digest of a folder or archive was one of names and sizes.
  if (!Take(json, "former_digest", fingerprint.former_digest) && HasImageFiles(fingerprint.kind)) {
    fingerprint.former_digest = fingerprint.digest;
    absl::StrAppend(&fingerprint.description,
                    " (packed by a version that did not compare content: pack it again)");
  }
  const auto bits = json.find("label_bits");
  if (bits == json.end() || !bits->is_array()) return NotPacked(path, "header without a part");
  for (const nlohmann::json& bit : *bits) {
    if (!bit.is_string()) return NotPacked(path, "label bits without names");
    header.label_bits.push_back(bit.get<std::string>());
  }
  const off_t size = lseek(file.fd(), 0, SEEK_END);
  if (size != header.file_bytes()) {
    return NotPacked(path, absl::StrCat("expected ", header.file_bytes(), " bytes, got ", size));
  }
  return header;
}

class PackedDataset final : public Dataset {
 public:
  PackedDataset(std::unique_ptr<File> file, Header header, std::vector<int64_t> labels)
      : file_(std::move(file)), header_(std::move(header)), labels_(std::move(labels)) {}

  int64_t size() const override { return header_.fingerprint.image_count; }
  const DatasetFingerprint& fingerprint() const override { return header_.fingerprint; }
  std::string NameOf(int64_t index) const override { return absl::StrCat("image ", index); }
  bool has_labels() const override { return header_.has_labels; }
  std::vector<std::string> label_bits() const override { return header_.label_bits; }
  bool is_decoded() const override { return true; }

  int64_t LabelOf(int64_t index) const override {
    if (index < 0 || static_cast<size_t>(index) >= labels_.size()) return 0;
    return labels_[static_cast<size_t>(index)];
  }

  absl::Status ReadRgb(int64_t index, absl::Span<uint8_t> out) const override {
    GANNET_RETURN_IF_ERROR(CheckImageRequest(index, size(), header_.image_size, out.size()));
    return file_->ReadAt(out, static_cast<int64_t>(kHeaderBytes) + index * header_.image_bytes());
  }

 private:
  const std::unique_ptr<File> file_;
  const Header header_;
  const std::vector<int64_t> labels_;
};

// Raw SHA-256 of all that follows the header.
absl::StatusOr<std::string> HashBody(const File& file, const Header& header) {
  base::Sha256Hasher hasher;
  std::vector<uint8_t> part;
  for (int64_t at = kHeaderBytes; at < header.file_bytes();) {
    part.resize(static_cast<size_t>(
        std::min<int64_t>(static_cast<int64_t>(kPartBytes), header.file_bytes() - at)));
    GANNET_RETURN_IF_ERROR(file.ReadAt(absl::MakeSpan(part), at));
    hasher.Update({reinterpret_cast<const char*>(part.data()), part.size()});
    at += static_cast<int64_t>(part.size());
  }
  return hasher.Finish();
}

constexpr absl::string_view kDamaged =
    "packed data set is damaged, its checksum differs: pack or copy it again: ";

// Whether the images are those that the fingerprint in the header speaks of. Read once, like the
// files of a folder.
absl::Status CheckBody(const DatasetOptions& options, const File& file, const Header& header) {
  absl::StatusOr<FileIdentity> identity = IdentifyFile(options.path);
  if (!identity.ok()) return absl::FailedPreconditionError(identity.status().message());
  std::error_code error;
  const std::filesystem::path canonical = std::filesystem::canonical(options.path, error);
  base::RealClock clock;
  const ContentDigests digests = DigestContents(
      {{.name = header.sha256, .identity = *identity}},
      [&](size_t) { return HashBody(file, header); },
      {.cache_folder = DefaultCacheFolder(),
       .cache_key = absl::StrCat("packed\n", error ? options.path : canonical.string()),
       .now = clock.Now(),
       .progress = options.on_reading});
  if (base::HexEncode(digests.sha256[0]) == header.sha256) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(kDamaged, options.path));
}

absl::StatusOr<std::unique_ptr<File>> OpenForReading(const std::string& path) {
  auto file = std::make_unique<File>(open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  if (!file->is_open()) {
    const std::string message =
        absl::StrCat("packed data set cannot be opened: ", std::strerror(errno), ": ", path);
    return errno == ENOENT ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
  }
  return file;
}

}  // namespace

absl::Status WritePackedDataset(const Dataset& dataset, int image_size, const std::string& path,
                                const std::function<void(int64_t done)>& progress) {
  GANNET_ASSIGN_OR_RETURN(base::AtomicFile file,
                          base::AtomicFile::Open(path, base::FileKinds::kRegularOnly));
  Header header;
  header.image_size = image_size;
  header.fingerprint = dataset.fingerprint();
  header.label_bits = dataset.label_bits();
  header.has_labels = dataset.has_labels();

  base::Sha256Hasher hasher;
  int64_t at = kHeaderBytes;
  std::string part;
  const auto flush = [&]() -> absl::Status {
    hasher.Update(part);
    GANNET_RETURN_IF_ERROR(file.WriteAt(part, at));
    at += static_cast<int64_t>(part.size());
    part.clear();
    return absl::OkStatus();
  };
  std::vector<uint8_t> image(static_cast<size_t>(header.image_bytes()));
  for (int64_t i = 0; i < dataset.size(); ++i) {
    GANNET_RETURN_IF_ERROR(dataset.ReadRgb(i, absl::MakeSpan(image)));
    part.append(reinterpret_cast<const char*>(image.data()), image.size());
    if (part.size() < kPartBytes && i + 1 < dataset.size()) continue;
    GANNET_RETURN_IF_ERROR(flush());
    if (progress) progress(i + 1);
  }
  for (int64_t i = 0; header.has_labels && i < dataset.size(); ++i) {
    const int64_t label = dataset.LabelOf(i);
    part.append(reinterpret_cast<const char*>(&label), sizeof label);
  }
  GANNET_RETURN_IF_ERROR(flush());
  header.sha256 = base::HexEncode(hasher.Finish());
  GANNET_ASSIGN_OR_RETURN(const std::string head, EncodeHeader(header));
  GANNET_RETURN_IF_ERROR(file.WriteAt(head, 0));
  return file.Commit(base::Durability::kSynced);
}

namespace {

absl::StatusOr<std::unique_ptr<Dataset>> Open(const DatasetOptions& options) {
  GANNET_ASSIGN_OR_RETURN(std::unique_ptr<File> file, OpenForReading(options.path));
  GANNET_ASSIGN_OR_RETURN(Header header, ReadHeader(*file, options.path));
  if (header.image_size != options.image_size) {
    return absl::FailedPreconditionError(
        absl::StrCat("data set was packed for images of ", header.image_size, " pixels, ",
                     options.image_size, " are asked for: pack it again with --model.image_size ",
                     options.image_size, ": ", options.path));
  }
  GANNET_RETURN_IF_ERROR(CheckBody(options, *file, header));
  std::vector<int64_t> labels(
      header.has_labels ? static_cast<size_t>(header.fingerprint.image_count) : 0);
  GANNET_RETURN_IF_ERROR(
      file->ReadAt(absl::MakeSpan(reinterpret_cast<uint8_t*>(labels.data()), 8 * labels.size()),
                   header.labels_at()));
  return std::make_unique<PackedDataset>(std::move(file), std::move(header), std::move(labels));
}

// Reads the whole file, also when it was read before.
absl::Status Verify(const DatasetOptions& options) {
  GANNET_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, OpenForReading(options.path));
  GANNET_ASSIGN_OR_RETURN(const Header header, ReadHeader(*file, options.path));
  GANNET_ASSIGN_OR_RETURN(const std::string sha256, HashBody(*file, header));
  if (base::HexEncode(sha256) == header.sha256) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(kDamaged, options.path));
}

}  // namespace

// A file of decoded images that WritePackedDataset made of any of the other kinds. The checksum is
// compared when the file is opened for the first time, and when it has changed since; another
// image_size than it was packed at is FAILED_PRECONDITION. Labels, digest and even the name of the
// kind in its fingerprint are those of what was packed.
const DatasetKind datasets::packed = {.open = Open, .verify = Verify};

}  // namespace gannet::data
