// What the programs do when their output has no room, no reader or an odd place to go to, and when
// they are interrupted.

#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "libs/base/testing/child_process.h"
#include "libs/image/testing/image_files.h"

namespace gannet::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

class OutputTest : public ::testing::Test {
 protected:
  // By a shell, because redirections are what this is about. $G is gannet, $B the folder of all
  // programs.
  Outcome Shell(const std::string& line) {
    base::ChildProcess shell(
        {.argv = {"/bin/bash", "-c", absl::StrCat("cd '", folder_.path(), "'; ", line)},
         .environment = {absl::StrCat("G=", GANNET_BINARY),
                         absl::StrCat("B=", fs::path(GANNET_BINARY).parent_path().string()),
                         "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"},
         .output_prefix = absl::StrCat(logs_.path(), "/shell")});
    Outcome outcome;
    outcome.code = shell.AwaitExit();
    outcome.out = shell.out();
    outcome.err = shell.err();
    return outcome;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  const image::TempFolder folder_;
  const image::TempFolder logs_;
};

TEST_F(OutputTest, AFullStandardOutputIsAnError) {
  for (const char* command :
       {"$G config show", "$G config check", "$G config keys", "$G config keys --markdown",
        "$G --help", "$G --version", "$G version", "$G data check --data.count 20",
        "$G data preview --data.count 20 --count 4",
        "$G data pack --data.count 20 --out packed --model.image_size 32",
        "$B/gannet-worker --help", "$B/gannet-worker --version", "$B/gannet-gateway --help",
        "$B/gannet-gateway --version", "$B/gannet-coordinator --help",
        "$B/gannet-coordinator --version"}) {
    const Outcome full = Shell(absl::StrCat(command, " >/dev/full"));
    EXPECT_EQ(full.code, 1) << command;
    EXPECT_THAT(full.err, HasSubstr("standard output cannot be written: No space left on device"))
        << command;
    const Outcome closed = Shell(absl::StrCat(command, " >&-"));
    EXPECT_EQ(closed.code, 1) << command;
    EXPECT_THAT(closed.err, HasSubstr("standard output cannot be written")) << command;
    const Outcome good = Shell(absl::StrCat(command, " >/dev/null"));
    EXPECT_EQ(good.code, 0) << command << ": " << good.err;
  }
}

TEST_F(OutputTest, AFlagWithoutItsValueIsNamed) {
  for (const char* command :
       {"$G config check --run.name", "$G config check --run.name --log.level info",
        "$B/gannet-worker --run.name --log.level info"}) {
    const Outcome outcome = Shell(command);
    EXPECT_EQ(outcome.code, 2) << command;
    EXPECT_THAT(outcome.err, HasSubstr("flag --run.name: a value must follow")) << command;
  }
  const Outcome url = Shell("$G config check --database.url 'host=/x dbname=y'");
  EXPECT_EQ(url.code, 2);
  EXPECT_THAT(url.err, HasSubstr("flag --database.url: database.url must be a URL"));
}

TEST_F(OutputTest, AReaderThatHasSeenEnoughEndsAListingQuietly) {
  const Outcome outcome = Shell("$G config keys | head -n 1; echo ${PIPESTATUS[0]}");
  EXPECT_THAT(outcome.err, IsEmpty());
  // Also where whoever started it ignores SIGPIPE.
  const Outcome ignored = Shell("trap '' PIPE; $G config keys | (read -r line; exec <&-); true");
  EXPECT_THAT(ignored.err, IsEmpty());
}

TEST_F(OutputTest, AClosedStandardOutputIsNotMistakenForAFile) {
  const Outcome outcome =
      Shell("$G data pack --data.count 20 --out packed --model.image_size 32 >&-");
  EXPECT_EQ(outcome.code, 1);
  const Outcome open =
      Shell("$G data pack --data.count 20 --out other --model.image_size 32 && cmp packed other");
  EXPECT_EQ(open.code, 0) << open.out << open.err;
}

TEST_F(OutputTest, APictureGoesThroughAPipeAndALink) {
  const Outcome pipe = Shell(
      "mkfifo pipe; cat pipe >copy.png & $G data preview --data.count 9 --count 4 --out pipe; "
      "wait; "
      "test -p pipe && head -c 4 copy.png | tail -c 3");
  EXPECT_EQ(pipe.code, 0) << pipe.err;
  EXPECT_TRUE(absl::EndsWith(pipe.out, "PNG")) << pipe.out;
  const Outcome link = Shell(
      "mkdir far; ln -s far/a.png near.png; $G data preview --data.count 9 --count 4 --out "
      "near.png "
      "&& test -L near.png && cmp far/a.png copy.png");
  EXPECT_EQ(link.code, 0) << link.out << link.err;
  const Outcome full =
      Shell("ln -s /dev/full full.png; $G data preview --data.count 9 --count 4 --out full.png");
  EXPECT_EQ(full.code, 1);
  EXPECT_THAT(full.err, HasSubstr("No space left on device"));
  EXPECT_EQ(Shell("test -L full.png && test -c /dev/full").code, 0);
}

// Whether a process has written into a file below the folder that is not complete yet.
bool IsWriting(pid_t pid, const std::string& folder) {
  const std::string descriptors = absl::StrCat("/proc/", pid, "/fd");
  std::error_code error;
  for (fs::directory_iterator it(descriptors, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    std::error_code gone;
    const std::string target = fs::read_symlink(it->path(), gone).string();
    struct stat info = {};
    if (!gone && absl::StartsWith(target, folder) && stat(it->path().c_str(), &info) == 0 &&
        S_ISREG(info.st_mode) && info.st_size > 0) {
      return true;
    }
  }
  return false;
}

TEST_F(OutputTest, APictureOnStandardOutputStandsThereAlone) {
  const Outcome outcome = Shell(
      "set -o pipefail; $G data preview --data.count 9 --count 4 --out p.png && "
      "$G data preview --data.count 9 --count 4 --out /dev/stdout | cmp - p.png");
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("/dev/stdout: 4 images"));
}

TEST_F(OutputTest, AnInterruptedPackLeavesNothing) {
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    base::ChildProcess pack(
        {.argv = {GANNET_BINARY, "data", "pack", "--data.count", "50000000", "--out",
                  absl::StrCat(folder_.path(), "/packed"), "--model.image_size", "32"},
         .environment = {},
         .output_prefix = absl::StrCat(logs_.path(), "/pack")});
    ASSERT_TRUE(base::AwaitUntil([&] { return IsWriting(pack.pid(), folder_.path()); }))
        << pack.err();
    pack.Signal(signal);
    EXPECT_EQ(pack.AwaitExit(), 128 + signal);
    EXPECT_THAT(Names(), IsEmpty()) << signal;
  }
}

