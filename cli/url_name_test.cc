#include "cli/url_name.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/testing/status_matchers.h"

namespace gannet::cli {
namespace {

using ::testing::HasSubstr;

TEST(UrlNameTest, TheNameIsTheLastPartOfThePath) {
  const struct {
    const char* url;
    const char* name;
  } cases[] = {
      {"https://example.org/faces.zip", "faces.zip"},
      {"https://example.org/a/b/faces.zip?c=a/b&s=c", "faces.zip"},
      {"https://example.org/faces.zip#/top", "faces.zip"},
      {"https://example.org/faces.zip?x=1#a?b/c", "faces.zip"},
      {"https://example.org/faces.zip#a?b/c", "faces.zip"},
      {"https://example.org/my%20faces.zip", "my faces.zip"},
      {"https://example.org/Zo%C3%AB.zip", "Zo\xC3\xAB.zip"},
      {"https://example.org/100%.zip", "100%.zip"},
      {"https://example.org/a%2", "a%2"},
      {"https://example.org/a+b.zip", "a+b.zip"},
  };
  for (const auto& one : cases) EXPECT_THAT(FileNameOfUrl(one.url), base::IsOkAndHolds(one.name));
}

TEST(UrlNameTest, AnAddressWithoutAFileIsRefused) {
  for (const char* url : {"https://example.org", "https://example.org/", "https://example.org/a/",
                          "https://example.org/?name=faces.zip", "https://example.org#a/b", ""}) {
    EXPECT_THAT(FileNameOfUrl(url), base::StatusIs(absl::StatusCode::kInvalidArgument,
                                                   HasSubstr("without the name of a file")))
        << url;
  }
}

TEST(UrlNameTest, WhatIsNoNameHereIsRefused) {
  const struct {
    std::string url;
    const char* why;
  } cases[] = {
      {"http://a/..%2F..%2Fetc%2Fpasswd", "separator"},
      {"http://a/x%5Cfaces.zip", "separator"},
      {"http://a/..", "hidden"},
      {"http://a/%2E%2E", "hidden"},
      {"http://a/.bashrc", "hidden"},
      {"http://a/a%0Ab.zip", "no text"},
      {"http://a/a%00b.zip", "no text"},
      {"http://a/a%1B%5B2J.zip", "no text"},
      {"http://a/latin%FC.zip", "no text"},
      {"http://a/" + std::string(250, 'x'), "too long"},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(FileNameOfUrl(one.url),
                base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(one.why)))
        << one.url;
  }
}

}  // namespace
}  // namespace gannet::cli
