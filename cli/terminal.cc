#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

namespace gannet::cli {
namespace {

constexpr int kUsualWidth = 80;

}  // namespace

bool Confirm(const std::string& question) {
  if (isatty(STDIN_FILENO) == 0) return false;
  std::cout << question << std::flush;
  std::string answer;
  return std::getline(std::cin, answer) && answer == "yes";
}

std::ostream& ReportStream(const std::string& out) {
  struct stat standard = {};
  struct stat written = {};
  const bool same = fstat(STDOUT_FILENO, &standard) == 0 && stat(out.c_str(), &written) == 0 &&
                    standard.st_dev == written.st_dev && standard.st_ino == written.st_ino;
  return same ? std::cerr : std::cout;
}

std::optional<int> TerminalWidth() {
  const char* kind = getenv("TERM");
  if (isatty(STDOUT_FILENO) == 0 || kind == nullptr || std::string(kind) == "dumb") return {};
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualWidth;
  return size.ws_col;
}

}  // namespace gannet::cli
