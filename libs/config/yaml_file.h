#pragma once

#include <string>
#include <vector>

namespace gannet::config {

// A value of the file, unjudged.
struct YamlEntry {
  std::string section;
  std::string key;
  std::string value;
  int line = 0;  // of the key, from 1
};

// Something wrong with the form of the file: syntax, nesting, duplicates, unknown sections.
struct YamlMistake {
  int line = 0;
  std::string message;
};

struct YamlContent {
  std::vector<YamlEntry> entries;  // in order; each section and key once
  std::vector<YamlMistake> mistakes;
};

// Reads sections of keys with plain values.
YamlContent ReadYaml(const std::string& text);

}  // namespace gannet::config
