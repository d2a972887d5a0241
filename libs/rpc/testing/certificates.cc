#include "libs/rpc/testing/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "libs/base/check.h"

namespace gannet::rpc {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

std::string TextOf(const Bio& bio) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<size_t>(size));
}

std::string PemOf(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()), &BIO_free_all);
  GANNET_CHECK(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) ==
               1);
  return TextOf(bio);
}

std::string PemOf(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()), &BIO_free_all);
  GANNET_CHECK(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return TextOf(bio);
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  GANNET_CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Signed by `signer`, whose certificate is `issuer`; by itself when that is null.
Certificate Make(EVP_PKEY* key, const char* name, const TestValidity& validity, X509* issuer,
                 EVP_PKEY* signer, const std::string& names) {
  Certificate certificate(X509_new(), &X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate.get()), absl::GetCurrentTimeNanos());
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(validity.from));
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(validity.until));
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509* const issuer_or_self = issuer == nullptr ? certificate.get() : issuer;
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer_or_self));
  if (issuer == nullptr) {
    AddExtension(certificate.get(), issuer_or_self, NID_basic_constraints, "critical,CA:TRUE");
    AddExtension(certificate.get(), issuer_or_self, NID_key_usage, "critical,keyCertSign");
  } else {
    AddExtension(certificate.get(), issuer_or_self, NID_subject_alt_name, names);
  }
  GANNET_CHECK(X509_sign(certificate.get(), signer, EVP_sha256()) > 0);
  return certificate;
}

}  // namespace

struct TestAuthority::Parts {
  Key key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
  Certificate certificate{nullptr, &X509_free};
};

TestAuthority::TestAuthority(const TestValidity& validity, const std::string& name)
    : parts_(std::make_unique<Parts>()) {
  parts_->certificate =
      Make(parts_->key.get(), name.c_str(), validity, nullptr, parts_->key.get(), "");
  own_ = {PemOf(parts_->certificate.get()), PemOf(parts_->key.get())};
}

TestAuthority::~TestAuthority() = default;

TestCertificate TestAuthority::Issue(const std::string& names, const TestValidity& validity) const {
  const Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const Certificate certificate = Make(key.get(), "Gannet test server", validity,
                                       parts_->certificate.get(), parts_->key.get(), names);
  return {PemOf(certificate.get()), PemOf(key.get())};
}

}  // namespace gannet::rpc
