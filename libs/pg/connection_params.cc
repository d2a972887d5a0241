#include "libs/pg/connection_params.h"

#include <libpq-fe.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "libs/base/status_macros.h"

namespace gannet::pg {
namespace {

constexpr char kWhereSecretsBelong[] =
    "put the password into database.password_file, PGPASSWORD, PGPASSFILE or ~/.pgpass";

// Decided on the text itself: libpq's own messages repeat parts of a URL.
bool HasPassword(const std::string& url) {
  const size_t start = url.find("://") + 3;
  const std::string authority = url.substr(start, url.find_first_of("/?", start) - start);
  const size_t at = authority.rfind('@');
  if (at != std::string::npos && authority.find(':') < at) return true;
  const std::string lower = absl::AsciiStrToLower(url);
  const size_t query = lower.find('?', start);
  return query != std::string::npos && absl::StrContains(lower.substr(query), "password=");
}

absl::StatusOr<std::string> ReadPasswordFile(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    const int error = errno;
    const std::string what =
        absl::StrCat("the password file cannot be opened: ", path, ": ", std::strerror(error));
    return error == EACCES ? absl::PermissionDeniedError(what) : absl::NotFoundError(what);
  }
  std::ostringstream text;
  text << file.rdbuf();
  std::string password = text.str();
  absl::StripTrailingAsciiWhitespace(&password);
  if (password.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("the password file is empty: ", path));
  }
  return password;
}

std::string Quoted(const std::string& value) {
  return absl::StrCat("'", absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

std::string Milliseconds(absl::Duration duration) {
  return absl::StrCat(absl::ToInt64Milliseconds(duration));
}

}  // namespace

absl::StatusOr<PgConnectionParams> MakeConnectionParams(const PgConnectionOptions& options) {
  if (!absl::StartsWith(options.url, "postgres://") &&
      !absl::StartsWith(options.url, "postgresql://")) {
    return absl::InvalidArgumentError(
        "the database is named by a URL, postgres://USER@HOST:PORT/DATABASE");
  }
  if (HasPassword(options.url)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the database URL must not contain a password: ", kWhereSecretsBelong));
  }
  char* raw_error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(options.url.c_str(), &raw_error), &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> error(raw_error, &PQfreemem);
  if (parsed == nullptr) {
    std::string reason = error == nullptr ? "out of memory" : error.get();
    absl::StripTrailingAsciiWhitespace(&reason);
    return absl::InvalidArgumentError(absl::StrCat("the database URL is malformed: ", reason));
  }

  std::map<std::string, std::string> settings = {
      {"connect_timeout", absl::StrCat(absl::ToInt64Seconds(options.connect_timeout))},
      {"application_name", options.application_name},
      {"client_encoding", "UTF8"},
      {"keepalives_idle", "5"},
      {"keepalives_interval", "3"},
      {"keepalives_count", "3"},
      {"tcp_user_timeout", "15000"},
  };
  std::string session_options = absl::StrCat(
      "-c client_min_messages=warning -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c "
      "tcp_keepalives_count=3 -c statement_timeout=",
      Milliseconds(options.statement_timeout), " -c idle_in_transaction_session_timeout=",
      Milliseconds(options.idle_in_transaction_timeout));
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    // Later settings win, so whoever wrote the URL has the last word.
    if (std::string(option->keyword) == "options") {
      absl::StrAppend(&session_options, " ", option->val);
    } else {
      settings[option->keyword] = option->val;
    }
  }
  // libpq itself says so only when it connects.
  for (const absl::string_view port : absl::StrSplit(settings["port"], ',', absl::SkipEmpty())) {
    int number = 0;
    if (!absl::SimpleAtoi(port, &number) || number < 1 || number > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("the port in the database URL must be 1 to 65535, got ", port));
    }
  }
  settings["options"] = session_options;
  // Of several servers one may be a standby, for a while even a former primary: it answers, and
  // refuses every write.
  if (absl::StrContains(settings["host"], ',') || absl::StrContains(settings["hostaddr"], ',')) {
    settings.insert({"target_session_attrs", "read-write"});
  }

  PgConnectionParams params;
  params.description =
      absl::StrCat(settings["user"], settings["user"].empty() ? "" : "@",
                   settings["host"].empty() ? "local socket" : settings["host"],
                   settings["port"].empty() ? "" : ":", settings["port"], "/", settings["dbname"]);
  if (!options.password_file.empty()) {
    GANNET_ASSIGN_OR_RETURN(settings["password"], ReadPasswordFile(options.password_file));
  }
  for (const auto& [key, value] : settings) {
    if (!value.empty()) absl::StrAppend(&params.conninfo, key, "=", Quoted(value), " ");
  }
  return params;
}

absl::Status CheckDatabaseUrl(absl::string_view key, const std::string& url) {
  PgConnectionOptions options;
  options.url = url;
  const absl::Status usable = MakeConnectionParams(options).status();
  if (usable.ok()) return usable;
  return absl::Status(usable.code(), absl::StrCat(key, ": ", usable.message()));
}

}  // namespace gannet::pg
