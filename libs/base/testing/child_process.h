#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace gannet::base {

// How long a test waits for what must come: far more than it takes, so that only a hang meets it.
inline constexpr absl::Duration kTestPatience = absl::Minutes(2);

// Looks every few milliseconds until `condition` holds; false when it does not within `limit`.
bool AwaitUntil(const std::function<bool()>& condition, absl::Duration limit = kTestPatience);

// The bytes of a file; empty when there is none.
std::string FileContents(const std::string& path);

struct ChildOptions {
  std::vector<std::string> argv;         // the program's path first
  std::vector<std::string> environment;  // NAME=VALUE; nothing is inherited
  std::string output_prefix;             // stdout goes to PREFIX.out, stderr to PREFIX.err
};

// A program that a test runs, with its output in two files and nothing to read. Whatever becomes of
// the test, it does not outlive it: the destructor kills it, and so does the kernel when the thread
// that made this object ends.
//
//   ChildProcess worker({.argv = {path}, .environment = {}, .output_prefix = folder + "/worker"});
//   ASSERT_TRUE(worker.AwaitError("joined"));
//   worker.Signal(SIGINT);
//   EXPECT_EQ(worker.AwaitExit(), 0);
//
// Thread safety: none.
class ChildProcess {
 public:
  // Fails the test when the program cannot be started; then it has ended with code 127.
  explicit ChildProcess(const ChildOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool running();

  // Does nothing when it has ended.
  void Signal(int signal);

  // As a shell tells it: the exit code, or 128 + the signal that ended it. When it does not end
  // within `limit` the test fails, and the program is killed.
  int AwaitExit(absl::Duration limit = kTestPatience);
  int Kill();

  // Waits until stderr holds `text`, not looking at its first `from` bytes. When the program ends
  // without, or too much time passes, the test fails with what stderr does hold, and the result is
  // false.
  bool AwaitError(const std::string& text, size_t from = 0);

  std::string out() const { return FileContents(output_prefix_ + ".out"); }
  std::string err() const { return FileContents(output_prefix_ + ".err"); }

 private:
  void Reap(int wait_flags);

  const std::string name_;  // for messages
  const std::string output_prefix_;
  pid_t pid_ = -1;
  std::optional<int> exit_code_;
};

}  // namespace gannet::base
