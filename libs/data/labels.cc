#include "libs/data/labels.h"

#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset.h"
#include "nlohmann/json.hpp"

namespace gannet {
namespace {

constexpr size_t kShownChars = 80;

// As many as a label has bits, but for its sign.
constexpr size_t kMaxAttributes = 62;

using LabelByName = std::unordered_map<std::string, int64_t>;

absl::Status NotLabels(absl::string_view file, absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat("labels cannot be used, mend or remove ", file, ": ", why));
}

absl::string_view BaseName(absl::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == absl::string_view::npos ? name : name.substr(slash + 1);
}

// Of every image, by its name without folders.
absl::StatusOr<std::vector<int64_t>> LabelsOf(absl::string_view file, const LabelByName& by_name,
                                              const std::vector<std::string>& names) {
  std::vector<int64_t> values;
  values.reserve(names.size());
  for (const std::string& name : names) {
    const auto found = by_name.find(std::string(BaseName(name)));
    if (found == by_name.end()) {
      return NotLabels(file, absl::StrCat("no label for ", Printable(name, kShownChars)));
    }
    values.push_back(found->second);
  }
  return values;
}

// The fields of a line, between spaces or commas.
std::vector<absl::string_view> Fields(absl::string_view line) {
  return absl::StrSplit(line, absl::ByAnyChar(", \t\r"), absl::SkipEmpty());
}

}  // namespace

absl::StatusOr<ImageLabels> ParseDatasetJson(absl::string_view text,
                                             const std::vector<std::string>& names) {
  constexpr absl::string_view kFile = "dataset.json";
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("labels")) {
    return NotLabels(kFile, "expected an object with the key 'labels'");
  }
  const nlohmann::json& labels = json["labels"];
  if (labels.is_null()) return ImageLabels();
  if (!labels.is_array()) return NotLabels(kFile, "'labels' is no list");
  LabelByName by_name;
  for (const nlohmann::json& entry : labels) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() ||
        !entry[1].is_number_integer()) {
      return NotLabels(
          kFile, absl::StrCat("entry ", by_name.size(), " is not [\"NAME\", NUMBER of the class]"));
    }
    by_name[entry[0].get<std::string>()] = entry[1].get<int64_t>();
  }
  ImageLabels result;
  result.values.reserve(names.size());
  bool any = false;
  for (const std::string& name : names) {
    const auto found = by_name.find(name);
    any = any || found != by_name.end();
    result.values.push_back(found == by_name.end() ? kNoLabel : found->second);
  }
  // Rather names of another folder than images that nobody has labelled.
  if (!any && !names.empty()) {
    return NotLabels(kFile, absl::StrCat("it names none of the images, whose first is ",
                                         Printable(names.front(), kShownChars)));
  }
  return result;
}

absl::StatusOr<ImageLabels> ParseCelebaAttributes(absl::string_view text,
                                                  const std::vector<std::string>& names) {
  constexpr absl::string_view kFile = "list_attr_celeba";
  ImageLabels result;
  LabelByName by_name;
  int64_t line_number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    std::vector<absl::string_view> fields = Fields(line);
    if (fields.empty()) continue;
    if (result.bits.empty()) {
      int64_t count = 0;
      if (fields.size() == 1 && absl::SimpleAtoi(fields[0], &count)) continue;
      if (fields[0] == "image_id") fields.erase(fields.begin());
      if (fields.empty() || fields.size() > kMaxAttributes || absl::StrContains(fields[0], ".")) {
        return NotLabels(kFile,
                         absl::StrCat("line ", line_number, " should name the attributes, at most ",
                                      kMaxAttributes));
      }
      for (const absl::string_view field : fields) result.bits.emplace_back(field);
      continue;
    }
    if (fields.size() != result.bits.size() + 1) {
      return NotLabels(kFile, absl::StrCat("line ", line_number, " has ", fields.size(),
                                           " fields, expected ", result.bits.size() + 1));
    }
    int64_t label = 0;
    for (size_t bit = 0; bit < result.bits.size(); ++bit) {
      if (fields[bit + 1] == "1") {
        label |= int64_t{1} << bit;
      } else if (fields[bit + 1] != "-1" && fields[bit + 1] != "0") {
        return NotLabels(kFile, absl::StrCat("line ", line_number, ": values are 1, -1 or 0, got ",
                                             Printable(fields[bit + 1], kShownChars)));
      }
    }
    by_name[std::string(fields[0])] = label;
  }
  if (result.bits.empty()) return NotLabels(kFile, "it names no attributes");
  GANNET_ASSIGN_OR_RETURN(result.values, LabelsOf(kFile, by_name, names));
  return result;
}

}  // namespace gannet
