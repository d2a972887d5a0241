#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"

namespace gannet::rpc {

// A text in PEM, and where it came from, for messages.
struct PemText {
  std::string text;
  std::string source;  // "gateway.tls_cert_file '/etc/gannet/tls.crt'"
};

// Credentials of a server that proves who it is by a certificate; its clients prove nothing by TLS.
// gRPC itself would take anything and then fail every handshake without a word, so everything that
// can be known before is looked at here. Returns: INVALID_ARGUMENT - not PEM, an encrypted key, or
// a key that is not the certificate's; FAILED_PRECONDITION - `now` is not within the certificate's
// time.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerTls(const PemText& certificates,
                                                                       const PemText& private_key,
                                                                       absl::Time now);

// Credentials of a client that trusts servers whose certificate one of `authorities` has signed;
// with an empty text, those that the operating system trusts. Returns: INVALID_ARGUMENT - no
// certificate in it; FAILED_PRECONDITION - none of them is within its time at `now`.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelTls(const PemText& authorities,
                                                                         absl::Time now);

// PEM from a certificate that fits on a command line: base64 of its DER, without the lines of PEM;
// or from PEM, however its lines were pasted (see CompactCertificates). Returns: INVALID_ARGUMENT -
// neither.
absl::StatusOr<std::string> PemFromCompact(const std::string& text);

// What a person can do about a connection that failed while it was being made, judging by gRPC's
// message; empty when that is not TLS's doing. `certain`: waiting will not help.
struct HandshakeAdvice {
  std::string text;
  bool certain = false;
};
HandshakeAdvice AdviseOnHandshake(absl::string_view message);

}  // namespace gannet::rpc
