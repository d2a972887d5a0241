#include "cli/fetched_content.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "libs/base/hex.h"
#include "libs/base/training_choices.h"
#include "libs/data/dataset_kind.h"
#include "libs/data/zip_start.h"

namespace gannet::cli {
namespace {

struct Magic {
  absl::string_view ending;
  absl::string_view bytes;
};
constexpr Magic kMagics[] = {{".zip", "PK\x03\x04"},
                             {".gz", "\x1f\x8b"},
                             {".tgz", "\x1f\x8b"},
                             {".png", "\x89PNG"},
                             {".jpg", "\xff\xd8\xff"},
                             {".jpeg", "\xff\xd8\xff"},
                             {".gif", "GIF8"},
                             {".webp", "RIFF"},
                             {".7z", "7z\xbc\xaf"},
                             {".rar", "Rar!"},
                             {".bz2", "BZh"},
                             {".xz",
                              "\xfd"
                              "7zXZ"},
                             {".zst", "\x28\xb5\x2f\xfd"}};

// Names of files that are text.
constexpr absl::string_view kTextEndings[] = {".txt",  ".csv", ".tsv", ".md",  ".json",   ".jsonl",
                                              ".yaml", ".yml", ".xml", ".svg", ".sha256", ".md5"};
// And of those that may begin as an answer in JSON or XML does.
constexpr absl::string_view kJsonEndings[] = {".json", ".jsonl"};
constexpr absl::string_view kXmlEndings[] = {".xml", ".svg"};

constexpr size_t kHeadBytes = 1024;

template <typename Table>
bool EndsWithOneOf(absl::string_view name, const Table& endings) {
  return std::any_of(std::begin(endings), std::end(endings), [&](absl::string_view ending) {
    return absl::EndsWithIgnoreCase(name, ending);
  });
}

bool IsWebPage(absl::string_view head) {
  if (absl::StartsWithIgnoreCase(head, "<!doctype")) return true;
  // Behind a comment or an XML declaration, maybe.
  return absl::StartsWith(head, "<") && absl::StrContains(absl::AsciiStrToLower(head), "<html");
}

// Whether there is nothing in it that text has not.
bool IsText(absl::string_view head) {
  return std::all_of(head.begin(), head.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || absl::ascii_isprint(byte) || absl::ascii_isspace(byte);
  });
}

// Whether it may be a data set although it looks like text.
bool MayBeDataset(const std::string& path, absl::string_view head) {
  return std::any_of(
      std::begin(base::kDatasetNames), std::end(base::kDatasetNames), [&](auto name) {
        const auto may_look_like_text = data::FindDatasetKind(name)->may_look_like_text;
        return may_look_like_text != nullptr && may_look_like_text(path, head);
      });
}

}  // namespace

absl::Status CheckFetchedContent(const std::string& path, absl::string_view name, bool is_proven) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes(kHeadBytes, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(in.gcount()));
  if (bytes.empty()) {
    return absl::DataLossError("the server sent an empty file: is the address complete?");
  }
  absl::string_view text = bytes;
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  text = absl::StripLeadingAsciiWhitespace(text);
  if (IsWebPage(text)) {
    return absl::DataLossError(
        "a web page arrived instead of the file (a limit that is used up, or a question to "
        "answer): "
        "open the address in a browser and save the file from there");
  }
  if (is_proven) return absl::OkStatus();
  if (absl::StartsWith(text, "version https://git-lfs.github.com/")) {
    return absl::DataLossError(
        "a pointer of Git LFS arrived instead of the file: take the address of the button "
        "\"download\", or `git lfs pull` in a clone");
  }
  const bool is_text = IsText(bytes);
  const bool is_json = is_text && (absl::StartsWith(text, "{") || absl::StartsWith(text, "[")) &&
                       !EndsWithOneOf(name, kJsonEndings);
  const bool is_xml =
      is_text && absl::StartsWith(text, "<?xml") && !EndsWithOneOf(name, kXmlEndings);
  if (is_json || is_xml) {
    return absl::DataLossError(absl::StrCat(
        "a site's answer arrived instead of the file (", is_json ? "JSON" : "XML",
        "): open the address in a browser; if that is what it should be, name it with --out FILE",
        is_json ? ".json" : ".xml"));
  }
  for (const Magic& magic : kMagics) {
    if (!absl::EndsWithIgnoreCase(name, magic.ending) || absl::StartsWith(bytes, magic.bytes)) {
      continue;
    }
    // An archive may stand behind the program that unpacks it.
    if (magic.ending == ".zip" && data::ZipStart(path) > 0) continue;
    return absl::DataLossError(absl::StrCat("what arrived is no ", magic.ending,
                                            " file, it begins with ",
                                            base::HexEncode(bytes.substr(0, 8))));
  }
  if (is_text && !EndsWithOneOf(name, kTextEndings) && !MayBeDataset(path, bytes)) {
    return absl::DataLossError(
        "what arrived is text, neither images nor an archive: if that is what it should be, name "
        "the file with --out FILE.txt, or give its checksum with --sha256");
  }
  return absl::OkStatus();
}

}  // namespace gannet::cli
