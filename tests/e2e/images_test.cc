// Folders with images that cannot be read.
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/image/testing/image_files.h"
#include "tests/e2e/e2e_cluster.h"

namespace gannet::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kImageCount = 40;

std::string NameOf(int64_t index) { return absl::StrFormat("%04d.png", index); }

std::string ImageBytes(int variant) {
  return image::EncodePng(image::SoftImage(32, 32, variant), image::PngKind::kRgb);
}

// A folder of images, of which number `index` in the order of a data set is NameOf(index).
std::string WriteImages(const E2eCluster& cluster) {
  for (int i = 0; i < kImageCount; ++i) {
    cluster.Write(absl::StrCat("faces/", NameOf(i)), ImageBytes(i));
  }
  return cluster.PathOf("faces");
}

TEST(ImagesTest, AnEmptyFolderIsSaidToBeEmpty) {
  E2eCluster cluster;
  cluster.Write("empty/.hidden.png", ImageBytes(0));

  base::ChildProcess& coordinator =
      cluster.StartCoordinator({{"data.kind", "folder"}, {"data.path", cluster.PathOf("empty")}});

  EXPECT_EQ(coordinator.AwaitExit(), 2);
  EXPECT_THAT(coordinator.err(),
              HasSubstr(absl::StrCat("not hidden, at any depth): ", cluster.PathOf("empty"),
                                     "; passed over: 1 hidden")));
}

TEST(ImagesTest, AnImageThatBecomesUnreadablePausesTheRunUntilItIsRepaired) {
  E2eCluster cluster({{"run.rounds", "2"}, {"training.units_per_round", "1"}});
  const std::string faces = WriteImages(cluster);
  const ProgramSettings data = {{"data.kind", "folder"}, {"data.path", faces}};
  // Its name comes last, so that it is nobody's index.
  cluster.Write("faces/z.png", "not an image from the first");
  cluster.StartGateway();
  base::ChildProcess& coordinator = cluster.StartCoordinator(data);
  ASSERT_TRUE(coordinator.AwaitError("leading the run"));
  EXPECT_THAT(coordinator.err(), HasSubstr("40 images in the folder"));
  EXPECT_THAT(coordinator.err(), HasSubstr("1 unreadable ones left out"));
  const std::string address =
      absl::StrCat("127.0.0.1:", E2eCluster::PortOf(coordinator, "admin_port"));
  ASSERT_EQ(cluster.Gannet({"pause", "--address", address}).exit_code, 0);
  base::ChildProcess& ada = cluster.StartWorker("ada", data);
  ASSERT_TRUE(ada.AwaitError("joined"));

  const int index =
      static_cast<int>(cluster.Number("SELECT image_indices[1] FROM gannet.work_unit"));
  const std::string image = absl::StrCat("faces/", NameOf(index));
  // Its size and head stay, so that only decoding finds the damage.
  const std::string whole = ImageBytes(index);
  cluster.Write(image, whole.substr(0, 40) + std::string(whole.size() - 40, 'x'));
  ASSERT_EQ(cluster.Gannet({"resume", "--address", address}).exit_code, 0);

  ASSERT_TRUE(coordinator.AwaitError("a unit has failed permanently, the run is paused"));
  EXPECT_EQ(cluster.Text("SELECT state FROM gannet.run"), "paused");
  EXPECT_THAT(cluster.Text("SELECT state_reason FROM gannet.run"),
              AllOf(HasSubstr("round 1 slot 0 failed 5 times"), HasSubstr(NameOf(index))));
  EXPECT_THAT(ada.err(), AllOf(HasSubstr("unit cannot be computed here, reported to the run"),
                               HasSubstr(NameOf(index))));
  EXPECT_TRUE(ada.running()) << "it waits for work that it can do";
  const Outcome check =
      cluster.Gannet({"data", "check", "--data.kind", "folder", "--data.path", faces});
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_THAT(check.out,
              AllOf(HasSubstr(absl::StrCat("unusable ", NameOf(index), ": ")),
                    HasSubstr("unusable z.png: "), HasSubstr("39 images can be used, 2 cannot.")));

  cluster.Write(image, whole);
  ASSERT_EQ(cluster.Gannet({"resume", "--address", address}).exit_code, 0);
  cluster.ExpectEnd({&coordinator, &ada});
}

}  // namespace
}  // namespace gannet::e2e
