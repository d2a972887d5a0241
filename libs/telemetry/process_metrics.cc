#include "libs/telemetry/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_format.h"

namespace gannet::telemetry {
namespace {

void Add(std::string& text, const char* name, const char* type, const char* help, double value) {
  // StrCat would give six digits of it, too few for a time since 1970.
  absl::StrAppendFormat(&text, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type,
                        name, value);
}

// Number `field` of /proc/self/stat, counted from 1 as in proc(5); -1 when it cannot be read.
double StatField(int field) {
  std::ifstream in("/proc/self/stat");
  const std::string line(std::istreambuf_iterator<char>(in), {});
  // The second field is the name in brackets and may hold anything.
  const size_t end_of_name = line.rfind(')');
  if (end_of_name == std::string::npos) return -1;
  std::istringstream rest(line.substr(end_of_name + 1));
  const std::vector<std::string> fields(std::istream_iterator<std::string>(rest), {});
  const size_t index = static_cast<size_t>(field) - 3;
  return index < fields.size() ? std::stod(fields[index]) : -1;
}

// When the machine started, in seconds since 1970; -1 when it cannot be read.
double BootTime() {
  std::ifstream in("/proc/stat");
  std::string word;
  double seconds = -1;
  while (in >> word) {
    if (word == "btime" && in >> seconds) return seconds;
  }
  return -1;
}

// When this process started, in seconds since 1970; -1 when it cannot be read.
double StartTime() {
  constexpr int kStartTime = 22;
  const double ticks = StatField(kStartTime);
  const double boot = BootTime();
  if (ticks < 0 || boot < 0) return -1;
  return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

std::string RenderProcessMetrics() {
  std::string text;
  rusage usage = {};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    Add(text, "process_cpu_seconds_total", "counter",
        "Total user and system CPU time spent in seconds.",
        seconds(usage.ru_utime) + seconds(usage.ru_stime));
  }
  constexpr int kResidentPages = 24;
  if (const double pages = StatField(kResidentPages); pages >= 0) {
    Add(text, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.",
        pages * static_cast<double>(sysconf(_SC_PAGESIZE)));
  }
  // Read once: the machine's own start moves when its clock is set.
  static const double start = StartTime();
  if (start >= 0) {
    Add(text, "process_start_time_seconds", "gauge",
        "Start time of the process since unix epoch in seconds.", start);
  }
  std::error_code error;
  std::filesystem::directory_iterator descriptors("/proc/self/fd", error);
  if (!error) {
    // One of them is that of the iterator itself.
    Add(text, "process_open_fds", "gauge", "Number of open file descriptors.",
        static_cast<double>(std::distance(begin(descriptors), end(descriptors))) - 1);
  }
  return text;
}

}  // namespace gannet::telemetry
