#include "libs/base/url_password.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace gannet::base {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// libpq decodes %XX in names of parameters too.
std::string PercentDecoded(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 &&
        HexValue(text[i + 2]) >= 0) {
      decoded.push_back(static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2])));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

// "password" as the name of a parameter, also as the end of "sslpassword".
bool NamesPasswordParameter(absl::string_view url) {
  const std::string text = absl::AsciiStrToLower(PercentDecoded(url));
  const std::string word = "password";
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    size_t after = at + word.size();
    while (after < text.size() && absl::ascii_isspace(static_cast<unsigned char>(text[after]))) {
      ++after;
    }
    if (after < text.size() && text[after] == '=') return true;
  }
  return false;
}

// Where USER:PASSWORD begins and its "@" stands; false without an "@". The last "@" counts, because
// an unescaped one may be part of the password.
bool FindUserInfo(absl::string_view url, size_t* begin, size_t* at) {
  const size_t scheme = url.find("://");
  if (scheme == absl::string_view::npos) return false;
  *begin = scheme + 3;
  *at = url.rfind('@');
  return *at != absl::string_view::npos && *at >= *begin;
}

}  // namespace

bool CarriesPassword(absl::string_view url) {
  size_t begin = 0;
  size_t at = 0;
  if (FindUserInfo(url, &begin, &at) && absl::StrContains(url.substr(begin, at - begin), ":")) {
    return true;
  }
  return NamesPasswordParameter(url);
}

std::string MaskPassword(absl::string_view url) {
  if (!CarriesPassword(url)) return std::string(url);
  // A password in a parameter may hold anything, so nothing after the first mark is shown.
  if (NamesPasswordParameter(url)) {
    return absl::StrCat(url.substr(0, std::min(url.find_first_of("?:="), url.size())), "***");
  }
  size_t begin = 0;
  size_t at = 0;
  FindUserInfo(url, &begin, &at);
  const size_t colon = url.find(':', begin);
  return absl::StrCat(url.substr(0, colon), ":***", url.substr(at));
}

}  // namespace gannet::base
