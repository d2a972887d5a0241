#pragma once

#include <string>

// Files that must not outlive the process: those under a temporary name, until they get their own.
namespace gannet::base {

// While it lives, the file of that name is removed when a signal ends the process. It need not
// exist yet, or any more. Beyond a few dozen at once a file is not taken down: then only its
// owner's destructor removes it.
//
// Thread safety: each object is of one thread; several may live at once.
class TemporaryName {
 public:
  explicit TemporaryName(std::string path);
  ~TemporaryName();
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
  int slot_ = -1;
};

// Removes every such file. Only for a process that ends at once: whoever wants a new temporary name
// afterwards waits for that end. May be called from a signal handler.
void RemoveTemporaryFiles();

// From here on SIGINT, SIGTERM, SIGHUP and SIGPIPE, unless they are ignored, remove the temporary
// files and end the process with 128 + their number, in silence. Programs with an orderly end of
// their own (ProcessSignals) block the first three.
void RemoveTemporaryFilesOnSignal();

}  // namespace gannet::base
