#include "libs/base/atomic_file.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "libs/base/temporary_files.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::base {
namespace {

namespace fs = std::filesystem;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AtomicFileTest : public ::testing::Test {
 protected:
  AtomicFileTest() {
    std::string name = ::testing::TempDir() + "atomic_file.XXXXXX";
    folder_ = mkdtemp(name.data());
  }
  ~AtomicFileTest() override { fs::remove_all(folder_); }

  std::string At(const std::string& name) const { return folder_ + "/" + name; }

  static std::string Read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(At(name)) << text;
  }

  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string folder_;
};

TEST_F(AtomicFileTest, AFileIsThereOnlyWhenItIsWhole) {
  auto file = AtomicFile::Open(At("a"));
  ASSERT_OK(file);
  ASSERT_OK(file->Append("one "));
  ASSERT_OK(file->Append("two"));
  EXPECT_FALSE(fs::exists(At("a")));
  ASSERT_OK(file->Commit());
  EXPECT_EQ(Read(At("a")), "one two");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(AtomicFileTest, WithoutACommitTheOldFileStaysAndNothingElse) {
  Write("a", "old");
  {
    auto file = AtomicFile::Open(At("a"));
    ASSERT_OK(file);
    ASSERT_OK(file->Append("new"));
  }
  EXPECT_EQ(Read(At("a")), "old");
  EXPECT_THAT(Names(), ElementsAre("a"));
}

TEST_F(AtomicFileTest, BytesMayBeWrittenOutOfOrder) {
  auto file = AtomicFile::Open(At("a"), FileKinds::kRegularOnly);
  ASSERT_OK(file);
  ASSERT_OK(file->WriteAt("body", 4));
  ASSERT_OK(file->WriteAt("head", 0));
  ASSERT_OK(file->Commit(Durability::kSynced));
  EXPECT_EQ(Read(At("a")), "headbody");
}

TEST_F(AtomicFileTest, AReplacedFileKeepsItsPermissions) {
  Write("secret", "old");
  fs::permissions(At("secret"), fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_OK(WriteFileAtomically(At("secret"), "new"));
  EXPECT_EQ(Read(At("secret")), "new");
  EXPECT_EQ(fs::status(At("secret")).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(AtomicFileTest, ALinkStaysAndWhatItNamesIsReplaced) {
  fs::create_directory(At("far"));
  Write("far/file", "old");
  fs::create_symlink("far/file", At("near"));
  fs::create_symlink("near", At("link"));
  ASSERT_OK(WriteFileAtomically(At("link"), "new"));
  EXPECT_TRUE(fs::is_symlink(At("link")));
  EXPECT_TRUE(fs::is_symlink(At("near")));
  EXPECT_EQ(Read(At("far/file")), "new");
  EXPECT_THAT(Names(), ElementsAre("far", "link", "near"));
}

TEST_F(AtomicFileTest, ALinkToNothingGetsItsFile) {
  fs::create_symlink("later", At("link"));
  ASSERT_OK(WriteFileAtomically(At("link"), "new"));
  EXPECT_TRUE(fs::is_symlink(At("link")));
  EXPECT_EQ(Read(At("later")), "new");
}

TEST_F(AtomicFileTest, LinksInACircleAreRefused) {
  fs::create_symlink("b", At("a"));
  fs::create_symlink("a", At("b"));
  EXPECT_THAT(WriteFileAtomically(At("a"), "x"), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(fs::is_symlink(At("a")));
}

TEST_F(AtomicFileTest, APipeIsWrittenToAndStaysAPipe) {
  ASSERT_EQ(mkfifo(At("pipe").c_str(), 0600), 0);
  const int reader = open(At("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  ASSERT_OK(WriteFileAtomically(At("pipe"), "through"));
  char bytes[16] = {};
  EXPECT_EQ(read(reader, bytes, sizeof bytes), 7);
  EXPECT_STREQ(bytes, "through");
  close(reader);
  EXPECT_TRUE(fs::is_fifo(At("pipe")));
  EXPECT_THAT(Names(), ElementsAre("pipe"));
}

TEST_F(AtomicFileTest, MoreThanAPipeHoldsArrivesThroughIt) {
  ASSERT_EQ(mkfifo(At("pipe").c_str(), 0600), 0);
  const int reader = open(At("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  fcntl(reader, F_SETFL, 0);
  const std::string sent(1 << 20, 'x');
  absl::Status written;
  std::thread writer([&] { written = WriteFileAtomically(At("pipe"), sent); });
  std::string got;
  char part[65536];
  while (got.size() < sent.size()) {
    const ssize_t count = read(reader, part, sizeof part);
    if (count > 0) got.append(part, static_cast<size_t>(count));
  }
  writer.join();
  close(reader);
  EXPECT_OK(written);
  EXPECT_EQ(got, sent);
}

TEST_F(AtomicFileTest, APipeThatNobodyReadsIsNotWaitedFor) {
  ASSERT_EQ(mkfifo(At("pipe").c_str(), 0600), 0);
  EXPECT_THAT(WriteFileAtomically(At("pipe"), "x"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("nobody reads")));
  EXPECT_TRUE(fs::is_fifo(At("pipe")));
}

TEST_F(AtomicFileTest, DevicesAreWrittenToAndStayDevices) {
  EXPECT_OK(WriteFileAtomically("/dev/null", "gone"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  fs::create_symlink("/dev/full", At("full"));
  EXPECT_THAT(WriteFileAtomically(At("full"), "x"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("No space left")));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  EXPECT_TRUE(fs::is_symlink(At("full")));
}

// Only root may make devices; everybody else has those of /dev above.
TEST_F(AtomicFileTest, ACopyOfADeviceIsTreatedAsTheDevice) {
  if (mknod(At("null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0) {
    // A mount may forbid devices; then the file is refused, and stays as well.
    (void)WriteFileAtomically(At("null"), "gone");
    EXPECT_TRUE(fs::is_character_file(At("null")));
  }
  if (mknod(At("disk").c_str(), S_IFBLK | 0600, makedev(7, 250)) == 0) {
    EXPECT_THAT(WriteFileAtomically(At("disk"), "x"),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("disk")));
    EXPECT_TRUE(fs::is_block_file(At("disk")));
  }
}

TEST_F(AtomicFileTest, FoldersSocketsAndOpenFilesAreRefused) {
  EXPECT_THAT(WriteFileAtomically(folder_, "x"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("folder")));
  const int socket_fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(socket_fd, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  At("socket").copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(WriteFileAtomically(At("socket"), "x"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("socket")));
  EXPECT_TRUE(fs::is_socket(At("socket")));
  close(socket_fd);
  Write("open", "old");
  const int fd = open(At("open").c_str(), O_WRONLY);
  EXPECT_THAT(WriteFileAtomically("/proc/self/fd/" + std::to_string(fd), "x"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("open elsewhere")));
  close(fd);
  EXPECT_EQ(Read(At("open")), "old");
}

TEST_F(AtomicFileTest, WhatIsNotWrittenInOrderNeedsAFile) {
  ASSERT_EQ(mkfifo(At("pipe").c_str(), 0600), 0);
  EXPECT_THAT(AtomicFile::Open(At("pipe"), FileKinds::kRegularOnly),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("pipe")));
  EXPECT_THAT(AtomicFile::Open("/dev/null", FileKinds::kRegularOnly),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("device")));
}

TEST_F(AtomicFileTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_THAT(WriteFileAtomically(At("no/file"), "x"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("No such file")));
}

// How a child that holds a half-written file ends when a signal comes.
int StatusOfInterrupted(const std::string& path, int signal) {
  int ready[2] = {};
  if (pipe(ready) != 0) return -1;
  const pid_t child = fork();
  if (child == 0) {
    RemoveTemporaryFilesOnSignal();
    auto file = AtomicFile::Open(path);
    const TemporaryName other(path + ".named");
    std::ofstream(other.path()) << "half";
    const bool good = file.ok() && file->Append("half").ok();
    if (write(ready[1], good ? "y" : "n", 1) != 1) _exit(99);
    while (true) pause();
  }
  char good = 0;
  if (read(ready[0], &good, 1) != 1 || good != 'y') return -1;
  close(ready[0]);
  close(ready[1]);
  kill(child, signal);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST_F(AtomicFileTest, AnInterruptedWriterLeavesNothing) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const int status = StatusOfInterrupted(At("a"), signal);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + signal);
    EXPECT_THAT(Names(), IsEmpty());
  }
}

}  // namespace
}  // namespace gannet::base
