#include "libs/base/standard_output.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace gannet::base {

void HoldStandardFiles() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // For the direction nobody will ask for: reading stdin and writing the others still fail. The
    // lowest free descriptor is this one.
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

int FinishStandardOutput(absl::string_view program, int exit_code) {
  errno = 0;
  std::cout.flush();
  const bool flushed = std::fflush(stdout) == 0;
  int error = flushed ? 0 : errno;
  if (flushed && std::cout.good() && std::ferror(stdout) == 0) return exit_code;
  // The library forgets why an earlier part was refused, so one byte is tried again.
  if (error == 0 && write(STDOUT_FILENO, "\n", 1) < 0) error = errno;
  if (error != EPIPE) {
    std::cerr << program << ": standard output cannot be written" << (error == 0 ? "" : ": ")
              << (error == 0 ? "" : std::strerror(error))
              << "\nWhat was printed is not complete.\n";
  }
  return exit_code == 0 ? 1 : exit_code;
}

}  // namespace gannet::base
