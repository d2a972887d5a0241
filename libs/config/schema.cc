#include "libs/config/schema.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "libs/base/pem.h"
#include "libs/base/printable.h"
#include "libs/base/status_macros.h"
#include "libs/base/training_choices.h"
#include "libs/base/url_password.h"
#include "libs/domain/run_settings.h"

namespace gannet::config {
namespace {

constexpr double kMaxTextBytes = 4096;  // PATH_MAX
constexpr double kMaxCertificateBytes = 65536;
constexpr double kKiB = 1024;
constexpr double kGiB = 1024.0 * 1024 * 1024;

base::SettingRange Between(double low, double high) { return {.low = low, .high = high}; }
base::SettingRange TextUpTo(double bytes) { return {.low = 0, .high = bytes}; }
base::SettingRange TextBetween(double low, double high) { return {.low = low, .high = high}; }

bool SplitHostPort(absl::string_view text, absl::string_view* host, int* port) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return false;
  *host = text.substr(0, colon);
  const absl::string_view digits = text.substr(colon + 1);
  if (host->empty() || digits.empty() || digits.size() > 5) return false;
  if (digits.find_first_not_of("0123456789") != absl::string_view::npos) return false;
  if (!absl::SimpleAtoi(digits, port) || *port > 65535) return false;
  const bool bracketed = host->size() > 2 && host->front() == '[' && host->back() == ']';
  // Without brackets a second colon is an IPv6 address that lacks them, or a scheme.
  if (!bracketed && absl::StrContains(*host, ":")) return false;
  return host->find_first_of(" /@\t") == absl::string_view::npos;
}

std::string CheckPlainText(absl::string_view text) {
  if (base::CountPlainCharacters(text).has_value()) return "";
  return "must be text without invisible, direction or private characters, and begin with no "
         "combining mark";
}

std::string CheckListen(absl::string_view text) {
  absl::string_view host;
  int port = 0;
  if (SplitHostPort(text, &host, &port)) return "";
  return "must be HOST:PORT, such as 127.0.0.1:9101 or [::1]:9101 (port 0 picks a free one)";
}

// The line that students are given holds a place for it, which must not become everybody's name.
std::string CheckWorkerName(absl::string_view text) {
  if (text == "YOUR-NAME") return "must be your own name: put it in the place of YOUR-NAME";
  return CheckPlainText(text);
}

// As the value of "worker.class_code", which may be empty.
std::string CheckOptionalToken(absl::string_view text) {
  return text.empty() ? "" : CheckToken(text);
}

std::string CheckOptionalListen(absl::string_view text) {
  return text.empty() ? "" : CheckListen(text);
}

std::string WithoutSpaceAround(absl::string_view text) {
  return std::string(absl::StripAsciiWhitespace(text));
}

bool LooksLikePostgres(absl::string_view text) {
  return absl::StartsWith(text, "postgres://") || absl::StartsWith(text, "postgresql://");
}

std::string CheckDatabaseUrl(absl::string_view text) {
  if (base::CarriesPassword(text)) {
    return "must not carry a password: put it into a file named by database.password_file, or into "
           "PGPASSFILE or PGPASSWORD";
  }
  if (LooksLikePostgres(text)) return "";
  return "must be a URL, postgres://USER@HOST:PORT/DATABASE, or "
         "postgres:///DATABASE?host=/run/postgresql for a socket";
}

std::string CheckExchange(absl::string_view text) {
  if (base::CarriesPassword(text)) {
    return "must not carry a password: put it into a file named by database.password_file, or into "
           "PGPASSFILE or PGPASSWORD";
  }
  absl::string_view host;
  int port = 0;
  if (LooksLikePostgres(text) || (SplitHostPort(text, &host, &port) && port > 0)) return "";
  return "must be HOST:PORT of a gateway, or postgres://USER@HOST/DATABASE for direct mode";
}

std::string CheckDevice(absl::string_view text) {
  absl::string_view number = text;
  int value = 0;
  if (text == "cpu" || text == "cuda") return "";
  if (absl::ConsumePrefix(&number, "cuda:") && number.size() <= 2 &&
      absl::SimpleAtoi(number, &value) && value >= 0) {
    return "";
  }
  return "must be cpu, cuda or cuda:NUMBER";
}

// Where a setting is kept: both ways of one member, whose type is the setting's.
#define GANNET_FIELD(member)                                                     \
  [](const Config& c) -> base::SettingValue { return c.member; },                \
      [](Config& c, const base::SettingValue& value) {                           \
        c.member = std::get<std::remove_reference_t<decltype(c.member)>>(value); \
      }

std::vector<base::SettingChoice> Choices(absl::Span<const absl::string_view> names) {
  std::vector<base::SettingChoice> choices;
  for (const absl::string_view name : names) choices.push_back({.name = std::string(name)});
  return choices;
}

// NOLINTNEXTLINE(readability-function-size): a table, one row per setting.
std::vector<KeySpec> MakeSchema() {
  std::vector<KeySpec> rows;
  for (const domain::RunSetting& row : domain::RunSettings()) {
    rows.push_back(
        {row, [&row](const Config& config) { return row.get(config.run); },
         [&row](Config& config, const base::SettingValue& value) { row.set(config.run, value); }});
  }
  std::vector<KeySpec> others = {
      {{.name = "data.kind",
        .description = absl::StrCat("Where images come from. ", base::DescribeDatasets(), "."),
        .choices = Choices(base::kDatasetNames)},
       GANNET_FIELD(data.kind)},
      {{.name = "data.path",
        .range = TextUpTo(kMaxTextBytes),
        .description =
            "The folder or file that data.kind says; relative to the working directory. Not for "
            "procedural."},
       GANNET_FIELD(data.path)},
      {{.name = "data.crop",
        .range = Between(0, 4096),
        .description =
            "Side in pixels of the square that is cut from the middle of a picture before it is "
            "scaled; 0: the shorter side. For aligned CelebA 108 and 148 are usual."},
       GANNET_FIELD(data.crop)},
      {{.name = "data.seed", .description = "Which procedural faces; nothing for other kinds."},
       GANNET_FIELD(data.seed)},
      {{.name = "data.count",
        .range = Between(1, 1e9),
        .description = "How many procedural faces; nothing for other kinds."},
       GANNET_FIELD(data.count)},

      {{.name = "database.url",
        .range = TextBetween(1, kMaxTextBytes),
        .description = "PostgreSQL of coordinator and gateway, without a password.",
        .check = &CheckDatabaseUrl},
       GANNET_FIELD(database.url)},
      {{.name = "database.password_file",
        .range = TextUpTo(kMaxTextBytes),
        .description = "File with the database password; without it PGPASSWORD, PGPASSFILE and "
                       "~/.pgpass count."},
       GANNET_FIELD(database.password_file)},
      {{.name = "database.pool_size",
        .range = Between(1, 100),
        .description = "Connections a service may hold."},
       GANNET_FIELD(database.pool_size)},

      {{.name = "coordinator.admin_listen",
        .range = TextUpTo(kMaxTextBytes),
        .description = "Address of the admin service, where the command line calls.",
        .check = &CheckListen},
       GANNET_FIELD(coordinator.admin_listen)},
      {{.name = "coordinator.admin_token_file",
        .range = TextUpTo(kMaxTextBytes),
        .description = "File with the bearer token of the admin service; required when "
                       "admin_listen is not a loopback address."},
       GANNET_FIELD(coordinator.admin_token_file)},
      {{.name = "coordinator.metrics_listen",
        .range = TextUpTo(kMaxTextBytes),
        .description = "Address of the coordinator's /metrics.",
        .check = &CheckListen},
       GANNET_FIELD(coordinator.metrics_listen)},
      {{.name = "coordinator.output_dir",
        .range = TextBetween(1, kMaxTextBytes),
        .description = "Folder for sample grids and the final weights."},
       GANNET_FIELD(coordinator.output_dir)},
      {{.name = "coordinator.sample_every",
        .range = Between(0, 1e9),
        .description = "Rounds between sample grids; 0: only the first and the last."},
       GANNET_FIELD(coordinator.sample_every)},
      {{.name = "coordinator.sample_count",
        .range = Between(1, 1024),
        .description = "Images in a sample grid."},
       GANNET_FIELD(coordinator.sample_count)},
      {{.name = "coordinator.evaluate_every",
        .range = Between(0, 1e9),
        .description =
            "Rounds between measurements of the images' quality, which end in quality.csv and "
            "checkpoints/best.safetensors; also before the first and after the last; 0: none."},
       GANNET_FIELD(coordinator.evaluate_every)},
      {{.name = "coordinator.keep_every",
        .range = Between(0, 1e9),
        .description =
            "Rounds between versions of the weights that are kept permanently; 0: only the last."},
       GANNET_FIELD(coordinator.keep_every)},
      {{.name = "coordinator.checkpoint_every",
        .range = Between(0, 1e9),
        .description = "Rounds between checkpoint files; 0: only one, at the end."},
       GANNET_FIELD(coordinator.checkpoint_every)},
      {{.name = "coordinator.checkpoint_keep",
        .range = Between(1, 1e6),
        .description = "Checkpoint files that are kept, the newest."},
       GANNET_FIELD(coordinator.checkpoint_keep)},
      {{.name = "coordinator.leadership_ttl",
        .range = Between(1, 600),
        .description = "A standby takes over after the leader has been silent this long."},
       GANNET_FIELD(coordinator.leadership_ttl)},
      {{.name = "coordinator.threads",
        .range = Between(1, 256),
        .description = "Threads for the optimizer step and for samples."},
       GANNET_FIELD(coordinator.threads)},

      {{.name = "gateway.listen",
        .range = TextUpTo(kMaxTextBytes),
        .description = "Address where workers call.",
        .check = &CheckListen},
       GANNET_FIELD(gateway.listen)},
      {{.name = "gateway.metrics_listen",
        .range = TextUpTo(kMaxTextBytes),
        .description = "Address of the gateway's /metrics.",
        .check = &CheckListen},
       GANNET_FIELD(gateway.metrics_listen)},
      {{.name = "gateway.tls_cert_file",
        .range = TextUpTo(kMaxTextBytes),
        .description = "File with the gateway's certificate and those between it and its "
                       "authority, in PEM; with it the gateway speaks TLS."},
       GANNET_FIELD(gateway.tls_cert_file)},
      {{.name = "gateway.tls_key_file",
        .range = TextUpTo(kMaxTextBytes),
        .description = "File with the private key of that certificate, in PEM."},
       GANNET_FIELD(gateway.tls_key_file)},
      {{.name = "gateway.class_code_file",
        .range = TextUpTo(kMaxTextBytes),
        .description = "File with the code that workers must know to join; required when "
                       "gateway.listen is not a loopback address."},
       GANNET_FIELD(gateway.class_code_file)},
      {{.name = "gateway.allow_plaintext",
        .description = "Whether other machines may reach the gateway without TLS: anybody between "
                       "can then read class code and weights."},
       GANNET_FIELD(gateway.allow_plaintext)},
      {{.name = "gateway.health_listen",
        .range = TextUpTo(kMaxTextBytes),
        .description = "Address where grpc.health.v1 alone is served, without TLS, for probes that "
                       "know none; empty: nowhere.",
        .check = &CheckOptionalListen},
       GANNET_FIELD(gateway.health_listen)},
      {{.name = "gateway.max_payload_bytes",
        .range = Between(kKiB, 4 * kGiB),
        .description = "Largest gradient that is received.",
        .unit = base::SettingUnit::kBytes},
       GANNET_FIELD(gateway.max_payload_bytes)},
      {{.name = "gateway.max_inflight_bytes",
        .range = Between(kKiB, 1024 * kGiB),
        .description = "Memory for all gradients being received at once.",
        .unit = base::SettingUnit::kBytes},
       GANNET_FIELD(gateway.max_inflight_bytes)},
      {{.name = "gateway.drain_limit",
        .range = Between(0, 3600),
        .description = "Time that calls in progress get when the gateway stops."},
       GANNET_FIELD(gateway.drain_limit)},

      {{.name = "worker.exchange",
        .range = TextBetween(1, kMaxTextBytes),
        .description = "HOST:PORT of a gateway, or postgres://USER@HOST/DATABASE for direct mode "
                       "(without a password).",
        .check = &CheckExchange},
       GANNET_FIELD(worker.exchange)},
      {{.name = "worker.class_code",
        .range = TextUpTo(256),
        .description = "The code the gateway asks for. A secret: no flag, but environment or file.",
        .check = &CheckOptionalToken,
        .secret = true,
        .clean = &WithoutSpaceAround},
       GANNET_FIELD(worker.class_code)},
      {{.name = "worker.class_code_file",
        .range = TextUpTo(kMaxTextBytes),
        .description = "File with the class code, instead of worker.class_code."},
       GANNET_FIELD(worker.class_code_file)},
      {{.name = "worker.ca_file",
        .range = TextUpTo(kMaxTextBytes),
        .description = "File with the certificate authority of the gateway, in PEM; without it "
                       "those that the operating system trusts."},
       GANNET_FIELD(worker.ca_file)},
      {{.name = "worker.ca",
        .range = TextUpTo(kMaxCertificateBytes),
        .description = "The same as text, instead of worker.ca_file: PEM, or base64 of the "
                       "certificate's DER; line breaks and spaces in it do not matter.",
        .clean = &base::CompactCertificates},
       GANNET_FIELD(worker.ca)},
      {{.name = "worker.allow_plaintext",
        .description = "Whether to talk to a gateway on another machine without TLS: anybody "
                       "between can then read class code and weights."},
       GANNET_FIELD(worker.allow_plaintext)},
      {{.name = "worker.name",
        .range = TextUpTo(64),
        .description = "Name shown to people; without it the host's name.",
        .check = &CheckWorkerName},
       GANNET_FIELD(worker.name)},
      {{.name = "worker.state_file",
        .range = TextUpTo(kMaxTextBytes),
        .description = "File that keeps the worker's identity; without it the first one that no "
                       "other worker uses of gannet/worker.json, gannet/worker-2.json and so on, "
                       "below XDG_STATE_HOME or ~/.local/state."},
       GANNET_FIELD(worker.state_file)},
      {{.name = "worker.metrics_listen",
        .range = TextUpTo(kMaxTextBytes),
        .description = "Address of the worker's /metrics.",
        .check = &CheckListen},
       GANNET_FIELD(worker.metrics_listen)},
      {{.name = "worker.threads",
        .range = Between(0, 1024),
        .description = "Threads that compute; 0: all cores."},
       GANNET_FIELD(worker.threads)},
      {{.name = "worker.data_threads",
        .range = Between(1, 256),
        .description = "Threads that read and decode images, beside those that compute."},
       GANNET_FIELD(worker.data_threads)},
      {{.name = "worker.device",
        .range = TextUpTo(kMaxTextBytes),
        .description = "What computes: cpu, cuda or cuda:NUMBER. A GPU needs a build with an "
                       "official LibTorch.",
        .check = &CheckDevice},
       GANNET_FIELD(worker.device)},
      {{.name = "worker.precision",
        .description = "How convolutions compute on a GPU.",
        .choices = Choices({"fp32", "tf32", "bf16"})},
       GANNET_FIELD(worker.precision)},

      {{.name = "log.level",
        .description = "The least important lines that are written.",
        .choices = Choices({"debug", "info", "warning", "error"})},
       GANNET_FIELD(log.level)},
      {{.name = "log.format",
        .description = "Lines for people, or one JSON object a line.",
        .choices = Choices({"text", "json"})},
       GANNET_FIELD(log.format)},
  };
  std::move(others.begin(), others.end(), std::back_inserter(rows));
  for (KeySpec& row : rows) row.default_value = row.get(Config());
  return rows;
}

#undef GANNET_FIELD

// A gateway that others can reach proves who it is, and wants to know who comes.
void CheckGatewaySecrets(const Config::Gateway& gateway,
                         std::vector<base::SettingMistake>& mistakes) {
  const bool has_certificate = !gateway.tls_cert_file.empty();
  if (has_certificate != !gateway.tls_key_file.empty()) {
    mistakes.push_back(
        {has_certificate ? "gateway.tls_cert_file" : "gateway.tls_key_file",
         {has_certificate ? "gateway.tls_key_file" : "gateway.tls_cert_file"},
         "gateway.tls_cert_file and gateway.tls_key_file belong together, set both or none"});
    return;
  }
  if (IsLoopbackAddress(gateway.listen)) return;
  if (!has_certificate && !gateway.allow_plaintext) {
    mistakes.push_back(
        {"gateway.listen",
         {"gateway.tls_cert_file", "gateway.allow_plaintext"},
         absl::StrCat("gateway.tls_cert_file and gateway.tls_key_file must name a certificate and "
                      "its key when other machines can reach gateway.listen (or "
                      "gateway.allow_plaintext be true, where nobody else is on the network), got ",
                      base::Shown(gateway.listen))});
  }
  if (gateway.class_code_file.empty()) {
    mistakes.push_back(
        {"gateway.listen",
         {"gateway.class_code_file"},
         absl::StrCat("gateway.class_code_file must name a file with a class code when other "
                      "machines can reach gateway.listen, got ",
                      base::Shown(gateway.listen))});
  }
}

}  // namespace

