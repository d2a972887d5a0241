#include "libs/config/config_docs.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/config/config.h"
#include "libs/domain/run_settings.h"

namespace gannet::config {
namespace {

constexpr const char* kIntroduction = R"(# Configuration

<!-- Made by `gannet config keys --markdown`; a test compares. Do not edit by hand. -->

One YAML file serves every program; each reads the sections it needs. All keys have a default, so an empty file is valid.

```yaml
run:
  name: faces
training:
  lease: 5m
worker:
  exchange: gateway.example.org:50051
```

How a value is found, strongest first:

1. a flag, `--training.lease 5m`;
2. an environment variable, `GANNET_TRAINING_LEASE=5m` (one that is set to nothing counts as not set);
3. the file named by `--config`;
4. the default.

`gannet config check` reports every mistake at once, with line and nearest name; `gannet config show` prints the settings in effect.

- **Durations** carry a unit: `300s`, `5m`, `1h30m`.
- **Sizes** are bytes, or carry `KiB`, `MiB` or `GiB`: `256MiB`.
- **`${NAME}`** in the file is replaced by the environment variable `NAME`; one that is not set is a mistake. `$${` stands for the text `${`.
- **Paths** are relative to the working directory of the program.
- **Secrets** never stand in a flag or in a URL, and best in files of their own: the password of the database comes from `database.password_file`, `PGPASSWORD`, `PGPASSFILE` or `~/.pgpass`, the token of the admin service from `coordinator.admin_token_file`, the class code from `gateway.class_code_file` and `worker.class_code_file` (or `worker.class_code` in file or environment), the key of the certificate from `gateway.tls_key_file`. `gannet config check --files` tries them.
- **An environment variable** called `GANNET_…` that looks like a key but is none is a mistake. Ignored are `GANNET_TEST_…` and what Kubernetes and Docker set for a service called `gannet-…` (`…_SERVICE_HOST`, `…_SERVICE_PORT…`, `…_PORT`, `…_PORT_50051_TCP…`).
)";

std::string SectionOf(const ConfigKey& key) { return key.name.substr(0, key.name.find('.')); }

bool ChangesInMidRun(const ConfigKey& key) {
  const domain::RunSetting* row = domain::FindRunSetting(key.name);
  return row != nullptr && row->change != domain::SettingChange::kNever;
}

std::string AllowedText(const ConfigKey& key) {
  return key.range.empty() ? key.type : absl::StrCat(key.type, ", ", key.range);
}

}  // namespace

std::string ConfigMarkdown() {
  std::string page = kIntroduction;
  std::string section;
  for (const ConfigKey& key : ConfigKeys()) {
    if (SectionOf(key) != section) {
      section = SectionOf(key);
      absl::StrAppend(&page, "\n## ", section,
                      "\n\n| key | allowed | default | meaning |\n|---|---|---|---|\n");
    }
    const std::string value =
        key.default_value.empty() ? "(empty)" : absl::StrCat("`", key.default_value, "`");
    absl::StrAppend(&page, "| `", key.name, "` | ", AllowedText(key), " | ", value, " | ",
                    key.description,
                    ChangesInMidRun(key) ? " `gannet set` changes it during a run." : "", " |\n");
  }
  return page;
}

std::string ConfigTable() {
  std::string table;
  std::string section;
  for (const ConfigKey& key : ConfigKeys()) {
    if (SectionOf(key) != section) {
      absl::StrAppend(&table, section.empty() ? "" : "\n");
      section = SectionOf(key);
    }
    absl::StrAppend(&table, key.name, "\n    ", key.description, "\n    ", AllowedText(key));
    if (!key.default_value.empty()) absl::StrAppend(&table, "; default ", key.default_value);
    absl::StrAppend(&table, "; ", key.environment,
                    ChangesInMidRun(key) ? "; gannet set changes it during a run" : "", "\n");
  }
  return table;
}

}  // namespace gannet::config
