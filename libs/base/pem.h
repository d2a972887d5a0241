#pragma once

#include <string>

#include "absl/strings/string_view.h"

// Certificates and keys as people paste them: with line breaks of another system, of the two
// characters "\n", as spaces, or with none at all, indented, or in quotes.
namespace gannet::base {

// The blocks of a text in PEM, as programs want them: without what stands around them, in lines of
// 64 characters. A text without a block, or with one that is not base64 alone (an encrypted key
// has headers in it), is returned as it is.
std::string NormalizePem(absl::string_view text);

// The same as one piece: base64 of each certificate, with a comma between two. A text that has no
// block is taken for base64 already.
std::string CompactCertificates(absl::string_view text);

}  // namespace gannet::base
