#include "libs/base/testing/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

#include "gtest/gtest.h"
#include "libs/base/clock.h"

namespace gannet::base {
namespace {

constexpr int kCannotStart = 127;

// Pointers into `words`, as execve wants them.
std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Between fork and execve of a process with threads: system calls only.
[[noreturn]] void Become(char* const* argv, char* const* environment, const char* out,
                         const char* err, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // The parent may have ended before it could be named.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(kCannotStart);
  const int in_fd = open("/dev/null", O_RDONLY);
  const int out_fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  const int err_fd = open(err, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
  if (dup2(in_fd, STDIN_FILENO) < 0 || dup2(out_fd, STDOUT_FILENO) < 0 ||
      dup2(err_fd, STDERR_FILENO) < 0) {
    _exit(kCannotStart);
  }
  // Nothing of the test's, such as the pipe whose end tells the guard of its database to stop.
  if (close_range(STDERR_FILENO + 1, ~0U, 0) != 0) _exit(kCannotStart);
  execve(argv[0], argv, environment);
  _exit(kCannotStart);
}

}  // namespace

bool AwaitUntil(const std::function<bool()>& condition, absl::Duration limit) {
  RealClock clock;
  const absl::Duration start = clock.Steady();
  while (!condition()) {
    if (clock.Steady() - start > limit) return false;
    // Not a busy loop: the programs need the cores.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

std::string FileContents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

ChildProcess::ChildProcess(const ChildOptions& options)
    : name_(options.argv.at(0)), output_prefix_(options.output_prefix) {
  std::vector<std::string> argv = options.argv;
  std::vector<std::string> environment = options.environment;
  const std::vector<char*> argv_pointers = Pointers(argv);
  const std::vector<char*> environment_pointers = Pointers(environment);
  const std::string out = output_prefix_ + ".out";
  const std::string err = output_prefix_ + ".err";
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    Become(argv_pointers.data(), environment_pointers.data(), out.c_str(), err.c_str(), parent);
  }
  if (pid_ < 0) {
    ADD_FAILURE() << "fork: " << std::strerror(errno);
    exit_code_ = kCannotStart;
  }
}

ChildProcess::~ChildProcess() {
  if (running()) Kill();
}

void ChildProcess::Reap(int wait_flags) {
  if (exit_code_.has_value()) return;
  int status = 0;
  if (waitpid(pid_, &status, wait_flags) != pid_) return;
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  EXPECT_NE(*exit_code_, kCannotStart) << "cannot start " << name_;
}

bool ChildProcess::running() {
  Reap(WNOHANG);
  return !exit_code_.has_value();
}

void ChildProcess::Signal(int signal) {
  if (running()) kill(pid_, signal);
}

int ChildProcess::AwaitExit(absl::Duration limit) {
  if (!AwaitUntil([&] { return !running(); }, limit)) {
    ADD_FAILURE() << name_ << " does not end. Its log:\n" << err();
    Kill();
  }
  return *exit_code_;
}

int ChildProcess::Kill() {
  Signal(SIGKILL);
  Reap(0);
  return *exit_code_;
}

bool ChildProcess::AwaitError(const std::string& text, size_t from) {
  const auto written = [&] { return err().find(text, from) != std::string::npos; };
  // Its last words may come between two looks.
  const bool came = AwaitUntil([&] { return written() || !running(); }) && written();
  if (!came) {
    ADD_FAILURE() << name_ << (running() ? " does not say \"" : " has ended and never said \"")
                  << text << "\". Its log:\n"
                  << err();
  }
  return came;
}

}  // namespace gannet::base
