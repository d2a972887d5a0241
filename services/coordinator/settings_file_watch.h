#pragma once

#include <string>

namespace gannet::coordinator {

// Notices that the file of settings is not any more what was read at the start: whoever edits it
// while the service runs would otherwise wait for an effect that never comes.
//
// Thread safety: none.
class SettingsFileWatch {
 public:
  // Takes the file as it is now. An empty path is never changed.
  explicit SettingsFileWatch(std::string path);

  // Whether the file has other content than at the start or at the last change. One that cannot be
  // read just now (an editor replaces it) is not a change.
  bool Changed();

 private:
  const std::string path_;
  std::string sha256_;  // of what was seen last; empty: it could not be read
};

}  // namespace gannet::coordinator
