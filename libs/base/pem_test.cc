#include "libs/base/pem.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"

namespace gannet::base {
namespace {

const std::string& Body() {
  static const auto& body = *new std::string(std::string(64, 'A') + std::string(30, 'b') + "+/==");
  return body;
}

std::string Pem(const std::string& label = "CERTIFICATE") {
  return absl::StrCat("-----BEGIN ", label, "-----\n", Body().substr(0, 64), "\n",
                      Body().substr(64), "\n-----END ", label, "-----\n");
}

TEST(PemTest, ATextIsTheSameHoweverItsLinesWerePasted) {
  const std::string pem = Pem();
  for (const std::string& pasted :
       {pem, absl::StrReplaceAll(pem, {{"\n", "\r\n"}}), absl::StrReplaceAll(pem, {{"\n", "\\n"}}),
        absl::StrReplaceAll(pem, {{"\n", "\\r\\n"}}), absl::StrReplaceAll(pem, {{"\n", " "}}),
        absl::StrReplaceAll(pem, {{"\n", ""}}), absl::StrReplaceAll(pem, {{"\n", "\n    "}}),
        absl::StrCat("\"", pem, "\""), absl::StrCat("\xEF\xBB\xBF", pem),
        absl::StrCat("Certificate:\n    Data:\n", pem, "\n\n")}) {
    EXPECT_EQ(NormalizePem(pasted), pem) << pasted;
    EXPECT_EQ(CompactCertificates(pasted), Body()) << pasted;
  }
}

TEST(PemTest, Base64WithoutALabelMayHaveLinesToo) {
  for (const char* space : {"\n", "\r\n", " ", "\\n", "\t", ""}) {
    EXPECT_EQ(CompactCertificates(
                  absl::StrCat(" ", Body().substr(0, 40), space, Body().substr(40), "\n")),
              Body());
  }
}

TEST(PemTest, EveryBlockIsKept) {
  const std::string chain = absl::StrCat(Pem(), Pem("PRIVATE KEY"), Pem());
  EXPECT_EQ(NormalizePem(absl::StrReplaceAll(chain, {{"\n", "\\n"}})), chain);
  EXPECT_EQ(CompactCertificates(chain), absl::StrCat(Body(), ",", Body()));
}

TEST(PemTest, WhatIsNotUnderstoodIsLeftAsItIs) {
  for (const std::string& text :
       {std::string(), std::string("hello"), std::string("-----BEGIN CERTIFICATE-----\nAAAA"),
        std::string("-----BEGIN "),
        std::string("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA "
                    "PRIVATE KEY-----\n")}) {
    EXPECT_EQ(NormalizePem(text), text);
  }
}

}  // namespace
}  // namespace gannet::base