bool IsLoopbackAddress(absl::string_view listen) {
  absl::string_view host;
  int port = 0;
  if (!SplitHostPort(listen, &host, &port)) return false;
  // Not "127.example.org".
  const bool is_number = host.find_first_not_of("0123456789.") == absl::string_view::npos;
  return host == "localhost" || host == "[::1]" || (is_number && absl::StartsWith(host, "127."));
}

std::string CheckToken(absl::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') {
      return "must be one line of printable ASCII without blanks, as gRPC carries nothing else; "
             "choose another one";
    }
  }
  return "";
}

const std::vector<KeySpec>& Schema() {
  static const auto& schema = *new std::vector<KeySpec>(MakeSchema());
  return schema;
}

const KeySpec* FindKey(absl::string_view name) {
  for (const KeySpec& key : Schema()) {
    if (base::IsNameOf(key, name)) return &key;
  }
  return nullptr;
}

const std::vector<std::string>& KeyNames() {
  static const auto& names = *[] {
    auto* list = new std::vector<std::string>();
    for (const KeySpec& key : Schema()) list->push_back(key.name);
    return list;
  }();
  return names;
}

const std::vector<std::string>& SectionNames() {
  static const auto& names = *[] {
    auto* list = new std::vector<std::string>();
    for (const KeySpec& key : Schema()) {
      const std::string section = key.name.substr(0, key.name.find('.'));
      if (list->empty() || list->back() != section) list->push_back(section);
    }
    return list;
  }();
  return names;
}

