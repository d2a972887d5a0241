#include "services/worker/spool.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/testing/test_values.h"

namespace gannet::worker {
namespace {

class SpoolTest : public ::testing::Test {
 protected:
  SpoolTest() {
    std::string name = ::testing::TempDir() + "/gannet_spool_XXXXXX";
    folder_ = mkdtemp(name.data());
    request_.run = base::RunId(3);
    request_.unit = base::UnitId(4);
    request_.attempt = base::Attempt(5);
    request_.stats.image_count = 6;
    request_.stats.micro_batch_count = 2;
    request_.stats.discriminator_loss = 0.1 + 0.2;
    request_.stats.compute_seconds = 1.0 / 3;
    request_.payload = exchange::TestGradient(exchange::TinyRunConfig("faces"), 0.25f);
  }
  ~SpoolTest() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return folder_ + "/worker.json.gradient"; }

  std::string folder_;
  exchange::SubmitRequest request_;
};

TEST_F(SpoolTest, ReadsBackWhatWasKeptToTheLastBit) {
  ASSERT_OK(Spool(path()).Write(request_));

  ASSERT_OK_AND_ASSIGN(const std::optional<exchange::SubmitRequest> back, Spool(path()).Load());

  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->run, request_.run);
  EXPECT_EQ(back->unit, request_.unit);
  EXPECT_EQ(back->attempt, request_.attempt);
  EXPECT_EQ(back->stats, request_.stats);
  EXPECT_EQ(back->payload.codec, request_.payload.codec);
  EXPECT_EQ(back->payload.sha256, request_.payload.sha256);
  EXPECT_EQ(*back->payload.bytes, *request_.payload.bytes);
}

TEST_F(SpoolTest, IsEmptyBeforeAndAfter) {
  const Spool spool(path());
  EXPECT_EQ(spool.Load()->has_value(), false);
  ASSERT_OK(spool.Write(request_));
  spool.Remove();
  EXPECT_EQ(spool.Load()->has_value(), false);
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(SpoolTest, WithoutAPathNothingIsKept) {
  const Spool spool("");
  EXPECT_OK(spool.Write(request_));
  EXPECT_EQ(spool.Load()->has_value(), false);
}

TEST_F(SpoolTest, DamageIsFound) {
  ASSERT_OK(Spool(path()).Write(request_));
  const std::string bytes = base::FileContents(path());
  std::string changed = bytes;
  changed.back() = static_cast<char>(changed.back() ^ 1);
  for (const std::string& damaged : {bytes.substr(0, 5), bytes.substr(0, 40),
                                     bytes.substr(0, bytes.size() - 1), changed, std::string()}) {
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << damaged;
    EXPECT_THAT(Spool(path()).Load(), base::StatusIs(absl::StatusCode::kDataLoss));
  }
}

TEST_F(SpoolTest, AFullDiskIsAnError) {
  EXPECT_THAT(Spool("/proc/nothing").Write(request_),
              base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gannet::worker
