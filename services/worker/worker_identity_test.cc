#include "services/worker/worker_identity.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet {
namespace {

class WorkerIdentityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "gannet-identity-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(WorkerIdentityTest, TheSecondStartIsTheSameWorkerInANewIncarnation) {
  const std::string file = folder_ + "/new/worker.json";

  ASSERT_OK_AND_ASSIGN(OwnedIdentity first, OwnIdentity(file));
  first.lock.reset();
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity second, OwnIdentity(file));

  EXPECT_TRUE(IsHex(first.worker.id.value(), 32));
  EXPECT_TRUE(IsHex(first.worker.secret, 64));
  EXPECT_EQ(first.worker.id, second.worker.id);
  EXPECT_EQ(first.worker.secret, second.worker.secret);
  EXPECT_LT(first.worker.incarnation, second.worker.incarnation);
  EXPECT_GT(first.worker.incarnation.value(), 0);
}

TEST_F(WorkerIdentityTest, AnIdentityInUseIsRefused) {
  const std::string file = folder_ + "/worker.json";
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity first, OwnIdentity(file));

  EXPECT_THAT(OwnIdentity(file),
              StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr(file)));
}

TEST_F(WorkerIdentityTest, WorkersOfOneNameGetIdentitiesOfTheirOwn) {
  ASSERT_EQ(setenv("XDG_STATE_HOME", folder_.c_str(), 1), 0);

  ASSERT_OK_AND_ASSIGN(const OwnedIdentity first, OwnDefaultIdentity("lab/../pc"));
  ASSERT_OK_AND_ASSIGN(OwnedIdentity second, OwnDefaultIdentity("lab/../pc"));
  const WorkerId second_id = second.worker.id;
  second.lock.reset();
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity third, OwnDefaultIdentity("lab/../pc"));

  EXPECT_NE(first.worker.id, second_id);
  EXPECT_EQ(third.worker.id, second_id);
  EXPECT_EQ(first.state_file, folder_ + "/gannet/worker-lab____pc.json");
}

TEST_F(WorkerIdentityTest, OnlyTheOwnerCanReadTheSecret) {
  const std::string file = folder_ + "/worker.json";
  ASSERT_OK(OwnIdentity(file));

  struct stat info {};
  ASSERT_EQ(stat(file.c_str(), &info), 0);

  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(WorkerIdentityTest, AForeignFileIsRefusedAndKept) {
  const std::string file = folder_ + "/worker.json";
  std::ofstream(file) << "{\"worker_id\": \"short\"}";

  EXPECT_THAT(OwnIdentity(file),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr(file)));

  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(WorkerIdentityTest, AFolderThatIsAFileIsNamed) {
  std::ofstream(folder_ + "/occupied") << "x";

  EXPECT_THAT(OwnIdentity(folder_ + "/occupied/worker.json").status().message(),
              ::testing::HasSubstr("occupied"));
}

}  // namespace
}  // namespace gannet
