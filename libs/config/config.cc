#include "libs/config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "libs/base/status_macros.h"
#include "libs/base/url_password.h"
#include "libs/config/nearest_name.h"
#include "libs/config/schema.h"
#include "libs/config/yaml_file.h"

namespace gannet::config {
namespace {

constexpr int64_t kMaxFileBytes = 1 << 20;
constexpr int64_t kMaxSecretBytes = 64 << 10;
// Nobody reads more at once; a wrong file given by accident has thousands.
constexpr size_t kMaxMistakes = 50;

// The whole of a small regular file (or pipe).
absl::StatusOr<std::string> ReadSmallFile(const std::string& path, int64_t max_bytes,
                                          absl::string_view what) {
  struct stat info {};
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in || stat(path.c_str(), &info) != 0) {
    const int error = errno;
    const std::string message = absl::StrCat("cannot read ", what, " ", base::Shown(path), ": ",
                                             error == 0 ? "unknown error" : std::strerror(error));
    if (error == EACCES || error == EPERM) {
      return absl::PermissionDeniedError(
          absl::StrCat(message, "; let the user that runs this program read it"));
    }
    return absl::NotFoundError(message);
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", what, " ", base::Shown(path), ": it is a directory"));
  }
  std::string text(static_cast<size_t>(max_bytes) + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  if (static_cast<int64_t>(text.size()) > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("cannot read ", what, " ", base::Shown(path),
                                                   ": larger than ", max_bytes, " bytes"));
  }
  return text;
}

// Replaces ${NAME}. Returns: INVALID_ARGUMENT - what is wrong.
absl::StatusOr<std::string> Substitute(const std::string& text, const Environment& environment) {
  std::string result;
  size_t at = 0;
  while (true) {
    const size_t start = text.find("${", at);
    if (start == std::string::npos) break;
    if (start > 0 && text[start - 1] == '$') {
      result.append(text, at, start - 1 - at);
      result.append("${");
      at = start + 2;
      continue;
    }
    const size_t end = text.find('}', start);
    if (end == std::string::npos) {
      return absl::InvalidArgumentError(
          "a '${' has no closing '}' ('$${' stands for the text '${')");
    }
    const std::string name = text.substr(start + 2, end - start - 2);
    const auto found = environment.find(name);
    if (found == environment.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the environment variable ", base::Shown(name), " is not set"));
    }
    result.append(text, at, start - at);
    result.append(found->second);
    at = end + 1;
  }
  result.append(text, at, std::string::npos);
  return result;
}

// "GANNET_GATEWAY_SERVICE_HOST", "GANNET_GATEWAY_PORT_50051_TCP_ADDR", …: Kubernetes and Docker set
// these for a service called gannet-gateway.
bool IsServiceLink(const std::string& name) {
  if (absl::EndsWith(name, "_SERVICE_HOST") || absl::StrContains(name, "_SERVICE_PORT")) {
    return true;
  }
  const size_t port = name.rfind("_PORT");
  if (port == std::string::npos) return false;
  const std::string rest = name.substr(port + 5);
  return rest.empty() || (rest.size() > 1 && rest[0] == '_' &&
                          absl::ascii_isdigit(static_cast<unsigned char>(rest[1])));
}

// Where a key stands in a text, and not a longer one that begins so.
size_t FindWord(absl::string_view text, absl::string_view key) {
  for (size_t at = text.find(key); at != absl::string_view::npos; at = text.find(key, at + 1)) {
    const size_t end = at + key.size();
    const auto is_part = [&](size_t i) {
      return i < text.size() &&
             (absl::ascii_isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_');
    };
    if (!is_part(end) && (at == 0 || !is_part(at - 1))) return at;
  }
  return absl::string_view::npos;
}

class Loader {
 public:
  explicit Loader(const Environment& environment) : environment_(environment) {}

  absl::Status ReadFile(const std::string& path) {
    GANNET_ASSIGN_OR_RETURN(const std::string text,
                            ReadSmallFile(path, kMaxFileBytes, "the configuration file"));
    const YamlContent content = ReadYaml(text);
    // Both lists are merged by line, so that the person can go through the file from top to bottom.
    size_t next = 0;
    const auto report_until = [&](int line) {
      for (; next < content.mistakes.size() && content.mistakes[next].line <= line; ++next) {
        Mistake(absl::StrCat(path, ":", content.mistakes[next].line, ": "),
                content.mistakes[next].message);
      }
    };
    for (const YamlEntry& entry : content.entries) {
      report_until(entry.line);
      ReadEntry(absl::StrCat(path, ":", entry.line, ": "), entry);
    }
    report_until(std::numeric_limits<int>::max());
    return absl::OkStatus();
  }

  void ReadEnvironment() {
    std::vector<std::string> names;
    std::vector<std::string> former_names;
    for (const KeySpec& key : Schema()) {
      for (const std::string& name : {key.former_name, key.name}) {
        if (name.empty()) continue;
        const std::string variable = EnvironmentName(name);
        (name == key.name ? names : former_names).push_back(variable);
        const auto found = environment_.find(variable);
        if (found == environment_.end() || found->second.empty()) continue;
        const std::string where = absl::StrCat("environment ", found->first, ": ");
        WarnOfFormerName(where, key, name);
        Set(where, key, found->second);
      }
    }
    for (const auto& [name, value] : environment_) {
      if (!absl::StartsWith(name, "GANNET_") || absl::StartsWith(name, "GANNET_TEST_")) continue;
      if (absl::c_linear_search(names, name) || absl::c_linear_search(former_names, name) ||
          IsServiceLink(name)) {
        continue;
      }
      const std::string near = NearestName(name, names);
      if (near.empty() && !NamesSection(name)) continue;
      Unknown(absl::StrCat("environment ", name, ": "), "variable", name, near);
    }
  }

  void ReadOverrides(const std::vector<std::string>& overrides, const std::string& recorded_in) {
    for (const std::string& override : overrides) {
      const size_t equals = override.find('=');
      const std::string name = override.substr(0, equals);
      const std::string where =
          absl::StrCat(recorded_in.empty() ? absl::StrCat("flag --", name) : recorded_in, ": ");
      const KeySpec* key = FindKey(name);
      if (key == nullptr) {
        Unknown(where, "key", name, NearestName(name, KeyNames()));
      } else if (equals == std::string::npos) {
        Mistake(where, "a value must follow");
      } else {
        // Nobody can rename what a checkpoint has recorded.
        if (recorded_in.empty()) WarnOfFormerName(where, *key, name);
        Set(where, *key, override.substr(equals + 1));
      }
    }
  }

  absl::StatusOr<Config> Finish() {
    for (const base::SettingMistake& mistake : CrossCheck(config_)) {
      // A value that was refused before is not the one the person gave.
      bool known = failed_.count(mistake.name) == 0;
      for (const std::string& key : mistake.also) known = known && failed_.count(key) == 0;
      if (!known) continue;
      std::string where = where_[mistake.name];
      for (const std::string& key : mistake.also) {
        if (where.empty()) where = where_[key];
      }
      Mistake(where, mistake.message);
    }
    // Also beside mistakes: they name a setting as it is called now.
    if (!mistakes_.empty()) {
      mistakes_.insert(mistakes_.begin(), config_.warnings.begin(), config_.warnings.end());
    }
    if (mistakes_.empty()) {
      for (const auto& [key, where] : where_) {
        config_.origins[key] = std::string(absl::StripSuffix(where, ": "));
      }
      return config_;
    }
    const size_t shown = std::min(mistakes_.size(), kMaxMistakes);
    std::string message =
        absl::StrJoin(mistakes_.begin(), mistakes_.begin() + static_cast<ptrdiff_t>(shown), "\n");
    if (shown < mistakes_.size()) {
      absl::StrAppend(&message, "\nand ", mistakes_.size() - shown, " more mistakes");
    }
    return absl::InvalidArgumentError(message);
  }

 private:
  void ReadEntry(const std::string& where, const YamlEntry& entry) {
    const std::string name = absl::StrCat(entry.section, ".", entry.key);
    const KeySpec* key = FindKey(name);
    if (key == nullptr) {
      Unknown(where, "key", name, NearestName(name, KeyNames()));
      return;
    }
    const absl::StatusOr<std::string> value = Substitute(entry.value, environment_);
    if (!value.ok()) {
      failed_.insert(key->name);
      Mistake(where, absl::StrCat(name, ": ", value.status().message()));
      return;
    }
    WarnOfFormerName(where, *key, name);
    Set(where, *key, *value);
  }

  void WarnOfFormerName(const std::string& where, const KeySpec& key, const std::string& name) {
    const std::string warning = base::FormerNameWarning(key, name);
    if (!warning.empty()) config_.warnings.push_back(absl::StrCat(where, warning));
  }

  void Set(const std::string& where, const KeySpec& key, const std::string& value) {
    const absl::Status status = SetValue(key, value, config_);
    if (!status.ok()) {
      failed_.insert(key.name);
      Mistake(where, std::string(status.message()));
    }
    where_[key.name] = where;
  }

  void Unknown(const std::string& where, const char* what, const std::string& name,
               const std::string& near) {
    Mistake(where, absl::StrCat("unknown ", what, " ", base::Shown(name),
                                near.empty() ? "" : absl::StrCat(", did you mean '", near, "'?")));
  }

  void Mistake(const std::string& where, const std::string& what) {
    mistakes_.push_back(absl::StrCat(where, what));
  }

  static bool NamesSection(const std::string& variable) {
    for (const std::string& section : SectionNames()) {
      if (absl::StartsWith(variable,
                           absl::StrCat("GANNET_", absl::AsciiStrToUpper(section), "_"))) {
        return true;
      }
    }
    return false;
  }

  const Environment& environment_;
  Config config_;
  std::vector<std::string> mistakes_;
  std::map<std::string, std::string> where_;  // by key: where its value came from
  std::set<std::string> failed_;              // keys whose value was refused
};

}  // namespace

const std::vector<ConfigKey>& ConfigKeys() {
  static const auto& keys = *[] {
    auto* list = new std::vector<ConfigKey>();
    for (const KeySpec& key : Schema()) {
      list->push_back({key.name, base::TypeName(key), base::RangeName(key),
                       ValueText(key, Config()), key.description, EnvironmentName(key.name)});
    }
    return list;
  }();
  return keys;
}

Environment ProcessEnvironment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    if (equals != std::string::npos) environment[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return environment;
}

absl::StatusOr<Config> LoadConfig(const CommandLine& command_line) {
  return LoadConfig(command_line, ProcessEnvironment());
}

absl::StatusOr<Config> LoadConfig(const CommandLine& command_line, const Environment& environment) {
  Loader loader(environment);
  if (!command_line.config_path.empty()) {
    GANNET_RETURN_IF_ERROR(loader.ReadFile(command_line.config_path));
  }
  loader.ReadEnvironment();
  loader.ReadOverrides(command_line.recorded, command_line.recorded_in);
  loader.ReadOverrides(command_line.overrides, "");
  return loader.Finish();
}

absl::Status WithOrigins(const Config& config, const absl::Status& status) {
  if (status.ok()) return status;
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    size_t first = absl::string_view::npos;
    std::string origin;
    for (const auto& [key, where] : config.origins) {
      const size_t at = FindWord(line, key);
      if (at >= first) continue;
      first = at;
      origin = absl::StrCat(where, ": ");
    }
    // Said already by whoever found it.
    if (absl::StartsWith(line, origin)) origin.clear();
    lines.push_back(absl::StrCat(origin, line));
  }
  return absl::Status(status.code(), absl::StrJoin(lines, "\n"));
}

