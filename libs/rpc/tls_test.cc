#include "libs/rpc/tls.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/pem.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/rpc/testing/certificates.h"

namespace gannet::rpc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kNames[] = "DNS:localhost,IP:127.0.0.1";

PemText Named(const std::string& text) { return {text, "gateway.tls_cert_file 'x.crt'"}; }

TEST(TlsTest, ACertificateWithItsKeyIsTaken) {
  const TestCertificate server = TestAuthority().Issue(kNames);

  EXPECT_OK(MakeServerTls(Named(server.certificate), Named(server.key), absl::Now()));
}

TEST(TlsTest, ACertificateOutsideItsTimeIsRefusedWithItsDates) {
  const TestAuthority authority;
  const absl::Time year_2000 = absl::FromUnixSeconds(946684800);
  const TestCertificate old =
      authority.Issue(kNames, {.from = year_2000, .until = year_2000 + absl::Hours(24)});
  EXPECT_THAT(
      MakeServerTls(Named(old.certificate), Named(old.key), absl::Now()),
      base::StatusIs(absl::StatusCode::kFailedPrecondition,
                     AllOf(HasSubstr("expired at 2000-01-02 00:00 UTC"), HasSubstr("x.crt"))));

  const TestCertificate server = authority.Issue(kNames);
  EXPECT_THAT(MakeServerTls(Named(server.certificate), Named(server.key), year_2000),
              base::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("2000-01-01"), HasSubstr("clock"))));
}

TEST(TlsTest, AnotherCertificatesKeyIsRefused) {
  const TestAuthority authority;

  EXPECT_THAT(
      MakeServerTls(Named(authority.Issue(kNames).certificate), Named(authority.Issue(kNames).key),
                    absl::Now()),
      base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not the certificate's")));
}

TEST(TlsTest, WhatIsNoPemIsNamed) {
  const TestCertificate server = TestAuthority().Issue(kNames);

  EXPECT_THAT(MakeServerTls(Named("nonsense"), Named(server.key), absl::Now()),
              base::StatusIs(absl::StatusCode::kInvalidArgument,
                             AllOf(HasSubstr("BEGIN CERTIFICATE"), HasSubstr("x.crt"))));
  EXPECT_THAT(MakeServerTls(Named(server.certificate), Named(""), absl::Now()),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("BEGIN PRIVATE KEY")));
  EXPECT_THAT(MakeChannelTls(Named(server.key), absl::Now()),
              base::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no certificate")));
}

TEST(TlsTest, AnAuthorityOutsideItsTimeIsRefused) {
  const TestAuthority old(
      {.from = absl::Now() - absl::Hours(2), .until = absl::Now() - absl::Hours(1)});

  EXPECT_THAT(MakeChannelTls(Named(old.certificate()), absl::Now()),
              base::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("expired")));
  EXPECT_OK(MakeChannelTls(Named(TestAuthority().certificate() + old.certificate()), absl::Now()));
}

TEST(TlsTest, ACompactCertificateIsTheSameCertificate) {
  const TestAuthority authority;
  const std::string compact = absl::StrReplaceAll(
      authority.certificate(),
      {{"-----BEGIN CERTIFICATE-----", ""}, {"-----END CERTIFICATE-----", ""}, {"\n", ""}});

  EXPECT_THAT(PemFromCompact(compact), base::IsOkAndHolds(authority.certificate()));
  EXPECT_THAT(PemFromCompact(authority.certificate()), base::IsOkAndHolds(authority.certificate()));
  const std::string twice = absl::StrCat(authority.certificate(), authority.certificate());
  EXPECT_THAT(PemFromCompact(base::CompactCertificates(twice)), base::IsOkAndHolds(twice));
  EXPECT_THAT(PemFromCompact(absl::StrReplaceAll(authority.certificate(), {{"\n", "\\n"}})),
              base::IsOkAndHolds(authority.certificate()));
  EXPECT_THAT(PemFromCompact(compact.substr(0, compact.size() - 40)),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(PemFromCompact(""), base::StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace gannet::rpc
