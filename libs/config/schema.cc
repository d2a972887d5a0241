#include "libs/config/schema.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "libs/base/pem.h"
#include "libs/base/printable.h"
#include "libs/base/training_choices.h"
#include "libs/config/url_password.h"

namespace gannet {
namespace {

constexpr double kMaxTextBytes = 4096;  // PATH_MAX
constexpr double kMaxCertificateBytes = 65536;
constexpr double kDay = 24 * 3600;
constexpr double kKiB = 1024;
constexpr double kGiB = 1024.0 * 1024 * 1024;

ConfigRange Between(double low, double high) { return {low, high, false, false}; }
ConfigRange AboveUpTo(double low, double high) { return {low, high, true, false}; }
ConfigRange FromBelow(double low, double high) { return {low, high, false, true}; }
ConfigRange TextUpTo(double bytes) { return {0, bytes, false, false}; }
ConfigRange TextBetween(double low, double high) { return {low, high, false, false}; }
// Seeds are stored as a signed 64-bit integer in the database; the exact limit is in ParseSeed.
ConfigRange AnySeed() { return {0, std::numeric_limits<double>::infinity(), false, true}; }

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
  if (CountPlainCharacters(text).has_value()) return "";
  return "must be text without invisible, direction or private characters, and begin with no "
         "combining mark";
}

std::string CheckRunName(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') {
      return "must have letters, digits, dots, dashes and underscores only";
    }
  }
  return "";
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
  if (CarriesPassword(text)) {
    return "must not carry a password: put it into a file named by database.password_file, or into "
           "PGPASSFILE or PGPASSWORD";
  }
  if (LooksLikePostgres(text)) return "";
  return "must be a URL, postgres://USER@HOST:PORT/DATABASE, or "
         "postgres:///DATABASE?host=/run/postgresql for a socket";
}