std::string EnvironmentName(absl::string_view name) {
  std::string variable = absl::StrCat("GANNET_", name);
  for (char& c : variable) c = c == '.' ? '_' : absl::ascii_toupper(static_cast<unsigned char>(c));
  return variable;
}

absl::Status SetValue(const KeySpec& key, absl::string_view given, Config& config) {
  GANNET_ASSIGN_OR_RETURN(const base::SettingValue value, base::ParseSetting(key, given));
  key.set(config, value);
  return absl::OkStatus();
}

std::string ValueText(const KeySpec& key, const Config& config) {
  return base::SettingText(key, key.get(config));
}

std::vector<base::SettingMistake> CrossCheck(const Config& config) {
  std::vector<base::SettingMistake> mistakes = domain::FindMistakes(config.run);
  // Of a run that begins: later `gannet set` may make units smaller than that.
  if (config.run.micro_batch > config.run.images_per_unit) {
    mistakes.push_back(
        {"training.micro_batch",
         {"training.images_per_unit"},
         absl::StrCat("training.micro_batch must be at most training.images_per_unit, got ",
                      config.run.micro_batch, " and ", config.run.images_per_unit)});
  }
  if (config.worker.device == "cpu" && config.worker.precision != "fp32") {
    mistakes.push_back(
        {"worker.precision",
         {"worker.device"},
         absl::StrCat("worker.precision must be fp32 when worker.device is cpu, got ",
                      config.worker.precision)});
  }
  if (!base::IsDrawnDataset(config.data.kind) && config.data.path.empty()) {
    mistakes.push_back({"data.kind",
                        {"data.path"},
                        absl::StrCat("data.path must name ", base::DatasetSource(config.data.kind),
                                     " when data.kind is ", config.data.kind)});
  }
  if (base::IsDrawnDataset(config.data.kind) && !config.data.path.empty()) {
    mistakes.push_back(
        {"data.path",
         {"data.kind"},
         absl::StrCat("data.path is set, but data.kind is ", config.data.kind,
                      ", whose images are drawn, not read: set data.kind to what the path is "
                      "(gannet config keys), or remove data.path")});
  }
  if (!IsLoopbackAddress(config.coordinator.admin_listen) &&
      config.coordinator.admin_token_file.empty()) {
    mistakes.push_back(
        {"coordinator.admin_listen",
         {"coordinator.admin_token_file"},
         absl::StrCat(
             "coordinator.admin_token_file must name a file with a token when other machines can "
             "reach coordinator.admin_listen, got ",
             base::Shown(config.coordinator.admin_listen))});
  }
  CheckGatewaySecrets(config.gateway, mistakes);
  if (!config.worker.class_code.empty() && !config.worker.class_code_file.empty()) {
    mistakes.push_back({"worker.class_code_file",
                        {"worker.class_code"},
                        "worker.class_code and worker.class_code_file are both set, remove one"});
  }
  if (!config.worker.ca.empty() && !config.worker.ca_file.empty()) {
    mistakes.push_back(
        {"worker.ca_file", {"worker.ca"}, "worker.ca and worker.ca_file are both set, remove one"});
  }
  if (config.gateway.max_payload_bytes > config.gateway.max_inflight_bytes) {
    mistakes.push_back(
        {"gateway.max_inflight_bytes",
         {"gateway.max_payload_bytes"},
         absl::StrCat("gateway.max_inflight_bytes must be at least gateway.max_payload_bytes, got ",
                      base::SizeText(config.gateway.max_inflight_bytes), " and ",
                      base::SizeText(config.gateway.max_payload_bytes))});
  }
  return mistakes;
}

}  // namespace gannet::config
