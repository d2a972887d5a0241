#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/data/content_digest.h"
#include "libs/data/dataset_check.h"
#include "libs/data/passed_over.h"

namespace gannet::data {

// Encoded images (JPEG, PNG files) that can be read by number.
//
// Thread safety: all methods may be called from any thread.
class ImageSource {
 public:
  struct Entry {
    std::string name;  // relative path, `/` between folders, in one form of Unicode
    std::string path;  // the same in the bytes that the folder or archive has
    int64_t bytes = 0;
    uint32_t crc32 = 0;     // zip only
    uint64_t position = 0;  // zip only: number of the entry in the archive
  };

  virtual ~ImageSource() = default;

  // In bytewise order of names; of names that differ in their form of Unicode only, in that of
  // paths. Nothing is in it twice.
  const std::vector<Entry>& entries() const { return entries_; }

  // Images that were found and are not in entries(), other than exclusions, in the same order.
  const std::vector<BadImage>& left_out() const { return left_out_; }

  // What somebody may have taken for a part of the data set and is none of it.
  std::vector<PassedOver> passed_over() const { return passed_over_.all(); }

  // The bytes of entries()[i].
  // Returns: DATA_LOSS - cannot be read, or changed since it was opened; the message does not name
  // the file, the caller does.
  virtual absl::StatusOr<std::string> Read(size_t i) const = 0;

  // What tells that the bytes of entries()[i] have not changed since (content_digest.h).
  // Returns: DATA_LOSS or NOT_FOUND - the file cannot be looked at any more.
  virtual absl::StatusOr<FileIdentity> Identify(size_t i) const = 0;

  // A file that is no image and belongs to the images, by its name without folders. In a folder it
  // is looked for there, and one of `above` also in the folder above and in either one's Anno/.
  // Returns: NOT_FOUND - there is none; DATA_LOSS - it cannot be read.
  struct SideFile {
    std::string folder;  // with a slash behind it; empty, or relative to the root of the images
    std::string bytes;
  };
  virtual absl::StatusOr<SideFile> ReadSideFile(const std::string& name, bool above) const = 0;

 protected:
  std::vector<Entry> entries_;
  std::vector<BadImage> left_out_;
  PassedOverCounts passed_over_;
};

// Larger than the list of attributes of any well-known collection.
inline constexpr int64_t kMaxSideFileBytes = int64_t{256} << 20;

}  // namespace gannet::data
