#include "libs/base/failpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/mutex.h"

namespace gannet::base {

#ifdef GANNET_FAILPOINTS
namespace {

// One write, so that lines of several processes never mix.
void Note(const std::string& file, const std::string& name) {
  const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return;
  const std::string line = name + "\n";
  if (write(fd, line.data(), line.size()) < 0) std::abort();
  close(fd);
}

class Failpoints {
 public:
  Failpoints() {
    const char* setting = std::getenv("GANNET_FAILPOINTS");
    if (setting == nullptr) return;
    const std::vector<std::string> parts = absl::StrSplit(setting, ':');
    if (parts.size() != 3) return;
    file_ = parts[0];
    name_ = parts[1];
    // Not a number: the first pass.
    if (!absl::SimpleAtoi(parts[2], &passes_left_)) passes_left_ = 1;
  }

  void Pass(absl::string_view place, absl::string_view moment) {
    if (name_.empty() || absl::StrCat(place, ".", moment) != name_) return;
    MutexLock lock(mu_);
    if (--passes_left_ > 0) return;
    Note(file_, name_);
    kill(getpid(), SIGKILL);
  }

 private:
  std::string file_;
  std::string name_;  // empty: not armed
  Mutex mu_;
  int passes_left_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace

void Failpoint(absl::string_view place, absl::string_view moment) {
  static Failpoints& failpoints = *new Failpoints();
  failpoints.Pass(place, moment);
}
#else
void Failpoint(absl::string_view /*place*/, absl::string_view /*moment*/) {}
#endif

}  // namespace gannet::base
