#include "services/coordinator/history_file.h"

#include <fstream>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace gannet::coordinator {
namespace {

using ::testing::EndsWith;
using ::testing::StartsWith;

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

exchange::RoundSummary Summary(int64_t round) {
  exchange::RoundSummary summary;
  summary.round = base::Round(round);
  summary.epoch = 2;
  summary.gradient_count = 3;
  summary.image_count = 96;
  summary.discriminator_loss = 1.25;
  summary.generator_loss = 0.1;
  summary.real_accuracy = 0.5;
  summary.fake_accuracy = 1;
  summary.seconds = 0.25;
  return summary;
}

TEST(HistoryFileTest, HasAHeadingAndOneLineARound) {
  const std::string path = ::testing::TempDir() + "/history_lines.csv";
  HistoryFile history(path, telemetry::NullLogger());

  history.Begin();
  history.Append(Summary(1));
  history.Append(Summary(2));

  EXPECT_EQ(Contents(path),
            "round,epoch,gradients,images,discriminator_loss,generator_loss,real_accuracy,"
            "fake_accuracy,seconds\n"
            "1,2,3,96,1.25,0.1,0.5,1,0.2500\n"
            "2,2,3,96,1.25,0.1,0.5,1,0.2500\n");
}

TEST(HistoryFileTest, BeginsAnew) {
  const std::string path = ::testing::TempDir() + "/history_anew.csv";
  HistoryFile history(path, telemetry::NullLogger());
  history.Begin();
  history.Append(Summary(1));

  history.Begin();
  history.Append(Summary(7));

  EXPECT_THAT(Contents(path), StartsWith("round,"));
  EXPECT_THAT(Contents(path), EndsWith("seconds\n7,2,3,96,1.25,0.1,0.5,1,0.2500\n"));
}

TEST(HistoryFileTest, AFolderThatIsNotThereIsNoError) {
  HistoryFile history(::testing::TempDir() + "/not/there/metrics.csv", telemetry::NullLogger());

  history.Begin();
  history.Append(Summary(1));
}

}  // namespace
}  // namespace gannet::coordinator
