#include "libs/rpc/bearer_token.h"

#include "absl/strings/str_cat.h"

namespace gannet::rpc {
namespace {

constexpr char kKey[] = "authorization";
constexpr absl::string_view kScheme = "Bearer ";

bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  }
  return difference == 0;
}

}  // namespace

BearerToken CheckBearerToken(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
                             absl::string_view expected) {
  const auto found = metadata.find(kKey);
  if (found == metadata.end()) return BearerToken::kMissing;
  const absl::string_view value(found->second.data(), found->second.size());
  return EqualInConstantTime(value, absl::StrCat(kScheme, expected)) ? BearerToken::kRight
                                                                     : BearerToken::kWrong;
}

void AddBearerToken(grpc::ClientContext& context, const std::string& token) {
  if (!token.empty()) context.AddMetadata(kKey, absl::StrCat(kScheme, token));
}

}  // namespace gannet::rpc