TEST_F(OutputTest, AnExportWithoutSettingsIsToldWhereItsImagesAre) {
  for (const int variant : {1, 2, 3}) {
    folder_.Write(absl::StrCat("images/", variant, ".png"),
                  image::EncodePng(image::SoftImage(32, 32, variant), image::PngKind::kRgb));
  }
  const Outcome trained = Shell(
      "$G train-local --data.kind folder --data.path images --out t "
      "--image-size 32 --model.base_width 4 --latent-dim 8 --batch-size 2 --run.rounds 3 "
      "--checkpoint-every 1 --evaluate-every 0 && mkdir alone && cp t/checkpoints/round_000002.* "
      "alone/export.safetensors");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const Outcome blamed = Shell("$G train-local --resume alone/export.safetensors --out u");
  EXPECT_EQ(blamed.code, 2);
  EXPECT_THAT(blamed.err, HasSubstr("checkpoint alone/export.safetensors: data.path must name"));
  EXPECT_THAT(blamed.err, HasSubstr("--data.path PATH"));
  EXPECT_FALSE(absl::StrContains(blamed.err, "flag --data.kind"));
  const Outcome named =
      Shell("$G train-local --resume alone/export.safetensors --out u --data.path images");
  EXPECT_EQ(named.code, 0) << named.err;

  // The newest is cut: the way out is named, and works.
  const Outcome cut =
      Shell("truncate -s 1000 t/checkpoints/round_000003.safetensors; $G train-local --resume t");
  EXPECT_NE(cut.code, 0);
  const std::string command = "gannet train-local --resume t/checkpoints/round_000002.safetensors";
  EXPECT_THAT(cut.err, HasSubstr(command));
  EXPECT_THAT(cut.err, HasSubstr("round_000003"));
  const Outcome on = Shell("$G train-local --resume t/checkpoints/round_000002.safetensors");
  EXPECT_EQ(on.code, 0) << on.err;
}

TEST_F(OutputTest, TheBestWeightsOfTheSameRunAreNotThoseOfAnother) {
  const std::string sizes =
      " --image-size 32 --model.base_width 4 --latent-dim 8 --data.count 600 --batch-size 2";
  const Outcome first =
      Shell(absl::StrCat("$G train-local --out t --run.rounds 2 --evaluate-every 1", sizes));
  ASSERT_EQ(first.code, 0) << first.err;
  const Outcome more =
      Shell("$G train-local --resume t --run.rounds 3 --augment color --evaluate-every 1");
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_THAT(more.err, HasSubstr("this run under its earlier settings"));
  EXPECT_THAT(more.err, HasSubstr("augment"));
  EXPECT_FALSE(absl::StrContains(more.err, "another run"));
}

}  // namespace
}  // namespace gannet::cli
