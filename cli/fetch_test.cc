#include "cli/fetch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/mutex.h"
#include "libs/base/sha256.h"
#include "libs/base/testing/child_process.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// A server for HTTP on a loopback address, of one file, with the faults that a test asks for.
class FileServer {
 public:
  std::string file;               // what it serves
  std::string tag = "\"one\"";    // of this version; empty: none
  bool ranges = true;             // understands Range
  std::vector<size_t> cut_after;  // connection n breaks after so many bytes
  std::vector<int> refuse;        // answers n with this status
  std::string changed;            // Last-Modified; empty: none
  bool tag_of_rests = true;       // an ETag in answers 206, too
  size_t begins_early = 0;        // a rest begins so many bytes before what was asked for

  FileServer() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~FileServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  std::string Url(const std::string& name) const {
    return absl::StrCat("http://127.0.0.1:", port_, "/", name);
  }

  // The Range headers of all requests so far; "" where there was none.
  std::vector<std::string> ranges_asked() {
    base::MutexLock lock(mu_);
    return ranges_asked_;
  }

 private:
  void Serve() {
    for (size_t n = 0;; ++n) {
      const int connection = accept(listener_, nullptr, nullptr);
      if (connection < 0) return;
      Answer(connection, n);
      close(connection);
    }
  }

  void Answer(int connection, size_t n) {
    std::string request;
    char part[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = recv(connection, part, sizeof part, 0);
      if (got <= 0) return;
      request.append(part, static_cast<size_t>(got));
    }
    std::string range, if_range;
    for (const absl::string_view line : absl::StrSplit(request, "\r\n")) {
      const std::pair<std::string, std::string> header =
          absl::StrSplit(line, absl::MaxSplits(": ", 1));
      if (absl::AsciiStrToLower(header.first) == "range") range = header.second;
      if (absl::AsciiStrToLower(header.first) == "if-range") if_range = header.second;
    }
    {
      base::MutexLock lock(mu_);
      ranges_asked_.push_back(range);
    }
    if (n < refuse.size() && refuse[n] != 0) {
      Send(connection, absl::StrCat("HTTP/1.1 ", refuse[n], " No\r\nContent-Length: 0\r\n\r\n"));
      return;
    }
    size_t from = 0;
    if (ranges && !range.empty() &&
        (if_range.empty() || if_range == (tag.empty() ? changed : tag))) {
      EXPECT_TRUE(absl::SimpleAtoi(range.substr(6, range.size() - 7), &from)) << range;
    }
    from -= std::min(from, begins_early);
    const std::string body = file.substr(from);
    std::string head = from > 0 ? absl::StrCat("HTTP/1.1 206 Partial\r\nContent-Range: bytes ",
                                               from, "-", file.size() - 1, "/", file.size(), "\r\n")
                                : "HTTP/1.1 200 OK\r\n";
    if (!tag.empty() && (from == 0 || tag_of_rests)) absl::StrAppend(&head, "ETag: ", tag, "\r\n");
    if (!changed.empty()) absl::StrAppend(&head, "Last-Modified: ", changed, "\r\n");
    absl::StrAppend(&head, "Content-Length: ", body.size(), "\r\nConnection: close\r\n\r\n");
    Send(connection, head);
    Send(connection, n < cut_after.size() ? body.substr(0, cut_after[n]) : body);
  }

  static void Send(int connection, const std::string& bytes) {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t sent = send(connection, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) return;
      done += static_cast<size_t>(sent);
    }
  }

  const int listener_;
  int port_ = 0;
  base::Mutex mu_;
  std::vector<std::string> ranges_asked_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