std::string DumpConfig(const Config& config) {
  std::string yaml;
  std::string section;
  for (const KeySpec& key : Schema()) {
    const size_t dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      absl::StrAppend(&yaml, section, ":\n");
    }
    std::string value = ValueText(key, config);
    // An effective setting may be a secret from the environment: whoever loads this sets it again.
    if (key.secret) value.clear();
    if (base::IsFreeText(key)) {
      value = absl::StrReplaceAll(base::MaskPassword(value), {{"${", "$${"}});
      value =
          absl::StrCat("\"", absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
    }
    absl::StrAppend(&yaml, "  ", key.name.substr(dot + 1), ": ", value, "\n");
  }
  return yaml;
}

absl::StatusOr<std::string> ReadNamedFile(absl::string_view key, const std::string& path) {
  return ReadSmallFile(path, kMaxFileBytes, absl::StrCat("the file of ", key));
}

absl::StatusOr<std::string> ReadTokenFile(absl::string_view key, const std::string& path) {
  const std::string what = absl::StrCat("the file of ", key);
  GANNET_ASSIGN_OR_RETURN(std::string token, ReadSmallFile(path, kMaxSecretBytes, what));
  if (absl::StartsWith(token, "\xEF\xBB\xBF")) token.erase(0, 3);
  absl::StripAsciiWhitespace(&token);
  if (token.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " ", base::Shown(path), " is empty: write the secret into it"));
  }
  const std::string mistake = CheckToken(token);
  if (mistake.empty()) return token;
  return absl::InvalidArgumentError(absl::StrCat(what, " ", base::Shown(path), " ", mistake));
}

absl::Status CheckNamedFiles(const Config& config, const std::vector<absl::string_view>& keys) {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::vector<std::string> mistakes;
  for (const absl::string_view key : keys) {
    const std::string path = ValueText(*FindKey(key), config);
    if (path.empty()) continue;
    const bool is_token = absl::EndsWith(key, "code_file") || absl::EndsWith(key, "token_file");
    const absl::Status read =
        (is_token ? ReadTokenFile(key, path) : ReadNamedFile(key, path)).status();
    if (read.ok()) continue;
    if (mistakes.empty()) code = read.code();
    mistakes.push_back(std::string(read.message()));
  }
  return WithOrigins(config, absl::Status(code, absl::StrJoin(mistakes, "\n")));
}

absl::Status CheckNamedFiles(const Config& config) {
  return CheckNamedFiles(
      config, {"database.password_file", "coordinator.admin_token_file", "gateway.tls_cert_file",
               "gateway.tls_key_file", "gateway.class_code_file", "worker.class_code_file",
               "worker.ca_file"});
}

}  // namespace gannet::config
