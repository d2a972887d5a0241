#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "libs/domain/run_config.h"

namespace gannet::config {

// Every setting of every service and command, in sections as in the YAML file. The same file serves
// all of them; each reads the sections it needs. Defaults here, and in RunConfig, are the defaults.
// Precedence: flag
// (--section.key VALUE; not for secrets) over environment (GANNET_SECTION_KEY) over file over
// default. Descriptions, ranges and units of the keys are in docs/configuration.md, made from the
// same table.
struct Config {
  // Sections run, model and training (libs/domain/run_settings.h). The data set is named by `data`
  // below; what it is, the fingerprint in here, is known once it is open (MakeRunConfig).
  domain::RunConfig run;

  struct Data {
    std::string kind = "procedural";  // one of kDatasetNames
    std::string path;
    int crop = 0;  // pixels; 0: the shorter side
    uint64_t seed = 1;
    int64_t count = 10'000;
  } data;

  struct Database {
    std::string url = "postgres:///gannet";  // never with a password in it
    std::string password_file;               // else PGPASSWORD, PGPASSFILE, ~/.pgpass
    int pool_size = 8;
  } database;

  struct Coordinator {
    std::string admin_listen = "127.0.0.1:50052";
    std::string admin_token_file;  // required when admin_listen can be reached from other machines
    std::string metrics_listen = "127.0.0.1:9101";
    std::string output_dir = "out";
    int64_t sample_every = 100;  // rounds between sample grids; 0: only first and last
    int sample_count = 64;
    int64_t evaluate_every = 500;  // rounds between measurements of image quality; 0: never
    int64_t keep_every = 100;  // weights of every Nth round are kept permanently; 0: only the last
    int64_t checkpoint_every = 0;  // rounds between checkpoint files; 0: only at the end
    int checkpoint_keep = 3;       // files; the newest
    absl::Duration leadership_ttl = absl::Seconds(15);
    int threads = 1;
  } coordinator;

  struct Gateway {
    std::string listen = "127.0.0.1:50051";
    std::string metrics_listen = "127.0.0.1:9102";
    std::string tls_cert_file;  // PEM; with tls_key_file: TLS
    std::string tls_key_file;
    std::string class_code_file;  // required when listen can be reached from elsewhere
    bool allow_plaintext = false;
    std::string health_listen;              // empty: none
    int64_t max_payload_bytes = 256 << 20;  // of one gradient
    int64_t max_inflight_bytes = 1 << 30;   // of all gradients being received
    absl::Duration drain_limit = absl::Seconds(10);
  } gateway;

  struct Worker {
    // HOST:PORT of a gateway, or postgres://USER@HOST/DATABASE for direct mode.
    std::string exchange = "127.0.0.1:50051";
    std::string class_code;       // or class_code_file
    std::string class_code_file;  // or class_code
    std::string ca_file;          // PEM; or ca; else what the operating system trusts
    std::string ca;               // base64 of DER
    bool allow_plaintext = false;
    std::string name;        // default: the host's name
    std::string state_file;  // identity; default: $XDG_STATE_HOME/gannet/worker.json
    std::string metrics_listen = "127.0.0.1:9103";
    int threads = 0;                 // 0: all cores
    int data_threads = 1;            // that read and decode images
    std::string device = "cpu";      // cpu, cuda or cuda:NUMBER
    std::string precision = "fp32";  // fp32, tf32 or bf16
  } worker;

  struct Log {
    std::string level = "info";   // debug, info, warning, error
    std::string format = "text";  // text or json
  } log;

  // Where the values came from, by key: "class.yaml:3", "environment GANNET_RUN_NAME", "flag
  // --run.name". What nobody set is not in it.
  std::map<std::string, std::string> origins;

  // What was read, but should be written differently from now on; for the log, or stderr.
  std::vector<std::string> warnings;
};

// One key of the schema, as documentation and checks see it.
struct ConfigKey {
  std::string name;           // "training.learning_rate"
  std::string type;           // as TypeName (libs/base/setting.h)
  std::string range;          // "1 to 65536"; empty when everything of the type is allowed
  std::string default_value;  // as it would be written in the file
  std::string description;
  std::string environment;  // "GANNET_TRAINING_LEARNING_RATE"
};

// All keys in order of their section.
const std::vector<ConfigKey>& ConfigKeys();

// What a command line said.
struct CommandLine {
  std::string config_path;             // --config FILE; empty: none
  std::vector<std::string> overrides;  // "section.key=value", from --section.key VALUE
  // Settings that something else has written down, a checkpoint for instance. They win over the
  // environment, and flags win over them.
  std::vector<std::string> recorded = {};  // as overrides
  std::string recorded_in = {};            // where, for messages: "checkpoint out/round_5.…"
};

using Environment = std::map<std::string, std::string>;

// The environment of this process.
Environment ProcessEnvironment();

// Reads file, environment and overrides into one Config. In the file, ${NAME} is replaced by the
// environment variable NAME ($${NAME} stands for the text ${NAME}). A GANNET_* variable that is set
// to nothing counts as not set; one that looks like a key but is none is a mistake, except
// GANNET_TEST_* and what Kubernetes and Docker set for a service called gannet-…. Returns:
// INVALID_ARGUMENT - naming every mistake at once, one per line: "FILE:LINE: unknown key
// 'trainning.lease', did you mean 'training.lease'?", values of the wrong type or out of range with
// what is allowed; NOT_FOUND - no such file; PERMISSION_DENIED - the file cannot be read.
absl::StatusOr<Config> LoadConfig(const CommandLine& command_line);

// The same with a given environment, for tests.
absl::StatusOr<Config> LoadConfig(const CommandLine& command_line, const Environment& environment);

// The same status, each line of its message behind where the first setting that it names came from
// ("class.yaml:3: training.quorum must be …"), for what is found out after LoadConfig.
absl::Status WithOrigins(const Config& config, const absl::Status& status);

// The effective settings as YAML, with passwords that a URL may carry masked. Loading it gives the
// same settings, but for secrets, which are left out.
std::string DumpConfig(const Config& config);

// Reads what a key of the configuration names: a certificate, for instance.
// Returns: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT - naming the key, the file and what to
// do.
absl::StatusOr<std::string> ReadNamedFile(absl::string_view key, const std::string& path);

// Whether only programs of this machine can reach HOST:PORT: "localhost", 127.0.0.0/8 or ::1.
bool IsLoopbackAddress(absl::string_view address);

// Reads a class code or token from the file that a key, or a flag, names (white space around it,
// and a byte order mark, are dropped).
// Returns: as ReadNamedFile; INVALID_ARGUMENT - it is empty, or cannot be shown in a header of
// gRPC, which takes printable ASCII only.
absl::StatusOr<std::string> ReadTokenFile(absl::string_view key, const std::string& path);

// Whether the files that these keys name can be read and hold what they should; a key that is not
// set names none.
// Returns: every mistake, one per line, as ReadNamedFile and ReadTokenFile; the code of the first.
absl::Status CheckNamedFiles(const Config& config, const std::vector<absl::string_view>& keys);

// The same for every key that names a secret or a certificate.
absl::Status CheckNamedFiles(const Config& config);

}  // namespace gannet::config
