#include "services/worker/worker_identity.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gtest/gtest.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::worker {
namespace {

class WorkerIdentityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "gannet-identity-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    ASSERT_EQ(setenv("XDG_STATE_HOME", folder_.c_str(), 1), 0);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Where identities are kept when no setting says so.
  std::string StateFolder() const { return folder_ + "/gannet"; }

  std::string folder_;
};

TEST_F(WorkerIdentityTest, TheSecondStartIsTheSameWorkerInANewIncarnation) {
  const std::string file = folder_ + "/new/worker.json";

  ASSERT_OK_AND_ASSIGN(OwnedIdentity first, OwnIdentity(file));
  first.lock.reset();
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity second, OwnIdentity(file));

  EXPECT_TRUE(base::IsHex(first.worker.id.value(), 32));
  EXPECT_TRUE(base::IsHex(first.worker.secret, 64));
  EXPECT_EQ(first.worker.id, second.worker.id);
  EXPECT_EQ(first.worker.secret, second.worker.secret);
  EXPECT_LT(first.worker.incarnation, second.worker.incarnation);
  EXPECT_GT(first.worker.incarnation.value(), 0);
}

TEST_F(WorkerIdentityTest, AnIdentityInUseIsRefused) {
  const std::string file = folder_ + "/worker.json";
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity first, OwnIdentity(file));

  EXPECT_THAT(OwnIdentity(file),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, ::testing::HasSubstr(file)));
}

TEST_F(WorkerIdentityTest, WorkersOfOneMachineGetIdentitiesOfTheirOwn) {
  ASSERT_OK_AND_ASSIGN(OwnedIdentity first, OwnDefaultIdentity());
  ASSERT_OK_AND_ASSIGN(OwnedIdentity second, OwnDefaultIdentity());
  const base::WorkerId first_id = first.worker.id;
  const base::WorkerId second_id = second.worker.id;

  EXPECT_NE(first_id, second_id);
  EXPECT_EQ(first.state_file, StateFolder() + "/worker.json");
  EXPECT_EQ(second.state_file, StateFolder() + "/worker-2.json");
  EXPECT_EQ(first.number, 1);
  EXPECT_EQ(second.number, 2);
  EXPECT_NE(SpoolPathOf(first.state_file), SpoolPathOf(second.state_file));

  // Whoever starts again takes the first that is free.
  first.lock.reset();
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity again, OwnDefaultIdentity());
  EXPECT_EQ(again.worker.id, first_id);
  second.lock.reset();
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity last, OwnDefaultIdentity());
  EXPECT_EQ(last.worker.id, second_id);
}

TEST_F(WorkerIdentityTest, AnIdentityOfAnEarlierVersionIsTakenOverWithItsGradient) {
  const std::string file = StateFolder() + "/worker-0a1b2c3d4e5f.json";
  ASSERT_OK_AND_ASSIGN(OwnedIdentity before, OwnIdentity(file));
  before.lock.reset();
  std::ofstream(SpoolPathOf(file)) << "gradient";

  ASSERT_OK_AND_ASSIGN(const OwnedIdentity now, OwnDefaultIdentity());

  EXPECT_EQ(now.worker.id, before.worker.id);
  EXPECT_EQ(now.worker.secret, before.worker.secret);
  EXPECT_EQ(now.state_file, StateFolder() + "/worker.json");
  std::string gradient;
  std::ifstream(SpoolPathOf(now.state_file)) >> gradient;
  EXPECT_EQ(gradient, "gradient");
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_FALSE(std::filesystem::exists(SpoolPathOf(file)));
}

TEST_F(WorkerIdentityTest, OfSeveralEarlierIdentitiesTheOneWithAGradientIsTakenFirst) {
  ASSERT_OK_AND_ASSIGN(OwnedIdentity with, OwnIdentity(StateFolder() + "/worker-b.json"));
  ASSERT_OK_AND_ASSIGN(OwnedIdentity without, OwnIdentity(StateFolder() + "/worker-c.json"));
  with.lock.reset();
  without.lock.reset();
  std::ofstream(SpoolPathOf(with.state_file)) << "gradient";

  ASSERT_OK_AND_ASSIGN(const OwnedIdentity first, OwnDefaultIdentity());
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity second, OwnDefaultIdentity());

  EXPECT_EQ(first.worker.id, with.worker.id);
  EXPECT_EQ(second.worker.id, without.worker.id);
}

TEST_F(WorkerIdentityTest, AnEarlierIdentityInUseStaysWhoseItIs) {
  ASSERT_OK_AND_ASSIGN(const OwnedIdentity used, OwnIdentity(StateFolder() + "/worker-lab.json"));

  ASSERT_OK_AND_ASSIGN(const OwnedIdentity now, OwnDefaultIdentity());

  EXPECT_NE(now.worker.id, used.worker.id);
  EXPECT_TRUE(std::filesystem::exists(used.state_file));
}

TEST_F(WorkerIdentityTest, AForeignFileOfAnEarlierNameIsLeftAlone) {
  std::filesystem::create_directories(StateFolder());
  std::ofstream(StateFolder() + "/worker-notes.json") << "{}";

  ASSERT_OK(OwnDefaultIdentity());

  EXPECT_TRUE(std::filesystem::exists(StateFolder() + "/worker-notes.json"));
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
              base::StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr(file)));

  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(WorkerIdentityTest, AFolderThatIsAFileIsNamed) {
  std::ofstream(folder_ + "/occupied") << "x";

  EXPECT_THAT(OwnIdentity(folder_ + "/occupied/worker.json").status().message(),
              ::testing::HasSubstr("occupied"));
}

}  // namespace
}  // namespace gannet::worker