std::string CheckExchange(absl::string_view text) {
  if (CarriesPassword(text)) {
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

// Lambdas without a capture become function pointers; this names the one a row means.
template <typename T>
using Accessor = T& (*)(Config&);

#define GANNET_FIELD(type, member)                              \
  ConfigField {                                                 \
    Accessor<type>([](Config& c) -> type& { return c.member; }) \
  }

// A list of choices as texts.
template <typename List>
std::vector<std::string> Names(const List& list) {
  std::vector<std::string> names;
  for (const auto& name : list) names.push_back(absl::StrCat(name));
  return names;
}

std::vector<KeySpec> MakeSchema() {
  return {
      {"run.name",
       GANNET_FIELD(std::string, run.name),
       TextBetween(1, 64),
       "Name of the training; a coordinator continues the run of this name or creates it.",
       ConfigUnit::kNone,
       {},
       &CheckRunName},
      {"run.seed", GANNET_FIELD(uint64_t, run.seed), AnySeed(),
       "Decides initial weights, order of the data and noise."},
      {"run.rounds", GANNET_FIELD(int64_t, run.rounds), Between(1, 1e9),
       "Optimizer updates after which the run is finished."},

      {"model.kind", GANNET_FIELD(std::string, model.kind), TextUpTo(kMaxTextBytes),
       "The networks (docs/models.md).", ConfigUnit::kNone, Names(kModelNames)},
      {"model.image_size", GANNET_FIELD(int, model.image_size), Between(32, 128),
       "Side of the images in pixels.", ConfigUnit::kNone, Names(kModelImageSizes)},
      {"model.latent_dim", GANNET_FIELD(int, model.latent_dim), Between(1, 1024),
       "Length of the noise vector a picture is made from."},
      {"model.base_width", GANNET_FIELD(int, model.base_width), Between(1, 512),
       "Channels at half the image's resolution; doubled at each further halving."},

      {"training.learning_rate", GANNET_FIELD(double, training.learning_rate), AboveUpTo(0, 1),
       "Adam's step size, for a network that has none of its own."},
      {"training.learning_rate_generator", GANNET_FIELD(double, training.learning_rate_generator),
       Between(0, 1), "Adam's step size for the generator; 0 means training.learning_rate."},
      {"training.learning_rate_discriminator",
       GANNET_FIELD(double, training.learning_rate_discriminator), Between(0, 1),
       "Adam's step size for the discriminator; 0 means training.learning_rate."},
      {"training.beta1", GANNET_FIELD(double, training.beta1), FromBelow(0, 1),
       "Adam's decay of the first moment."},
      {"training.beta2", GANNET_FIELD(double, training.beta2), FromBelow(0, 1),
       "Adam's decay of the second moment."},
      {"training.epsilon", GANNET_FIELD(double, training.epsilon), AboveUpTo(0, 1),
       "Added to Adam's denominator."},
      {"training.real_label", GANNET_FIELD(double, training.real_label), AboveUpTo(0, 1),
       "Target of real images; below 1 smooths labels on one side, which slows the discriminator. "
       "Not with hinge."},
      {"training.loss", GANNET_FIELD(std::string, training.loss), TextUpTo(kMaxTextBytes),
       "Adversarial loss: bce is binary cross entropy, the generator's not saturating.",
       ConfigUnit::kNone, Names(kLossNames)},
      {"training.augment",
       GANNET_FIELD(std::string, training.augment),
       TextUpTo(kMaxTextBytes),
       "DiffAugment, for few images: a list of color, translation and cutout; empty: none.",
       ConfigUnit::kNone,
       {},
       &CheckAugmentList},
      {"training.flip",
       GANNET_FIELD(std::string, training.flip),
       TextUpTo(kMaxTextBytes),
       "Whether half of the real images are mirrored, left to right.",
       ConfigUnit::kNone,
       {"false", "true"}},
      {"training.ema_decay", GANNET_FIELD(double, training.ema_decay), FromBelow(0, 1),
       "Of the moving average of the generator's weights, per update, from which samples are "
       "drawn; "
       "0: no average. Usual: 0.999."},
      {"training.images_per_unit", GANNET_FIELD(int, training.images_per_unit), Between(1, 65536),
       "Images in one work unit."},
      {"training.units_per_round", GANNET_FIELD(int, training.units_per_round), Between(1, 4096),
       "Work units whose gradients make one optimizer update."},
      {"training.micro_batch", GANNET_FIELD(int, training.micro_batch), Between(1, 4096),
       "Images in one forward pass; decides BatchNorm's statistics, so it is the same everywhere."},
      {"training.lease", GANNET_FIELD(absl::Duration, training.lease), Between(1, kDay),
       "Time a worker may hold a unit without a sign of life."},
      {"training.gradient_codec", GANNET_FIELD(std::string, training.gradient_codec),
       TextUpTo(kMaxTextBytes), "How gradients travel; fp16 halves the bytes.", ConfigUnit::kNone,
       Names(kCodecNames)},
      {"training.quorum", GANNET_FIELD(int, training.quorum), Between(0, 4096),
       "Gradients with which a round may end without the others; 0: all units, which alone makes "
       "two trainings equal bit for bit."},
      {"training.round_deadline", GANNET_FIELD(absl::Duration, training.round_deadline),
       Between(0, kDay),
       "How long a round that has its quorum waits for the other units, from its beginning."},
      {"training.stale_weight", GANNET_FIELD(double, training.stale_weight), Between(0, 1),
       "With a quorum: what a gradient counts that comes a round late, against one in time (0.5: "
       "half; two rounds late: a quarter); 0: it is refused."},
      {"training.spare_after", GANNET_FIELD(double, training.spare_after), Between(0, 1000),
       "When nothing else is to do, a unit that takes so many times the usual time (and 5 s) is "
       "given to a second worker, too, and the faster one counts; 0: never, otherwise at least 1."},

      {"data.kind", GANNET_FIELD(std::string, data.kind), TextUpTo(kMaxTextBytes),
       absl::StrCat("Where images come from. ", DescribeDatasets(), "."), ConfigUnit::kNone,
       Names(kDatasetNames)},
      {"data.path", GANNET_FIELD(std::string, data.path), TextUpTo(kMaxTextBytes),
       "The folder or file that data.kind says; relative to the working directory. Not for "
       "procedural."},
      {"data.crop", GANNET_FIELD(int, data.crop), Between(0, 4096),
       "Side in pixels of the square that is cut from the middle of a picture before it is "
       "scaled; 0: the shorter side. For aligned CelebA 108 and 148 are usual."},
      {"data.seed", GANNET_FIELD(uint64_t, data.seed), AnySeed(),
       "Which procedural faces; nothing for other kinds."},
      {"data.count", GANNET_FIELD(int64_t, data.count), Between(1, 1e9),
       "How many procedural faces; nothing for other kinds."},

      {"database.url",
       GANNET_FIELD(std::string, database.url),
       TextBetween(1, kMaxTextBytes),
       "PostgreSQL of coordinator and gateway, without a password.",
       ConfigUnit::kNone,
       {},
       &CheckDatabaseUrl},
      {"database.password_file", GANNET_FIELD(std::string, database.password_file),
       TextUpTo(kMaxTextBytes),
       "File with the database password; without it PGPASSWORD, PGPASSFILE and ~/.pgpass count."},
      {"database.pool_size", GANNET_FIELD(int, database.pool_size), Between(1, 100),
       "Connections a service may hold."},

      {"coordinator.admin_listen",
       GANNET_FIELD(std::string, coordinator.admin_listen),
       TextUpTo(kMaxTextBytes),
       "Address of the admin service, where the command line calls.",
       ConfigUnit::kNone,
       {},
       &CheckListen},
      {"coordinator.admin_token_file", GANNET_FIELD(std::string, coordinator.admin_token_file),
       TextUpTo(kMaxTextBytes),
       "File with the bearer token of the admin service; required when admin_listen is not a "
       "loopback "
       "address."},
      {"coordinator.metrics_listen",
       GANNET_FIELD(std::string, coordinator.metrics_listen),
       TextUpTo(kMaxTextBytes),
       "Address of the coordinator's /metrics.",
       ConfigUnit::kNone,
       {},
       &CheckListen},
      {"coordinator.output_dir", GANNET_FIELD(std::string, coordinator.output_dir),
       TextBetween(1, kMaxTextBytes), "Folder for sample grids and the final weights."},
      {"coordinator.sample_every", GANNET_FIELD(int64_t, coordinator.sample_every), Between(0, 1e9),
       "Rounds between sample grids; 0: only the first and the last."},
      {"coordinator.sample_count", GANNET_FIELD(int, coordinator.sample_count), Between(1, 1024),
       "Images in a sample grid."},
      {"coordinator.evaluate_every", GANNET_FIELD(int64_t, coordinator.evaluate_every),
       Between(0, 1e9),
       "Rounds between measurements of the images' quality, which end in quality.csv and "
       "checkpoints/best.safetensors; also before the first and after the last; 0: none."},
      {"coordinator.keep_every", GANNET_FIELD(int64_t, coordinator.keep_every), Between(0, 1e9),
       "Weights of every so many rounds are kept for good; 0: only the last."},
      {"coordinator.checkpoint_every", GANNET_FIELD(int64_t, coordinator.checkpoint_every),
       Between(0, 1e9), "Rounds between checkpoint files; 0: only one, at the end."},
      {"coordinator.checkpoint_keep", GANNET_FIELD(int, coordinator.checkpoint_keep),
       Between(1, 1e6), "Checkpoint files that are kept, the newest."},
      {"coordinator.leadership_ttl", GANNET_FIELD(absl::Duration, coordinator.leadership_ttl),
       Between(1, 600), "A standby takes over after the leader has been silent this long."},
      {"coordinator.threads", GANNET_FIELD(int, coordinator.threads), Between(1, 256),
       "Threads for the optimizer step and for samples."},

      {"gateway.listen",
       GANNET_FIELD(std::string, gateway.listen),
       TextUpTo(kMaxTextBytes),
       "Address where workers call.",
       ConfigUnit::kNone,
       {},
       &CheckListen},
      {"gateway.metrics_listen",
       GANNET_FIELD(std::string, gateway.metrics_listen),
       TextUpTo(kMaxTextBytes),
       "Address of the gateway's /metrics.",
       ConfigUnit::kNone,
       {},
       &CheckListen},
      {"gateway.tls_cert_file", GANNET_FIELD(std::string, gateway.tls_cert_file),
       TextUpTo(kMaxTextBytes),
       "File with the gateway's certificate and those between it and its authority, in PEM; with "
       "it "
       "the gateway speaks TLS."},
      {"gateway.tls_key_file", GANNET_FIELD(std::string, gateway.tls_key_file),
       TextUpTo(kMaxTextBytes), "File with the private key of that certificate, in PEM."},
      {"gateway.class_code_file", GANNET_FIELD(std::string, gateway.class_code_file),
       TextUpTo(kMaxTextBytes),
       "File with the code that workers must know to join; required when gateway.listen is not a "
       "loopback address."},
      {"gateway.allow_plaintext",
       GANNET_FIELD(std::string, gateway.allow_plaintext),
       TextUpTo(kMaxTextBytes),
       "Whether other machines may reach the gateway without TLS: anybody between can then read "
       "class code and weights.",
       ConfigUnit::kNone,
       {"false", "true"}},
      {"gateway.health_listen",
       GANNET_FIELD(std::string, gateway.health_listen),
       TextUpTo(kMaxTextBytes),
       "Address where grpc.health.v1 alone is served, without TLS, for probes that know none; "
       "empty: nowhere.",
       ConfigUnit::kNone,
       {},
       &CheckOptionalListen},
      {"gateway.max_payload_bytes", GANNET_FIELD(int64_t, gateway.max_payload_bytes),
       Between(kKiB, 4 * kGiB), "Largest gradient that is received.", ConfigUnit::kBytes},
      {"gateway.max_inflight_bytes", GANNET_FIELD(int64_t, gateway.max_inflight_bytes),
       Between(kKiB, 1024 * kGiB), "Memory for all gradients being received at once.",
       ConfigUnit::kBytes},
      {"gateway.drain_limit", GANNET_FIELD(absl::Duration, gateway.drain_limit), Between(0, 3600),
       "Time that calls in progress get when the gateway stops."},

      {"worker.exchange",
       GANNET_FIELD(std::string, worker.exchange),
       TextBetween(1, kMaxTextBytes),
       "HOST:PORT of a gateway, or postgres://USER@HOST/DATABASE for direct mode (without a "
       "password).",
       ConfigUnit::kNone,
       {},
       &CheckExchange},
      {"worker.class_code",
       GANNET_FIELD(std::string, worker.class_code),
       TextUpTo(256),
       "The code the gateway asks for. A secret: no flag, but environment or file.",
       ConfigUnit::kNone,
       {},
       &CheckOptionalToken,
       /*secret=*/true,
       &WithoutSpaceAround},
      {"worker.class_code_file", GANNET_FIELD(std::string, worker.class_code_file),
       TextUpTo(kMaxTextBytes), "File with the class code, instead of worker.class_code."},
      {"worker.ca_file", GANNET_FIELD(std::string, worker.ca_file), TextUpTo(kMaxTextBytes),
       "File with the certificate authority of the gateway, in PEM; without it those that the "
       "operating system trusts."},
      {"worker.ca",
       GANNET_FIELD(std::string, worker.ca),
       TextUpTo(kMaxCertificateBytes),
       "The same as text, instead of worker.ca_file: PEM, or base64 of the certificate's DER; line "
       "breaks and spaces in it do not matter.",
       ConfigUnit::kNone,
       {},
       nullptr,
       /*secret=*/false,
       &CompactCertificates},
      {"worker.allow_plaintext",
       GANNET_FIELD(std::string, worker.allow_plaintext),
       TextUpTo(kMaxTextBytes),
       "Whether to talk to a gateway on another machine without TLS: anybody between can then read "
       "class code and weights.",
       ConfigUnit::kNone,
       {"false", "true"}},
      {"worker.name",
       GANNET_FIELD(std::string, worker.name),
       TextUpTo(64),
       "Name shown to people; without it the host's name.",
       ConfigUnit::kNone,
       {},
       &CheckWorkerName},
      {"worker.state_file", GANNET_FIELD(std::string, worker.state_file), TextUpTo(kMaxTextBytes),
       "File that keeps the worker's identity; without it the first one that no other worker "
       "uses of gannet/worker.json, gannet/worker-2.json and so on, below XDG_STATE_HOME "
       "or ~/.local/state."},
      {"worker.metrics_listen",
       GANNET_FIELD(std::string, worker.metrics_listen),
       TextUpTo(kMaxTextBytes),
       "Address of the worker's /metrics.",
       ConfigUnit::kNone,
       {},
       &CheckListen},
      {"worker.threads", GANNET_FIELD(int, worker.threads), Between(0, 1024),
       "Threads that compute; 0: all cores."},
      {"worker.data_threads", GANNET_FIELD(int, worker.data_threads), Between(1, 256),
       "Threads that read and decode images, beside those that compute."},
      {"worker.device",
       GANNET_FIELD(std::string, worker.device),
       TextUpTo(kMaxTextBytes),
       "What computes: cpu, cuda or cuda:NUMBER. A GPU needs a build with an official LibTorch.",
       ConfigUnit::kNone,
       {},
       &CheckDevice},
      {"worker.precision",
       GANNET_FIELD(std::string, worker.precision),
       TextUpTo(kMaxTextBytes),
       "How convolutions compute on a GPU.",
       ConfigUnit::kNone,
       {"fp32", "tf32", "bf16"}},

      {"log.level",
       GANNET_FIELD(std::string, log.level),
       TextUpTo(kMaxTextBytes),
       "The least important lines that are written.",
       ConfigUnit::kNone,
       {"debug", "info", "warning", "error"}},
      {"log.format",
       GANNET_FIELD(std::string, log.format),
       TextUpTo(kMaxTextBytes),
       "Lines for people, or one JSON object a line.",
       ConfigUnit::kNone,
       {"text", "json"}},
  };
}

#undef GANNET_FIELD

// The shortest text that reads back as the same number.
std::string NumberText(double value) {
  for (const int digits : {6, 15, 17}) {
    std::string text = absl::StrFormat("%.*g", digits, value);
    double back = 0;
    if (absl::SimpleAtod(text, &back) && back == value) return text;
  }
  return absl::StrFormat("%.17g", value);
}

struct SizeUnit {
  const char* name;
  int64_t bytes;
};
constexpr SizeUnit kSizeUnits[] = {
    {"TiB", int64_t{1} << 40},
    {"GiB", int64_t{1} << 30},
    {"MiB", int64_t{1} << 20},
    {"KiB", int64_t{1} << 10},
    {"B", 1},
};

std::string SizeText(int64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes >= unit.bytes && bytes % unit.bytes == 0) {
      return absl::StrCat(bytes / unit.bytes, unit.name);
    }
  }
  return absl::StrCat(bytes);
}

