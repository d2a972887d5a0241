#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

namespace gannet::data {

// What tells, without reading it, that a file is still the one that was read before. A program may
// set the time of a change back, but not the time at which the file system noted that.
struct FileIdentity {
  int64_t bytes = 0;
  int64_t modified_ns = 0;  // since 1970
  int64_t noted_ns = 0;     // of the last change of content, name or rights (ctime)
  uint64_t device = 0;
  uint64_t inode = 0;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

// Of the file that `path` leads to.
// Returns: NOT_FOUND - no such file; DATA_LOSS - it cannot be looked at.
absl::StatusOr<FileIdentity> IdentifyFile(const std::string& path);

// Bytes that are to be hashed as one: a file, or an entry of an archive.
struct DigestItem {
  std::string name;       // differs from that of every other item
  FileIdentity identity;  // for an entry of an archive that of the archive, with the entry's size
};

struct DigestOptions {
  // Where the digests of earlier starts are kept, one file for each data set; empty: nowhere.
  std::string cache_folder;
  // Names the data set among others in that folder: its kind and canonical path.
  std::string cache_key;
  int thread_count = 1;
  absl::Time now;
  // May be empty. Called in the calling thread now and then, with the bytes that are read and those
  // that are to be read, cached ones left out.
  std::function<void(int64_t done_bytes, int64_t total_bytes)> progress;
};

struct ContentDigests {
  // Of each item the raw SHA-256 of its bytes; empty: they cannot be read.
  std::vector<std::string> sha256;
  int64_t read_count = 0;  // items that were not in the cache
  int64_t unreadable_count = 0;
};

// Finds the SHA-256 of every item, several at a time; `hash` reads the item of that index and gives
// the raw SHA-256 of its bytes, and is called from several threads. What the cache knows of an item
// with the same name and identity is taken from there. An item whose last change is so young that
// the clock of the file system could not tell another change from it is not kept.
//
// A cache that is damaged, or cannot be written, is no error: then everything is read.
ContentDigests DigestContents(absl::Span<const DigestItem> items,
                              const std::function<absl::StatusOr<std::string>(size_t)>& hash,
                              const DigestOptions& options);

// $XDG_CACHE_HOME/gannet, or ~/.cache/gannet; empty where neither variable is set.
std::string DefaultCacheFolder();

// How many threads hash at once on this machine.
int DigestThreadCount();

}  // namespace gannet::data
