#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gannet::base {

enum class Durability {
  kQuick,   // a power cut may leave the old file
  kSynced,  // it is on the disk when the call returns
};

// What may be written to.
enum class FileKinds {
  kAny,          // also a pipe that somebody reads, and a character device (/dev/stdout)
  kRegularOnly,  // for what is not written from front to back
};

// A file that is replaced as a whole: readers see the old one or the new one, and when it cannot be
// written (a full disk), or the process is killed, the old one stays and nothing else is left.
//
// Only a regular file is replaced. A link stays, and what it names is replaced, with the
// permissions it had. A pipe or a character device is written to as it is. Everything else is
// refused before anything is computed: folders, sockets, disks (a picture in the place of a file
// system is never meant).
//
//   GANNET_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Open(path));
//   GANNET_RETURN_IF_ERROR(file.Append(bytes));
//   return file.Commit();
//
// Thread safety: none.
// Errors of every call: UNAVAILABLE - with the system's reason, and the file.
class AtomicFile {
 public:
  // Also returns: FAILED_PRECONDITION - what is there is of a kind that is not replaced.
  static absl::StatusOr<AtomicFile> Open(const std::string& path,
                                         FileKinds kinds = FileKinds::kAny);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  // Without a Commit nothing has happened (to a regular file).
  ~AtomicFile();

  absl::Status Append(absl::string_view bytes);

  // Only for FileKinds::kRegularOnly: `at` bytes behind the beginning.
  absl::Status WriteAt(absl::string_view bytes, int64_t at);

  // The last call.
  absl::Status Commit(Durability durability = Durability::kQuick);

 private:
  struct State;
  explicit AtomicFile(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

// The same for bytes that are all there. Returns: as AtomicFile.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes,
                                 Durability durability = Durability::kQuick);

}  // namespace gannet::base