// Decimal digits with an optional sign and nothing else: SimpleAtoi alone would allow spaces.
template <typename T>
bool ParseInteger(absl::string_view text, T* value) {
  const absl::string_view digits = absl::StartsWith(text, "-") ? text.substr(1) : text;
  if (digits.empty() || digits.find_first_not_of("0123456789") != absl::string_view::npos) {
    return false;
  }
  return absl::SimpleAtoi(text, value);
}

bool ParseSize(absl::string_view text, int64_t* bytes) {
  int64_t factor = 1;
  for (const SizeUnit& unit : kSizeUnits) {
    if (absl::EndsWith(text, unit.name)) {
      factor = unit.bytes;
      text.remove_suffix(absl::string_view(unit.name).size());
      if (absl::EndsWith(text, " ")) text.remove_suffix(1);
      break;
    }
  }
  int64_t count = 0;
  if (!ParseInteger(text, &count)) return false;
  if (count > std::numeric_limits<int64_t>::max() / factor ||
      count < std::numeric_limits<int64_t>::min() / factor) {
    return false;
  }
  *bytes = count * factor;
  return true;
}

bool ParseNumber(absl::string_view text, double* value) {
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != absl::string_view::npos) {
    return false;
  }
  return absl::SimpleAtod(text, value) && std::isfinite(*value);
}

