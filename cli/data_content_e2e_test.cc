// Runs the real program on images whose content, labels and pictures are what people have.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/checkpoint/checkpoint.h"
#include "libs/data/dataset.h"
#include "libs/image/image_io.h"

namespace gannet::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class DataContentTest : public ::testing::Test {
 protected:
  DataContentTest() {
    std::string name = ::testing::TempDir() + "/gannet data_XXXXXX";
    folder_ = mkdtemp(name.data());
    // The same names and sizes.
    for (const auto& [folder, shade] : {std::pair{"a", 40}, {"b", 200}}) {
      std::filesystem::create_directories(PathOf(folder));
      for (int i = 0; i < 8; ++i) {
        const std::vector<uint8_t> pixels(size_t{3} * 32 * 32, static_cast<uint8_t>(shade + i));
        EXPECT_OK(
            image::WritePngRgb(PathOf(folder) + "/" + std::to_string(i) + ".png", 32, 32, pixels));
      }
    }
  }
  ~DataContentTest() override { std::filesystem::remove_all(folder_); }

  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }

  Outcome Run(std::vector<std::string> arguments, const std::string& data) const {
    arguments.insert(arguments.begin(), GANNET_BINARY);
    arguments.insert(arguments.end(), {"--data.kind", "folder", "--data.path", PathOf(data)});
    base::ChildProcess gannet(
        {.argv = arguments,
         .environment = {"PATH=/usr/bin:/bin", "XDG_CACHE_HOME=" + PathOf("cache")},
         .output_prefix = PathOf("gannet")});
    const int exit_code = gannet.AwaitExit();
    return {exit_code, gannet.out(), gannet.err()};
  }

  Outcome Train(const std::string& data, const std::string& rounds, const std::string& resume) {
    std::vector<std::string> arguments = {
        "train-local", "--run.rounds",       rounds, "--model.image_size",
        "32",          "--model.base_width", "4",    "--model.latent_dim",
        "8",           "--batch-size",       "4"};
    if (resume.empty()) {
      arguments.insert(arguments.end(), {"--out", PathOf("training")});
    } else {
      arguments.insert(arguments.end(), {"--resume", resume});
    }
    return Run(arguments, data);
  }

 private:
  std::string folder_;
};

std::string LineOf(const std::string& text, const std::string& begin) {
  const size_t at = text.find(begin);
  return at == std::string::npos ? text : text.substr(at, text.find('\n', at) - at);
}

TEST_F(DataContentTest, ACheckTellsOtherPixelsAndSaysWhyThereAreNoLabels) {
  ASSERT_EQ(std::filesystem::file_size(PathOf("a/1.png")),
            std::filesystem::file_size(PathOf("b/1.png")));
  std::ofstream(PathOf("a/dataset.json")) << R"({"images": [], "annotations": []})";

  const Outcome a = Run({"data", "check"}, "a");
  const Outcome b = Run({"data", "check"}, "b");

  EXPECT_EQ(a.exit_code, 0) << a.err;
  EXPECT_NE(LineOf(a.out, "fingerprint "), LineOf(b.out, "fingerprint "));
  EXPECT_THAT(a.out, HasSubstr("labels      none, because dataset.json: "));
  EXPECT_EQ(Run({"data", "check"}, "a").out, a.out);
}

TEST_F(DataContentTest, ACheckpointGoesOnWithItsImagesOnlyAlsoOneOfAnOlderVersion) {
  ASSERT_EQ(Train("a", "2", "").exit_code, 0);
  const std::string path = PathOf("training/checkpoints/round_000002.safetensors");

  const Outcome other = Train("b", "4", PathOf("training"));
  EXPECT_NE(other.exit_code, 0);
  EXPECT_THAT(other.err, AllOf(HasSubstr("trained on other data"), HasSubstr("digest")));

  // As an older version wrote it: under the digest of names and sizes.
  ASSERT_OK_AND_ASSIGN(
      const auto dataset,
      data::OpenDataset({.kind = "folder", .path = PathOf("a"), .image_size = 32}));
  ASSERT_OK_AND_ASSIGN(checkpoint::Checkpoint checkpoint, checkpoint::ReadCheckpointFile(path));
  ASSERT_EQ(checkpoint.config.data.digest, dataset->fingerprint().digest);
  checkpoint.config.data.digest = dataset->fingerprint().former_digest;
  ASSERT_OK(checkpoint::WriteCheckpointFile(path, checkpoint));
  const Outcome resumed = Train("a", "4", PathOf("training"));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("Finished after 4"));
}

}  // namespace
}  // namespace gannet::cli
