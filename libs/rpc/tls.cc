#include "libs/rpc/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <ctime>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/pem.h"
#include "libs/base/status_macros.h"

namespace gannet::rpc {
namespace {

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
using Certificate = std::unique_ptr<X509, Freer<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO, BIO_free_all>>;

Bio Read(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// An encrypted key is not asked for its password: nobody sits there to type it.
int NoPassword(char*, int, int, void*) { return -1; }

absl::StatusOr<std::vector<Certificate>> ReadCertificates(const PemText& pem) {
  std::vector<Certificate> certificates;
  const Bio bio = Read(pem.text);
  while (Certificate certificate{PEM_read_bio_X509(bio.get(), nullptr, &NoPassword, nullptr)}) {
    certificates.push_back(std::move(certificate));
  }
  ERR_clear_error();  // the end of the text is an error to OpenSSL
  if (certificates.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no certificate in it: it must hold lines from -----BEGIN CERTIFICATE----- to -----END "
        "CERTIFICATE-----: ",
        pem.source));
  }
  return certificates;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

absl::Status CheckTime(const X509* certificate, const std::string& source, absl::Time now) {
  const absl::Time from = TimeOf(X509_get0_notBefore(certificate));
  const absl::Time until = TimeOf(X509_get0_notAfter(certificate));
  if (now > until) {
    return absl::FailedPreconditionError(
        absl::StrCat("the certificate expired at ", Date(until), ", make a new one: ", source));
  }
  if (now < from) {
    return absl::FailedPreconditionError(
        absl::StrCat("the certificate is valid from ", Date(from), " only, and it is ", Date(now),
                     " here: check this machine's clock: ", source));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerTls(const PemText& certificates,
                                                                       const PemText& private_key,
                                                                       absl::Time now) {
  GANNET_ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ReadCertificates(certificates));
  GANNET_RETURN_IF_ERROR(CheckTime(chain.front().get(), certificates.source, now));
  const Bio bio = Read(private_key.text);
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &NoPassword, nullptr));
  ERR_clear_error();
  if (key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        absl::StrContains(private_key.text, "ENCRYPTED")
            ? "the private key is encrypted, store it without a password: "
            : "no private key in it: it must hold lines from -----BEGIN PRIVATE KEY-----: ",
        private_key.source));
  }
  if (X509_check_private_key(chain.front().get(), key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        absl::StrCat("the private key is not the certificate's: ", private_key.source, " and ",
                     certificates.source));
  }
  grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({private_key.text, certificates.text});
  return grpc::SslServerCredentials(options);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelTls(const PemText& authorities,
                                                                         absl::Time now) {
  grpc::SslCredentialsOptions options;
  if (!authorities.text.empty()) {
    GANNET_ASSIGN_OR_RETURN(const std::vector<Certificate> trusted, ReadCertificates(authorities));
    absl::Status outdated;
    for (const Certificate& certificate : trusted) {
      outdated = CheckTime(certificate.get(), authorities.source, now);
      if (outdated.ok()) break;
    }
    GANNET_RETURN_IF_ERROR(outdated);
    options.pem_root_certs = authorities.text;
  }
  return grpc::SslCredentials(options);
}

absl::StatusOr<std::string> PemFromCompact(const std::string& text) {
  std::string pem;
  for (const absl::string_view part : absl::StrSplit(base::CompactCertificates(text), ',')) {
    std::string der;
    const bool is_base64 = absl::Base64Unescape(part, &der) && !der.empty();
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    const Certificate certificate(
        is_base64 ? d2i_X509(nullptr, &bytes, static_cast<long>(der.size())) : nullptr);
    ERR_clear_error();
    const Bio bio(BIO_new(BIO_s_mem()));
    if (certificate == nullptr || PEM_write_bio_X509(bio.get(), certificate.get()) != 1) {
      return absl::InvalidArgumentError(
          "not a certificate: it must be PEM, or base64 as the instructor's command line has it "
          "(was a part lost when it was copied?)");
    }
    char* written = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &written);
    pem.append(written, static_cast<size_t>(size));
  }
  return pem;
}

HandshakeAdvice AdviseOnHandshake(absl::string_view message) {
  static constexpr char kOtherAuthority[] =
      "the server's certificate is not signed by the certificate authority given here, or it has "
      "expired: get the current one from whoever runs the server";
  static constexpr char kOtherName[] =
      "the server's certificate is for another host name: call it by a name that is in the "
      "certificate, or have this name added to it";
  static constexpr char kNoTls[] =
      "there is a server, but it does not speak TLS: is it another port, or is the server started "
      "without a certificate?";
  static constexpr char kPerhapsTls[] =
      "if this lasts, the server may want TLS, or this may not be its port";
  static constexpr struct {
    const char* words;
    const char* advice;
    bool certain;
  } kKnown[] = {
      {"CERTIFICATE_VERIFY_FAILED", kOtherAuthority, true},
      {"certificate verify failed", kOtherAuthority, true},
      // OpenSSL, when another authority of the same name has signed.
      {"asn1 encoding routines::EVP lib", kOtherAuthority, true},
      {"Hostname Verification Check failed", kOtherName, true},
      {"is not in peer certificate", kOtherName, true},
      {"WRONG_VERSION_NUMBER", kNoTls, true},
      {"wrong version number", kNoTls, true},
      // What a server that wants TLS does to a client that does not speak it; but a server that is
      // going down does the same.
      {"Socket closed", kPerhapsTls, false},
      {"Connection reset by peer", kPerhapsTls, false},
  };
  for (const auto& known : kKnown) {
    if (absl::StrContains(message, known.words)) return {known.advice, known.certain};
  }
  return {};
}

}  // namespace gannet::rpc
