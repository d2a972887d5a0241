#include "libs/data/labels.h"

#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/data/dataset.h"
#include "libs/data/delimited_text.h"
#include "libs/data/image_names.h"
#include "nlohmann/json.hpp"

namespace gannet::data {
namespace {

constexpr size_t kShownChars = 80;

// As many as a label has bits, but for its sign.
constexpr size_t kMaxAttributes = 62;

absl::string_view BaseName(absl::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == absl::string_view::npos ? name : name.substr(slash + 1);
}

// The name without its ending.
absl::string_view Stem(absl::string_view name) {
  const size_t dot = name.rfind('.');
  const size_t slash = name.rfind('/');
  const bool has_ending = dot != absl::string_view::npos && dot > 0 &&
                          (slash == absl::string_view::npos || dot > slash + 1);
  return has_ending ? name.substr(0, dot) : name;
}

// Labels by the names that a list gives them to.
class LabelList {
 public:
  // Names of images are in Unicode's form C; lists have the form of whoever wrote them.
  void Add(const std::string& listed_name, int64_t label) {
    const std::string name = NormalizedName(listed_name);
    by_name_[name] = label;
    const auto [found, is_new] = by_stem_.emplace(Stem(name), label);
    // Two images that differ in their endings and labels: neither is meant by a third.
    if (!is_new && found->second != label) found->second = kNoLabel;
  }

  int64_t LabelOf(absl::string_view name) const {
    if (const auto found = by_name_.find(std::string(name)); found != by_name_.end()) {
      return found->second;
    }
    const auto found = by_stem_.find(std::string(Stem(name)));
    return found == by_stem_.end() ? kNoLabel : found->second;
  }

 private:
  std::unordered_map<std::string, int64_t> by_name_;
  std::unordered_map<std::string, int64_t> by_stem_;
};

// The labels of the images in their order.
absl::StatusOr<std::vector<int64_t>> LabelsOf(const LabelList& list,
                                              const std::vector<std::string>& names,
                                              bool without_folders) {
  std::vector<int64_t> values;
  values.reserve(names.size());
  bool any = false;
  for (const std::string& name : names) {
    values.push_back(list.LabelOf(without_folders ? BaseName(name) : name));
    any = any || values.back() != kNoLabel;
  }
  // Rather names of another collection than images that nobody has labelled.
  if (!any && !names.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("it names none of the images, whose first is ",
                     base::Printable(names.front(), kShownChars)));
  }
  return values;
}

// Spreadsheets may save empty fields to the right of what is filled in.
void DropEmptyFields(size_t keep, std::vector<std::string>& fields) {
  while (fields.size() > keep && fields.back().empty()) fields.pop_back();
}

// The names of the attributes. `field_count` is that of the rows below them, 0 where the names of
// the images have no column of their own in the header, as in the list that CelebA publishes.
absl::StatusOr<std::vector<std::string>> AttributesOf(const TextRow& header, size_t field_count) {
  std::vector<std::string> names = header.fields;
  DropEmptyFields(1, names);
  // Over the names of the images stands "image_id", or nothing at all.
  if (names.size() == field_count || names.front() == "image_id") names.erase(names.begin());
  if (names.empty() || names.size() > kMaxAttributes || absl::StrContains(names.front(), ".")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "line ", header.line, " should name the attributes, at most ", kMaxAttributes));
  }
  return names;
}

absl::StatusOr<int64_t> LabelOfRow(const TextRow& row, size_t attribute_count) {
  int64_t label = 0;
  for (size_t bit = 0; bit < attribute_count; ++bit) {
    const std::string& value = row.fields[bit + 1];
    if (value == "1") {
      label |= int64_t{1} << bit;
    } else if (value != "-1" && value != "0") {
      return absl::FailedPreconditionError(absl::StrCat(
          "line ", row.line, ": values are 1, -1 or 0, got ", base::Printable(value, kShownChars)));
    }
  }
  return label;
}

}  // namespace

absl::StatusOr<ImageLabels> ParseDatasetJson(absl::string_view text,
                                             const std::vector<std::string>& names) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("labels")) {
    return absl::FailedPreconditionError("it is no object with a list 'labels'");
  }
  const nlohmann::json& labels = json["labels"];
  if (labels.is_null()) return ImageLabels();
  if (!labels.is_array()) return absl::FailedPreconditionError("'labels' is no list");
  LabelList list;
  for (size_t i = 0; i < labels.size(); ++i) {
    const nlohmann::json& entry = labels[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() ||
        !entry[1].is_number_integer()) {
      return absl::FailedPreconditionError(
          absl::StrCat("entry ", i, " of 'labels' is not [\"NAME\", NUMBER of the class]"));
    }
    list.Add(entry[0].get<std::string>(), entry[1].get<int64_t>());
  }
  ImageLabels result;
  GANNET_ASSIGN_OR_RETURN(result.values, LabelsOf(list, names, /*without_folders=*/false));
  return result;
}

absl::StatusOr<ImageLabels> ParseCelebaAttributes(absl::string_view text,
                                                  const std::vector<std::string>& names) {
  GANNET_ASSIGN_OR_RETURN(std::vector<TextRow> rows, SplitDelimitedText(text));
  int64_t image_count = 0;
  const bool is_as_published = !rows.empty() && rows[0].fields.size() == 1 &&
                               absl::SimpleAtoi(rows[0].fields[0], &image_count);
  if (is_as_published) rows.erase(rows.begin());
  if (rows.empty()) return absl::FailedPreconditionError("it names no attributes");
  if (rows.size() > 1) DropEmptyFields(1, rows[1].fields);
  ImageLabels result;
  const size_t field_count = is_as_published || rows.size() < 2 ? 0 : rows[1].fields.size();
  GANNET_ASSIGN_OR_RETURN(result.bits, AttributesOf(rows[0], field_count));
  LabelList list;
  for (size_t i = 1; i < rows.size(); ++i) {
    DropEmptyFields(result.bits.size() + 1, rows[i].fields);
    if (rows[i].fields.size() != result.bits.size() + 1) {
      return absl::FailedPreconditionError(absl::StrCat("line ", rows[i].line, " has ",
                                                        rows[i].fields.size(), " fields, expected ",
                                                        result.bits.size() + 1));
    }
    GANNET_ASSIGN_OR_RETURN(const int64_t label, LabelOfRow(rows[i], result.bits.size()));
    list.Add(rows[i].fields[0], label);
  }
  GANNET_ASSIGN_OR_RETURN(result.values, LabelsOf(list, names, /*without_folders=*/true));
  return result;
}

}  // namespace gannet::data