bool InRange(const ConfigRange& range, double value) {
  const bool above = range.low_open ? value > range.low : value >= range.low;
  const bool below = range.high_open ? value < range.high : value <= range.high;
  return above && below;
}

bool IsSize(const KeySpec& key) { return key.unit == ConfigUnit::kBytes; }

absl::Status Wrong(const KeySpec& key, absl::string_view must, absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(key.name, " ", must, ", got ", Shown(text)));
}

// "must be an integer, 1 to 4096".
std::string MustBe(const KeySpec& key, absl::string_view type) {
  const std::string range = RangeName(key);
  return absl::StrCat("must be ", type, range.empty() ? "" : ", ", range);
}

absl::Status SetText(const KeySpec& key, absl::string_view text, std::string& value) {
  // A value that may carry a password is never shown.
  const std::string shown = key.secret ? "***" : MaskPassword(text);
  const auto size = static_cast<double>(text.size());
  if (size < key.range.low) return Wrong(key, "must not be empty", shown);
  if (size > key.range.high) {
    return Wrong(key, absl::StrCat("must have at most ", key.range.high, " bytes"), shown);
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return Wrong(key, "must not contain control characters", shown);
    }
  }
  if (key.check != nullptr) {
    const std::string problem = key.check(text);
    if (!problem.empty()) return Wrong(key, problem, shown);
  }
  value = std::string(text);
  return absl::OkStatus();
}