class FetchTest : public ::testing::Test {
 protected:
  FetchTest() {
    std::string name = ::testing::TempDir() + "/gannet_fetch_XXXXXX";
    folder_ = mkdtemp(name.data());
    server_.file = "PK\x03\x04";
    for (int i = 0; i < 100'000; ++i) absl::StrAppend(&server_.file, i, " ");
  }
  ~FetchTest() override { std::filesystem::remove_all(folder_); }

  FetchOptions Options(const std::string& name = "set.zip") const {
    FetchOptions options;
    options.url = server_.Url(name);
    options.out = folder_ + "/" + name;
    options.pause = absl::Milliseconds(1);
    return options;
  }

  std::vector<std::string> Files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  FileServer server_;
  std::string folder_;
};

TEST_F(FetchTest, AFileArrives) {
  FetchOptions options = Options();
  options.sha256 = base::Sha256Hex(server_.file);
  int64_t last = 0, all = 0;
  options.on_progress = [&](int64_t done, int64_t total) {
    last = done;
    all = total;
    return true;
  };

  ASSERT_OK(Fetch(options));

  EXPECT_TRUE(base::FileContents(options.out) == server_.file);
  EXPECT_EQ(last, static_cast<int64_t>(server_.file.size()));
  EXPECT_EQ(all, last);
  EXPECT_THAT(Files(), ElementsAre("set.zip"));
}

TEST_F(FetchTest, ABrokenConnectionIsTakenUpWhereItBroke) {
  server_.cut_after = {100, 50'000};
  ASSERT_OK(Fetch(Options()));

  EXPECT_TRUE(base::FileContents(Options().out) == server_.file);
  EXPECT_THAT(server_.ranges_asked(), ElementsAre("", "bytes=100-", "bytes=50100-"));
}

TEST_F(FetchTest, ANewCallGoesOnUnlessTheVersionIsAnother) {
  server_.cut_after = {1000, 1000, 1000};
  FetchOptions options = Options();
  options.attempts = 1;
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(base::FileContents(options.out + ".part").size(), 2000U);

  server_.tag = "\"two\"";
  server_.file[1500] = 'X';
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(base::FileContents(options.out + ".part").size(), 1000U);
  ASSERT_OK(Fetch(options));
  EXPECT_TRUE(base::FileContents(options.out) == server_.file);
}

TEST_F(FetchTest, AServerWithoutRangesSendsEverythingAgain) {
  server_.ranges = false;
  server_.cut_after = {1000};
  ASSERT_OK(Fetch(Options()));

  EXPECT_TRUE(base::FileContents(Options().out) == server_.file);
}

TEST_F(FetchTest, BusyServersAreAskedAgainAndRefusalsAreNot) {
  server_.refuse = {503, 429, 0, 404, 403};
  ASSERT_OK(Fetch(Options()));
  EXPECT_THAT(Fetch(Options("b.zip")),
              base::StatusIs(absl::StatusCode::kNotFound, HasSubstr("404")));
  EXPECT_THAT(Fetch(Options("c.zip")), base::StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_EQ(server_.ranges_asked().size(), 5U);
}

TEST_F(FetchTest, APageOfASiteThatHasHadEnoughIsNoZip) {
  server_.file = "\n<!DOCTYPE html><title>Quota exceeded</title>";
  EXPECT_THAT(Fetch(Options()),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a web page arrived")));
  server_.file = "Sorry";
  EXPECT_THAT(Fetch(Options()),
              base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no .zip file")));
  EXPECT_THAT(Files(), ElementsAre());
  EXPECT_OK(Fetch(Options("list_attr_celeba.txt")));
}

TEST_F(FetchTest, AWebPageIsRefusedUnderAnyName) {
  for (const char* page : {"<HTML><body>", "\xEF\xBB\xBF<!DOCTYPE HTML>", "<!doctype html>",
                           "<!-- a comment -->\n<html>", "<?xml version='1.0'?><html>"}) {
    server_.file = page;
    for (const char* name : {"set.zip", "list.txt", "download"}) {
      EXPECT_THAT(Fetch(Options(name)),
                  base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("a web page arrived")))
          << page << " as " << name;
    }
  }
  EXPECT_THAT(Files(), ElementsAre());
}

TEST_F(FetchTest, ANameWithoutAnEndingIsForDataAndNotForText) {
  server_.file = std::string("PK\x03\x04", 4);
  EXPECT_OK(Fetch(Options("archive")));
  server_.file = std::string("\0\0\x08\x03", 4) + "idx";
  EXPECT_OK(Fetch(Options("train-images-idx3-ubyte")));
  server_.file = std::string(1, '\t') + std::string(3072, '\xff');
  EXPECT_OK(Fetch(Options("cifar")));
  for (const char* text : {"Sorry, come again tomorrow", "Schl\xC3\xBC"}) {
    server_.file = text;
    EXPECT_THAT(Fetch(Options("text")),
                base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("--sha256")))
        << text;
  }
  server_.file = "what was asked for";
  FetchOptions options = Options("text");
  options.sha256 = base::Sha256Hex(server_.file);
  EXPECT_OK(Fetch(options));
}

TEST_F(FetchTest, AnotherChecksumKeepsNothing) {
  FetchOptions options = Options();
  options.sha256 = base::Sha256Hex("something else");
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum")));
  EXPECT_THAT(Files(), ElementsAre());
}

TEST_F(FetchTest, WhoStopsKeepsWhatHasArrived) {
  FetchOptions options = Options();
  options.on_progress = [](int64_t done, int64_t) { return done < 1000; };
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kCancelled));
  EXPECT_GT(base::FileContents(options.out + ".part").size(), 0U);
}

TEST_F(FetchTest, TwoAtOnceAreNotSpliced) {
  FetchOptions first = Options();
  first.sha256 = base::Sha256Hex(server_.file);
  std::vector<absl::Status> seconds;
  first.on_progress = [&](int64_t done, int64_t) {
    // In the middle of the first, a second one begins.
    if (done > 0 && seconds.empty()) seconds.push_back(Fetch(Options()));
    return true;
  };

  EXPECT_OK(Fetch(first));

  ASSERT_EQ(seconds.size(), 1U);
  EXPECT_THAT(seconds.front(), base::StatusIs(absl::StatusCode::kFailedPrecondition,
                                              HasSubstr("another program is fetching")));
  EXPECT_TRUE(base::FileContents(first.out) == server_.file);
  EXPECT_THAT(Files(), ElementsAre("set.zip"));
}

TEST_F(FetchTest, AFileThatIsThereStays) {
  std::ofstream(folder_ + "/set.zip") << "mine";
  std::filesystem::create_symlink("nowhere", folder_ + "/link.zip");

  EXPECT_THAT(Fetch(Options()),
              base::StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("set.zip already")));
  EXPECT_THAT(Fetch(Options("link.zip")), base::StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(base::FileContents(folder_ + "/set.zip"), "mine");
  EXPECT_THAT(Files(), UnorderedElementsAre("set.zip", "link.zip"));
}

TEST_F(FetchTest, NothingIsNoFile) {
  server_.file = "";
  for (const char* name : {"set.zip", "list.txt", "download"}) {
    EXPECT_THAT(Fetch(Options(name)),
                base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("an empty file")))
        << name;
  }
  EXPECT_THAT(Files(), ElementsAre());

