#include "libs/telemetry/process_metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::telemetry {
namespace {

std::map<std::string, double> Values() {
  std::map<std::string, double> values;
  for (const absl::string_view line : absl::StrSplit(RenderProcessMetrics(), '\n')) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    EXPECT_EQ(words.size(), 2u) << line;
    EXPECT_TRUE(absl::SimpleAtod(words[1], &values[words[0]])) << line;
  }
  return values;
}

TEST(ProcessMetricsTest, TellsOfMemoryStartAndFiles) {
  const std::map<std::string, double> before = Values();
  std::vector<char> memory(64 << 20, 'x');
  const int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const std::map<std::string, double> after = Values();
  close(descriptor);

  EXPECT_GT(after.at("process_resident_memory_bytes"),
            before.at("process_resident_memory_bytes") + (32 << 20));
  EXPECT_EQ(after.at("process_open_fds"), before.at("process_open_fds") + 1);
  EXPECT_EQ(after.at("process_start_time_seconds"), before.at("process_start_time_seconds"));
  const double now = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  EXPECT_NEAR(after.at("process_start_time_seconds"), now, 3600);
  EXPECT_GE(after.at("process_cpu_seconds_total"), before.at("process_cpu_seconds_total"));
  EXPECT_EQ(memory.back(), 'x');
}

}  // namespace
}  // namespace gannet::telemetry