template <typename T>
absl::Status SetInteger(const KeySpec& key, absl::string_view text, T& value) {
  T parsed = 0;
  if (!ParseInteger(text, &parsed) || !InRange(key.range, static_cast<double>(parsed))) {
    return Wrong(key, MustBe(key, "an integer"), text);
  }
  value = parsed;
  return absl::OkStatus();
}

struct Setter {
  const KeySpec& key;
  absl::string_view text;
  Config& config;

  absl::Status operator()(Accessor<int> field) const {
    return SetInteger(key, text, field(config));
  }
  absl::Status operator()(Accessor<int64_t> field) const {
    if (!IsSize(key)) return SetInteger(key, text, field(config));
    int64_t bytes = 0;
    if (!ParseSize(text, &bytes) || !InRange(key.range, static_cast<double>(bytes))) {
      return Wrong(key, MustBe(key, "a size in bytes or with KiB, MiB, GiB"), text);
    }
    field(config) = bytes;
    return absl::OkStatus();
  }
  absl::Status operator()(Accessor<uint64_t> field) const {
    // Stored as a signed 64-bit integer in the database.
    int64_t parsed = 0;
    if (!ParseInteger(text, &parsed) || parsed < 0) {
      return Wrong(key, MustBe(key, "an integer"), text);
    }
    field(config) = static_cast<uint64_t>(parsed);
    return absl::OkStatus();
  }
  absl::Status operator()(Accessor<double> field) const {
    double parsed = 0;
    if (!ParseNumber(text, &parsed) || !InRange(key.range, parsed)) {
      return Wrong(key, MustBe(key, "a number"), text);
    }
    field(config) = parsed;
    return absl::OkStatus();
  }
  absl::Status operator()(Accessor<absl::Duration> field) const {
    absl::Duration parsed;
    if (!absl::ParseDuration(std::string(text), &parsed) ||
        !InRange(key.range, absl::ToDoubleSeconds(parsed))) {
      return Wrong(key, MustBe(key, "a duration such as 300s or 5m"), text);
    }
    field(config) = parsed;
    return absl::OkStatus();
  }
  absl::Status operator()(Accessor<std::string> field) const {
    return SetText(key, text, field(config));
  }
};

