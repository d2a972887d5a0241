#include "libs/base/pem.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace gannet::base {
namespace {

constexpr absl::string_view kBegin = "-----BEGIN ";
constexpr absl::string_view kEnd = "-----END ";
constexpr absl::string_view kDashes = "-----";
constexpr size_t kLineChars = 64;

struct Block {
  std::string label;  // "CERTIFICATE"
  std::string body;   // without white space
};

bool IsBase64(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '/' || c == '=';
  });
}

// A line break is white space however it is written; none of these is part of base64.
std::string WithoutSpace(absl::string_view text) {
  std::string bare = absl::StrReplaceAll(
      text, {{"\\r", ""}, {"\\n", ""}, {"\\t", ""}, {"\xEF\xBB\xBF", ""}, {"\xC2\xA0", ""}});
  std::erase_if(bare, [](char c) {
    return absl::ascii_isspace(static_cast<unsigned char>(c)) || c == '"' || c == '\'' || c == '\\';
  });
  return bare;
}

// Nothing when one of them cannot be read so.
std::optional<std::vector<Block>> ReadBlocks(absl::string_view text) {
  std::vector<Block> blocks;
  while (true) {
    const size_t begin = text.find(kBegin);
    if (begin == absl::string_view::npos) break;
    text.remove_prefix(begin + kBegin.size());
    const size_t label_end = text.find(kDashes);
    if (label_end == absl::string_view::npos) return std::nullopt;
    Block block{.label = std::string(text.substr(0, label_end)), .body = {}};
    text.remove_prefix(label_end + kDashes.size());
    const size_t end = text.find(absl::StrCat(kEnd, block.label, kDashes));
    if (end == absl::string_view::npos) return std::nullopt;
    block.body = WithoutSpace(text.substr(0, end));
    if (!IsBase64(block.body)) return std::nullopt;
    blocks.push_back(std::move(block));
    text.remove_prefix(end);
  }
  return blocks;
}

}  // namespace

std::string NormalizePem(absl::string_view text) {
  const std::optional<std::vector<Block>> blocks = ReadBlocks(text);
  if (!blocks.has_value() || blocks->empty()) return std::string(text);
  std::string pem;
  for (const Block& block : *blocks) {
    absl::StrAppend(&pem, kBegin, block.label, kDashes, "\n");
    for (size_t at = 0; at < block.body.size(); at += kLineChars) {
      absl::StrAppend(&pem, block.body.substr(at, kLineChars), "\n");
    }
    absl::StrAppend(&pem, kEnd, block.label, kDashes, "\n");
  }
  return pem;
}

std::string CompactCertificates(absl::string_view text) {
  const std::optional<std::vector<Block>> blocks = ReadBlocks(text);
  std::vector<std::string> bodies;
  for (const Block& block : blocks.value_or(std::vector<Block>())) {
    if (absl::EndsWith(block.label, "CERTIFICATE")) bodies.push_back(block.body);
  }
  return bodies.empty() ? WithoutSpace(text) : absl::StrJoin(bodies, ",");
}

}  // namespace gannet::base
