#include "libs/data/content_digest.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/atomic_file.h"
#include "libs/base/file_bytes.h"
#include "libs/base/sha256.h"

namespace gannet::data {
namespace {

constexpr absl::string_view kMagic = "gannet content digests 1\n";
constexpr size_t kSha256Bytes = 32;
// A name, its length and the five numbers of its identity for each of some millions of images.
constexpr int64_t kMaxCacheBytes = int64_t{1} << 30;
// Coarser clocks of file systems (FAT) count in steps of two seconds.
constexpr int64_t kYoungNs = 3'000'000'000;
constexpr int kMaxThreads = 8;

struct Known {
  FileIdentity identity;
  std::string sha256;
};
using KnownByName = std::unordered_map<std::string, Known>;

void Append64(std::string& out, uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

// Takes numbers and texts off the front; after the first that is not there, nothing is.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}

  uint64_t Number() {
    const absl::string_view part = Text(8);
    uint64_t value = 0;
    for (size_t i = part.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(part[i]);
    return value;
  }

  absl::string_view Text(uint64_t length) {
    if (!ok_ || length > bytes_.size()) {
      ok_ = false;
      return {};
    }
    const absl::string_view text = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return text;
  }

  bool ok() const { return ok_; }
  bool at_end() const { return bytes_.empty(); }

 private:
  absl::string_view bytes_;
  bool ok_ = true;
};

std::string CachePath(const DigestOptions& options) {
  return absl::StrCat(options.cache_folder, "/", base::Sha256Hex(options.cache_key).substr(0, 32),
                      ".digests");
}

// Magic, entries, and the SHA-256 of both.
std::string EncodeCache(const KnownByName& known) {
  std::string bytes(kMagic);
  for (const auto& [name, entry] : known) {
    Append64(bytes, name.size());
    bytes += name;
    for (const uint64_t number : {static_cast<uint64_t>(entry.identity.bytes),
                                  static_cast<uint64_t>(entry.identity.modified_ns),
                                  static_cast<uint64_t>(entry.identity.noted_ns),
                                  entry.identity.device, entry.identity.inode}) {
      Append64(bytes, number);
    }
    bytes += entry.sha256;
  }
  bytes += base::Sha256(bytes);
  return bytes;
}

KnownByName ReadCache(const DigestOptions& options) {
  if (options.cache_folder.empty()) return {};
  const absl::StatusOr<std::string> file = base::ReadFileBytes(CachePath(options), kMaxCacheBytes);
  if (!file.ok() || file->size() < kMagic.size() + kSha256Bytes) return {};
  const absl::string_view all = *file;
  const absl::string_view body = all.substr(0, all.size() - kSha256Bytes);
  if (all.substr(body.size()) != base::Sha256(body) || body.substr(0, kMagic.size()) != kMagic)
    return {};
  KnownByName known;
  Reader reader(body.substr(kMagic.size()));
  while (reader.ok() && !reader.at_end()) {
    const std::string name(reader.Text(reader.Number()));
    Known entry;
    entry.identity.bytes = static_cast<int64_t>(reader.Number());
    entry.identity.modified_ns = static_cast<int64_t>(reader.Number());
    entry.identity.noted_ns = static_cast<int64_t>(reader.Number());
    entry.identity.device = reader.Number();
    entry.identity.inode = reader.Number();
    entry.sha256 = std::string(reader.Text(kSha256Bytes));
    if (reader.ok()) known[name] = std::move(entry);
  }
  return reader.ok() ? known : KnownByName();
}

void WriteCache(const DigestOptions& options, const KnownByName& known) {
  std::error_code error;
  // Names of images are nobody else's business.
  if (std::filesystem::create_directories(options.cache_folder, error)) {
    std::filesystem::permissions(options.cache_folder, std::filesystem::perms::owner_all, error);
  }
  // Without it the next start reads everything again, which is no reason to fail.
  base::WriteFileAtomically(CachePath(options), EncodeCache(known)).IgnoreError();
}

bool IsYoung(const FileIdentity& identity, absl::Time now) {
  const int64_t now_ns = absl::ToUnixNanos(now);
  return std::max(identity.modified_ns, identity.noted_ns) > now_ns - kYoungNs;
}

int64_t Nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

absl::StatusOr<FileIdentity> IdentifyFile(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    const int reason = errno;
    return reason == ENOENT ? absl::NotFoundError("no such file")
                            : absl::DataLossError(std::strerror(reason));
  }
  return FileIdentity{.bytes = info.st_size,
                      .modified_ns = Nanoseconds(info.st_mtim),
                      .noted_ns = Nanoseconds(info.st_ctim),
                      .device = info.st_dev,
                      .inode = info.st_ino};
}

ContentDigests DigestContents(absl::Span<const DigestItem> items,
                              const std::function<absl::StatusOr<std::string>(size_t)>& hash,
                              const DigestOptions& options) {
  ContentDigests digests;
  digests.sha256.resize(items.size());
  KnownByName known = ReadCache(options);
  std::vector<size_t> unknown;
  int64_t total_bytes = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    const auto found = known.find(items[i].name);
    if (found != known.end() && found->second.identity == items[i].identity) {
      digests.sha256[i] = found->second.sha256;
    } else {
      unknown.push_back(i);
      total_bytes += items[i].identity.bytes;
    }
  }
  digests.read_count = static_cast<int64_t>(unknown.size());

  std::atomic<size_t> next = 0;
  std::atomic<int64_t> done_bytes = 0;
  const auto work = [&](bool reports) {
    int64_t shown_percent = -1;
    for (size_t k = next++; k < unknown.size(); k = next++) {
      const size_t i = unknown[k];
      absl::StatusOr<std::string> sha256 = hash(i);
      if (sha256.ok()) digests.sha256[i] = *std::move(sha256);
      done_bytes += items[i].identity.bytes;
      if (!reports || !options.progress || total_bytes == 0) continue;
      const int64_t percent =
          100 * (done_bytes.load() / 1024) / std::max<int64_t>(1, total_bytes / 1024);
      if (percent == shown_percent) continue;
      shown_percent = percent;
      options.progress(done_bytes.load(), total_bytes);
    }
  };
  const auto thread_count = static_cast<size_t>(
      std::clamp<int64_t>(options.thread_count, 1, std::max<int64_t>(1, digests.read_count)));
  std::vector<std::thread> others;
  for (size_t t = 1; t < thread_count; ++t) others.emplace_back(work, false);
  work(true);
  for (std::thread& thread : others) thread.join();
  if (options.progress && !unknown.empty()) options.progress(total_bytes, total_bytes);

  KnownByName keep;
  for (size_t i = 0; i < items.size(); ++i) {
    if (digests.sha256[i].empty()) {
      ++digests.unreadable_count;
    } else if (!IsYoung(items[i].identity, options.now)) {
      keep[items[i].name] = {items[i].identity, digests.sha256[i]};
    }
  }
  // What is gone, or too young to be trusted, is dropped with the next writing.
  if (!options.cache_folder.empty() && !unknown.empty() && !keep.empty()) WriteCache(options, keep);
  return digests;
}

std::string DefaultCacheFolder() {
  // An empty or relative one is to be ignored, says the XDG base directory specification.
  for (const auto& [variable, below] :
       {std::pair{"XDG_CACHE_HOME", "/gannet"}, std::pair{"HOME", "/.cache/gannet"}}) {
    const char* value = std::getenv(variable);
    if (value != nullptr && value[0] == '/') return absl::StrCat(value, below);
  }
  return "";
}

int DigestThreadCount() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
}

}  // namespace gannet::data
