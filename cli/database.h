#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/config/config.h"
#include "libs/store/pg_backend.h"
#include "libs/telemetry/log.h"
#include "libs/telemetry/metrics.h"

namespace gannet::cli {

// The database of the settings, and what it needs to live.
struct Database {
  std::unique_ptr<telemetry::Logger> log;
  std::unique_ptr<telemetry::Metrics> metrics;
  std::unique_ptr<store::PgBackend> backend;
};

// Connects to database.url as gannet-PROGRAM.
// Returns: as PgBackend::Create and CheckNamedFiles.
absl::StatusOr<Database> ConnectToDatabase(const config::Config& config, const char* program);

// Writes why a call to the database failed and what to do. Returns the exit code.
int FailDatabase(const absl::Status& status);

}  // namespace gannet::cli