struct Reader {
  const KeySpec& key;
  Config& config;

  std::string operator()(Accessor<int> field) const { return absl::StrCat(field(config)); }
  std::string operator()(Accessor<int64_t> field) const {
    return IsSize(key) ? SizeText(field(config)) : absl::StrCat(field(config));
  }
  std::string operator()(Accessor<uint64_t> field) const { return absl::StrCat(field(config)); }
  std::string operator()(Accessor<double> field) const { return NumberText(field(config)); }
  std::string operator()(Accessor<absl::Duration> field) const {
    return absl::FormatDuration(field(config));
  }
  std::string operator()(Accessor<std::string> field) const { return field(config); }
};

// A gateway that others can reach proves who it is, and wants to know who comes.
void CheckGatewaySecrets(const Config::Gateway& gateway, std::vector<CrossMistake>& mistakes) {
  const bool has_certificate = !gateway.tls_cert_file.empty();
  if (has_certificate != !gateway.tls_key_file.empty()) {
    mistakes.push_back(
        {has_certificate ? "gateway.tls_cert_file" : "gateway.tls_key_file",
         {has_certificate ? "gateway.tls_key_file" : "gateway.tls_cert_file"},
         "gateway.tls_cert_file and gateway.tls_key_file belong together, set both or none"});
    return;
  }
  if (IsLoopbackAddress(gateway.listen)) return;
  if (!has_certificate && gateway.allow_plaintext != "true") {
    mistakes.push_back(
        {"gateway.listen",
         {"gateway.tls_cert_file", "gateway.allow_plaintext"},
         absl::StrCat("gateway.tls_cert_file and gateway.tls_key_file must name a certificate and "
                      "its key when other machines can reach gateway.listen (or "
                      "gateway.allow_plaintext be true, where nobody else is on the network), got ",
                      Shown(gateway.listen))});
  }
  if (gateway.class_code_file.empty()) {
    mistakes.push_back(
        {"gateway.listen",
         {"gateway.class_code_file"},
         absl::StrCat("gateway.class_code_file must name a file with a class code when other "
                      "machines can reach gateway.listen, got ",
                      Shown(gateway.listen))});
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
    if (key.name == name) return &key;
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

std::string EnvironmentName(const KeySpec& key) {
  std::string name = absl::StrCat("GANNET_", key.name);
  for (char& c : name) c = c == '.' ? '_' : absl::ascii_toupper(static_cast<unsigned char>(c));
  return name;
}

std::string TypeName(const KeySpec& key) {
  if (!key.choices.empty()) return absl::StrCat("one of ", absl::StrJoin(key.choices, ", "));
  if (IsSize(key)) return "size";
  if (std::holds_alternative<Accessor<double>>(key.field)) return "number";
  if (std::holds_alternative<Accessor<absl::Duration>>(key.field)) return "duration";
  if (std::holds_alternative<Accessor<std::string>>(key.field)) return "text";
  return "integer";
}

std::string RangeName(const KeySpec& key) {
  if (!key.choices.empty() || std::holds_alternative<Accessor<std::string>>(key.field)) return "";
  if (std::holds_alternative<Accessor<uint64_t>>(key.field)) {
    return absl::StrCat("0 to ", std::numeric_limits<int64_t>::max());
  }
  const auto text = [&](double value) {
    if (std::holds_alternative<Accessor<absl::Duration>>(key.field)) {
      return absl::FormatDuration(absl::Seconds(value));
    }
    if (IsSize(key)) return SizeText(static_cast<int64_t>(value));
    // Limits of integers are integers, and no power of ten.
    return std::holds_alternative<Accessor<double>>(key.field)
               ? NumberText(value)
               : absl::StrCat(static_cast<int64_t>(value));
  };
  const std::string low = text(key.range.low);
  const std::string high = text(key.range.high);
  if (!key.range.low_open && !key.range.high_open) return absl::StrCat(low, " to ", high);
  return absl::StrCat(key.range.low_open ? "more than " : "at least ", low,
                      key.range.high_open ? ", less than " : ", at most ", high);
}

absl::Status SetValue(const KeySpec& key, absl::string_view given, Config& config) {
  // A line break around a text came along with it, from a file or a clipboard.
  absl::string_view text = given;
  while (IsFreeText(key) &&
         (absl::ConsumePrefix(&text, "\n") || absl::ConsumePrefix(&text, "\r"))) {
  }
  while (IsFreeText(key) &&
         (absl::ConsumeSuffix(&text, "\n") || absl::ConsumeSuffix(&text, "\r"))) {
  }
  const std::string cleaned = key.clean == nullptr ? std::string() : key.clean(text);
  if (key.clean != nullptr) text = cleaned;
  if (!key.choices.empty() &&
      std::find(key.choices.begin(), key.choices.end(), std::string(text)) == key.choices.end()) {
    return Wrong(key, absl::StrCat("must be one of ", absl::StrJoin(key.choices, ", ")), text);
  }
  return std::visit(Setter{key, text, config}, key.field);
}

std::string ValueText(const KeySpec& key, const Config& config) {
  // The fields are reached through a mutable reference; the copy keeps the caller's config
  // untouched.
  Config copy = config;
  return std::visit(Reader{key, copy}, key.field);
}

bool IsFreeText(const KeySpec& key) {
  return key.choices.empty() && std::holds_alternative<Accessor<std::string>>(key.field);
}

std::string Shown(absl::string_view text) {
  constexpr size_t kMax = 80;
  if (text.size() <= kMax) return absl::StrCat("'", absl::Utf8SafeCEscape(text), "'");
  return absl::StrCat("'", absl::Utf8SafeCEscape(text.substr(0, kMax)), "...' (", text.size(),
                      " bytes)");
}

std::vector<CrossMistake> CrossCheck(const Config& config) {
  std::vector<CrossMistake> mistakes;
  if (config.training.micro_batch > config.training.images_per_unit) {
    mistakes.push_back(
        {"training.micro_batch",
         {"training.images_per_unit"},
         absl::StrCat("training.micro_batch must be at most training.images_per_unit, got ",
                      config.training.micro_batch, " and ", config.training.images_per_unit)});
  }
  if (LossIgnoresTarget(config.training.loss) && config.training.real_label != 1) {
    mistakes.push_back(
        {"training.real_label",
         {"training.loss"},
         absl::StrCat("training.real_label must be 1 when training.loss is ", config.training.loss,
                      ", which knows no target, got ", NumberText(config.training.real_label))});
  }
  if (config.worker.device == "cpu" && config.worker.precision != "fp32") {
    mistakes.push_back(
        {"worker.precision",
         {"worker.device"},
         absl::StrCat("worker.precision must be fp32 when worker.device is cpu, got ",
                      config.worker.precision)});
  }
  if (!IsDrawnDataset(config.data.kind) && config.data.path.empty()) {
    mistakes.push_back({"data.kind",
                        {"data.path"},
                        absl::StrCat("data.path must name ", DatasetSource(config.data.kind),
                                     " when data.kind is ", config.data.kind)});
  }
  if (!IsLoopbackAddress(config.coordinator.admin_listen) &&
      config.coordinator.admin_token_file.empty()) {
    mistakes.push_back(
        {"coordinator.admin_listen",
         {"coordinator.admin_token_file"},
         absl::StrCat(
             "coordinator.admin_token_file must name a file with a token when other machines can "
             "reach coordinator.admin_listen, got ",
             Shown(config.coordinator.admin_listen))});
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
                      SizeText(config.gateway.max_inflight_bytes), " and ",
                      SizeText(config.gateway.max_payload_bytes))});
  }
  return mistakes;
}

}  // namespace gannet
