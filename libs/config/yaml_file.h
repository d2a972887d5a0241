#pragma once

#include <string>
#include <vector>

namespace gannet {

// A value of the file, unjudged.
struct YamlEntry {
  std::string section;
  std::string key;
  std::string value;
  int line = 0;  // of the key, from 1
};

struct YamlContent {
  std::vector<YamlEntry> entries;     // in order; each section and key once
  std::vector<std::string> mistakes;  // "FILE:LINE: …": syntax, nesting, duplicates, sections
};

// Reads sections of keys with plain values. `file` is named in the mistakes.
YamlContent ReadYaml(const std::string& text, const std::string& file);

}  // namespace gannet
