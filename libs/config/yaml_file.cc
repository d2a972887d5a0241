#include "libs/config/yaml_file.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/config/nearest_name.h"
#include "libs/config/schema.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/yaml.h"

namespace gannet::config {
namespace {

// Whether the text at `mark` opens a quote that nothing closes. yaml-cpp takes everything up to the
// end of the file as the value then, and the keys in it would be lost without a word.
bool IsOpenQuote(const std::string& text, const YAML::Mark& mark) {
  size_t at = 0;
  for (int line = 0; line < mark.line; ++line) {
    at = text.find('\n', at);
    if (at == std::string::npos) return false;
    ++at;
  }
  at += static_cast<size_t>(std::max(mark.column, 0));
  if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) return false;
  const char quote = text[at];
  for (++at; at < text.size(); ++at) {
    const bool is_escape = quote == '"' ? text[at] == '\\' : text.compare(at, 2, "''") == 0;
    if (is_escape) {
      ++at;
    } else if (text[at] == quote) {
      return false;
    }
  }
  return true;
}

class Collector {
 public:
  Collector(const std::string& text, YamlContent& content) : text_(text), content_(content) {}

  void Document(const YAML::Node& root) {
    if (root.IsNull()) return;
    if (!root.IsMap()) {
      Mistake(root, "the file must hold sections such as 'training:' with keys below them");
      return;
    }
    std::map<std::string, int> seen;
    for (const auto& item : root) {
      if (!item.first.IsScalar()) {
        Mistake(item.first, "the name of a section must be a plain word");
        continue;
      }
      const std::string& name = item.first.Scalar();
      if (IsDuplicate(seen, name, item.first, "section")) continue;
      Section(name, item.first, item.second);
    }
  }

 private:
  void Section(const std::string& name, const YAML::Node& at, const YAML::Node& body) {
    const auto& sections = SectionNames();
    const bool known = std::find(sections.begin(), sections.end(), name) != sections.end();
    // A section may be empty: its keys may all be commented out.
    if (known && body.IsNull()) return;
    if (!body.IsMap()) {
      if (known) {
        Mistake(at, absl::StrCat("section '", name, "' must hold keys below it, got ", Kind(body)));
      } else {
        UnknownSection(name, at, body.IsScalar() || body.IsNull());
      }
      return;
    }
    if (!known && body.size() == 0) UnknownSection(name, at, false);
    std::map<std::string, int> seen;
    for (const auto& item : body) {
      if (!item.first.IsScalar()) {
        Mistake(item.first, absl::StrCat("a key of section '", name, "' must be a plain word"));
        continue;
      }
      const std::string& key = item.first.Scalar();
      const std::string full = absl::StrCat(name, ".", key);
      // A key and its former name are one.
      const KeySpec* known_key = FindKey(full);
      const std::string& name_now = known_key == nullptr ? full : known_key->name;
      if (IsDuplicate(seen, name_now, item.first,
                      full == name_now ? "key" : absl::StrCat("key ", full, ", now"))) {
        continue;
      }
      if (item.second.IsScalar() && IsOpenQuote(text_, item.second.Mark())) {
        Mistake(item.second, "not valid YAML: the quote is never closed");
      } else if (known_key != nullptr && item.second.IsNull()) {
        Mistake(
            item.first,
            absl::StrCat(full, " has no value: give one (\"\" for an empty text) or remove it"));
      } else if (known_key != nullptr && !item.second.IsScalar()) {
        Mistake(item.first, absl::StrCat(full, " must be one value, got ", Kind(item.second)));
      } else {
        content_.entries.push_back({name, key, item.second.IsScalar() ? item.second.Scalar() : "",
                                    item.first.Mark().line + 1});
      }
    }
  }

  void UnknownSection(const std::string& name, const YAML::Node& at, bool looks_like_key) {
    if (looks_like_key) {
      const std::string key = NearestName(name, KeyNames());
      if (!key.empty()) {
        const size_t dot = key.find('.');
        Mistake(at,
                absl::StrCat("key ", base::Shown(name), " stands outside a section, did you mean '",
                             key.substr(dot + 1), "' below '", key.substr(0, dot), ":'?"));
        return;
      }
    }
    const std::string near = NearestName(name, SectionNames());
    Mistake(at, absl::StrCat("unknown section ", base::Shown(name), ", ",
                             near.empty()
                                 ? absl::StrCat("there are ", absl::StrJoin(SectionNames(), ", "))
                                 : absl::StrCat("did you mean '", near, "'?")));
  }

  bool IsDuplicate(std::map<std::string, int>& seen, const std::string& name, const YAML::Node& at,
                   absl::string_view what) {
    const int line = at.Mark().line + 1;
    const auto [it, added] = seen.emplace(name, line);
    if (!added) {
      Mistake(at, absl::StrCat(what, " ", base::Shown(name), " stands twice, first in line ",
                               it->second));
    }
    return !added;
  }

  static const char* Kind(const YAML::Node& node) {
    if (node.IsMap()) return "keys below it";
    if (node.IsSequence()) return "a list";
    if (node.IsScalar()) return "a value";
    return "nothing";
  }

  void Mistake(const YAML::Node& at, const std::string& what) {
    content_.mistakes.push_back({at.Mark().line + 1, what});
  }

  const std::string& text_;
  YamlContent& content_;
};

// Hears where a document begins, and nothing else.
class DocumentStart final : public YAML::EventHandler {
 public:
  int line() const { return line_; }

  void OnDocumentStart(const YAML::Mark& mark) override { line_ = mark.line + 1; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t,
                const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  int line_ = 0;
};

// The line where something follows the first document, or 0. Asks for two documents and no more: a
// text that begins with a comma makes yaml-cpp return empty documents without end, so its LoadAll
// would take all memory.
int LineOfSecondDocument(const std::string& text) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStart first;
  DocumentStart second;
  return parser.HandleNextDocument(first) && parser.HandleNextDocument(second) ? second.line() : 0;
}

}  // namespace

YamlContent ReadYaml(const std::string& text) {
  YamlContent content;
  try {
    Collector(text, content).Document(YAML::Load(text));
    if (const int line = LineOfSecondDocument(text); line > 0) {
      content.mistakes.push_back(
          {line, "not valid YAML: the file must hold one document, and something follows it here"});
    }
  } catch (const YAML::Exception& e) {
    content.mistakes.push_back(
        {std::max(e.mark.line, 0) + 1, absl::StrCat("not valid YAML: ", e.msg)});
  }
  return content;
}

}  // namespace gannet::config
