#include "cli/url_name.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/printable.h"
#include "libs/base/hex.h"

namespace gannet::cli {
namespace {

// Of a name on the usual file systems, and what Gannet puts behind it while it arrives.
constexpr size_t kMaxNameBytes = 255 - 16;

// A percent sign without two digits behind it stands for itself.
std::string PercentDecoded(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const std::string digits = absl::AsciiStrToLower(text.substr(i + 1, 2));
      if (base::IsHex(digits, 2)) {
        decoded += base::HexDecode(digits);
        i += 2;
        continue;
      }
    }
    decoded.push_back(text[i]);
  }
  return decoded;
}

}  // namespace

absl::StatusOr<std::string> FileNameOfUrl(absl::string_view url) {
  const absl::string_view whole = url;
  url = url.substr(0, url.find('#'));
  url = url.substr(0, url.find('?'));
  const size_t scheme = url.find("://");
  if (scheme != absl::string_view::npos) url.remove_prefix(scheme + 3);
  // In "https://example.org" there is the name of a server and none of a file.
  const size_t slash = url.rfind('/');
  const std::string name =
      slash == absl::string_view::npos ? "" : PercentDecoded(url.substr(slash + 1));
  if (name.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the address ends without the name of a file: ", base::Printable(whole)));
  }
  const bool has_separator = name.find_first_of("/\\") != std::string::npos;
  if (has_separator || absl::StartsWith(name, ".") || name.size() > kMaxNameBytes ||
      base::Printable(name) != name) {
    return absl::InvalidArgumentError(
        absl::StrCat("the name in the address is none for a file here (",
                     has_separator                 ? "a separator of folders is in it"
                     : absl::StartsWith(name, ".") ? "it is hidden"
                     : name.size() > kMaxNameBytes ? "it is too long"
                                                   : "it is no text",
                     "): ", base::Printable(name)));
  }
  return name;
}

}  // namespace gannet::cli
