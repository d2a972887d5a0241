#pragma once

#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace gannet::rpc {

// A certificate with its private key, both in PEM.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

// When a certificate is valid.
struct TestValidity {
  absl::Time from = absl::Now() - absl::Hours(1);
  absl::Time until = absl::Now() + absl::Hours(1);
};

// A certificate authority of its own key (ECDSA, P-256), made anew for each test.
//
// Thread safety: const methods may be called from any thread.
class TestAuthority {
 public:
  explicit TestAuthority(const TestValidity& validity = {},
                         const std::string& name = "Gannet test authority");
  ~TestAuthority();

  // In PEM.
  const std::string& certificate() const { return own_.certificate; }

  // A server's certificate. `names` as in subjectAltName: "DNS:gateway,IP:127.0.0.1".
  TestCertificate Issue(const std::string& names, const TestValidity& validity = {}) const;

 private:
  struct Parts;

  TestCertificate own_;
  std::unique_ptr<Parts> parts_;
};

}  // namespace gannet::rpc
