// Services that run for days keep their size.
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::e2e {
namespace {

int64_t ResidentKilobytes(const base::ChildProcess& program) {
  const std::string status = base::FileContents(absl::StrCat("/proc/", program.pid(), "/status"));
  int64_t kilobytes = 0;
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    if (!absl::ConsumePrefix(&line, "VmRSS:")) continue;
    absl::ConsumeSuffix(&line, "kB");
    EXPECT_TRUE(absl::SimpleAtoi(line, &kilobytes));
  }
  return kilobytes;
}

TEST(MemoryTest, ServicesKeepTheirSize) {
  E2eCluster cluster(ProgramSettings{{"run.rounds", "100000"}});
  const std::vector<base::ChildProcess*> programs = {
      &cluster.StartCoordinator(), &cluster.StartGateway(), &cluster.StartWorker("ada"),
      &cluster.StartDirectWorker("bob")};
  ASSERT_TRUE(cluster.AwaitRounds(150));
  std::vector<int64_t> before;
  before.reserve(programs.size());
  for (const base::ChildProcess* program : programs) before.push_back(ResidentKilobytes(*program));

  ASSERT_TRUE(cluster.AwaitRounds(600));

  for (size_t i = 0; i < programs.size(); ++i) {
    const int64_t now = ResidentKilobytes(*programs[i]);
    RecordProperty(absl::StrCat("program_", i, "_kb"), absl::StrCat(before[i], " -> ", now));
    EXPECT_GT(before[i], 0);
    // Two megabytes for buffers that grow once.
    EXPECT_LE(now, before[i] * 11 / 10 + 2000) << "program " << i << ", before " << before[i];
  }
}

}  // namespace
}  // namespace gannet::e2e