  // What is here of a former version does not arrive in place of nothing.
  FetchOptions options = Options();
  std::ofstream(options.out + ".part") << "PK\x03\x04 of yesterday";
  server_.ranges = false;
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kDataLoss));
  server_.refuse = std::vector<int>(10, 204);
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("204")));
  EXPECT_THAT(Files(), ElementsAre());
}

TEST_F(FetchTest, ASitesAnswerIsNoFile) {
  for (const char* answer :
       {"{\"error\": \"quota exceeded\"}", "\n[]",
        "<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}) {
    server_.file = answer;
    for (const char* name : {"list.txt", "list.csv", "faces.packed", "images.idx3-ubyte", "set.zip",
                             "set.tar", "download"}) {
      EXPECT_THAT(Fetch(Options(name)),
                  base::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("arrived")))
          << answer << " as " << name;
    }
  }
  EXPECT_THAT(Files(), ElementsAre());
  server_.file = "{\"labels\": []}";
  EXPECT_OK(Fetch(Options("dataset.json")));
  FetchOptions proven = Options("labels");
  proven.sha256 = base::Sha256Hex(server_.file);
  EXPECT_OK(Fetch(proven));
}

TEST_F(FetchTest, APartOfAnotherVersionIsNotGoneOnWith) {
  FetchOptions options = Options();
  options.attempts = 1;
  // By the date where there is no tag.
  server_.tag = "";
  server_.changed = "Sun, 01 Nov 2026 10:00:00 GMT";
  server_.cut_after = {1000, 0, 1000};
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable));
  server_.changed = "Mon, 02 Nov 2026 10:00:00 GMT";
  server_.file[500] = 'X';
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable));
  options.attempts = 3;
  ASSERT_OK(Fetch(options));
  EXPECT_TRUE(base::FileContents(options.out) == server_.file);
}

TEST_F(FetchTest, APartOfAnotherAddressIsNotGoneOnWith) {
  server_.tag = "";
  server_.cut_after = {1000};
  FetchOptions options = Options();
  options.attempts = 1;
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable));
  server_.file[500] = 'X';
  options.url = server_.Url("other/set.zip");
  ASSERT_OK(Fetch(options));
  EXPECT_TRUE(base::FileContents(options.out) == server_.file);
  EXPECT_THAT(server_.ranges_asked(), ElementsAre("", ""));
}

TEST_F(FetchTest, ARestWithoutATagIsTheRest) {
  server_.cut_after = {1000, 1000, 1000};
  server_.tag_of_rests = false;
  server_.changed = "Sun, 01 Nov 2026 10:00:00 GMT";
  ASSERT_OK(Fetch(Options()));

  EXPECT_TRUE(base::FileContents(Options().out) == server_.file);
  EXPECT_THAT(server_.ranges_asked(), ElementsAre("", "bytes=1000-", "bytes=2000-", "bytes=3000-"));
}

TEST_F(FetchTest, ARestThatBeginsElsewhereIsNotAppended) {
  server_.cut_after = {1000};
  server_.begins_early = 10;
  ASSERT_OK(Fetch(Options()));

  EXPECT_TRUE(base::FileContents(Options().out) == server_.file);
  EXPECT_THAT(server_.ranges_asked(), ElementsAre("", "bytes=1000-", ""));
}

TEST_F(FetchTest, AnArchiveBehindAProgramIsAZip) {
  // An empty name's entry and the end of the directory, 46 + 22 bytes, behind a script.
  const std::string entry = "PK\x01\x02" + std::string(42, '\0');
  std::string end = "PK\x05\x06" + std::string(18, '\0');
  end[12] = static_cast<char>(entry.size());
  server_.file = absl::StrCat("#!/bin/sh\nexit\n", entry, end);
  EXPECT_OK(Fetch(Options()));
}

TEST_F(FetchTest, WhatCannotBeIsSaid) {
  FetchOptions options = Options();
  options.url = "ftp://example.org/x.zip";
  EXPECT_THAT(Fetch(options),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("https://")));
  options = Options();
  options.out = folder_ + "/none/x.zip";
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("none")));
  options = Options();
  options.url = "http://127.0.0.1:1/x.zip";
  options.attempts = 2;
  EXPECT_THAT(Fetch(options), base::StatusIs(absl::StatusCode::kUnavailable));
}

}  // namespace
}  // namespace gannet::cli
