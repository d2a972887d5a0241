#include "libs/store/pg_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/hex.h"
#include "libs/base/status_macros.h"
#include "libs/domain/model_layout.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/validation.h"
#include "libs/pg/sql_json.h"
#include "libs/store/blob_io.h"
#include "libs/store/sql_names.h"
#include "libs/tensor/safetensors.h"

namespace gannet::store {
namespace {

// A run with its last round and its workers. $2: for how many microseconds a worker is present.
#define GANNET_SELECT_RUN_STATUS                                                                  \
  "SELECT r.run_id, r.config::text AS created_config, "                                           \
  "nullif(gannet.config_of(r.run_id, r.weights_version + 1), r.config)::text AS config, "         \
  "nullif(gannet.config_of(r.run_id, r.weights_version + 2), "                                    \
  "gannet.config_of(r.run_id, r.weights_version + 1))::text AS next_config, "                     \
  "(SELECT coalesce(max(h.from_round), 0) FROM gannet.run_change h "                              \
  "WHERE h.run_id = r.run_id) AS settings_round, r.settings_version, r.median_unit_us, "          \
  "(SELECT coalesce(sum(w.wasted_image_count), 0)::bigint FROM gannet.worker w "                  \
  "WHERE w.run_id = r.run_id) AS wasted_image_count, "                                            \
  "r.state::text AS state, r.state_reason, "                                                      \
  "r.weights_version, b.version AS best_version, b.distance AS best_distance, s.round, s.epoch, " \
  "s.gradient_count, s.image_count, "                                                             \
  "s.discriminator_loss, s.generator_loss, s.real_accuracy, s.fake_accuracy, s.seconds, "         \
  "(SELECT count(*) FROM gannet.worker w WHERE w.run_id = r.run_id AND NOT w.has_left "           \
  "AND w.last_seen > c.now - $2::bigint * interval '1 microsecond') AS worker_count, "            \
  "(SELECT coalesce(sum(w.accepted_image_count), 0)::bigint FROM gannet.worker w "                \
  "WHERE w.run_id = r.run_id) AS accepted_image_count "                                           \
  "FROM gannet.run r CROSS JOIN (SELECT gannet.clock_now() AS now) c "                            \
  "LEFT JOIN gannet.best_weights b ON b.run_id = r.run_id "                                       \
  "LEFT JOIN gannet.round_summary s ON s.run_id = r.run_id AND s.round = r.weights_version "
constexpr pg::SqlStatement kFindRun = {"find_run", GANNET_SELECT_RUN_STATUS "WHERE r.name = $1",
                                       true};
constexpr pg::SqlStatement kGetRunStatus = {
    "get_run_status", GANNET_SELECT_RUN_STATUS "WHERE r.run_id = $1::bigint", true};
#undef GANNET_SELECT_RUN_STATUS

constexpr pg::SqlStatement kRequireRun = {"require_run",
                                          "SELECT FROM gannet.run WHERE run_id = $1::bigint", true};

constexpr pg::SqlStatement kCreateRun = {
    "create_run", "SELECT gannet.create_run($1::jsonb, $2::bytea, $3::bytea) AS run_id"};

constexpr pg::SqlStatement kAcquireLeadership = {
    "acquire_leadership", "SELECT gannet.acquire_leadership($1::bigint, $2, $3::bigint) AS term"};
constexpr pg::SqlStatement kResignLeadership = {
    "resign_leadership", "SELECT gannet.resign_leadership($1::bigint, $2, $3::bigint)"};

constexpr pg::SqlStatement kCurrentVersion = {
    "current_version", "SELECT weights_version FROM gannet.run WHERE run_id = $1::bigint", true};
constexpr pg::SqlStatement kWeightsRecord = {
    "weights_record",
    "SELECT codec, sha256, payload_bytes FROM gannet.weights "
    "WHERE run_id = $1::bigint AND version = $2::bigint",
    true};
constexpr pg::SqlStatement kAdamRecord = {
    "adam_record",
    "SELECT codec, sha256, payload_bytes FROM gannet.adam_state "
    "WHERE run_id = $1::bigint AND version = $2::bigint",
    true};
// The statements below name the rings by number, for only so a plan touches one leaf.
static_assert(exchange::kBlobRing == 8 && kAdamRing == 4 && kBestRing == 2);
// The current version is always in the ring: ReclaimOldBlobs frees only what is eight versions old.
constexpr pg::SqlStatement kWeightsBytes = {
    "weights_bytes",
    "SELECT data FROM gannet.weights_blob WHERE run_id = $1::bigint "
    "AND version % 8 = $2::bigint % 8 AND version = $2::bigint ORDER BY seq",
    true};
constexpr pg::SqlStatement kAdamBytes = {
    "adam_bytes",
    "SELECT data FROM gannet.adam_blob WHERE run_id = $1::bigint "
    "AND version % 4 = $2::bigint % 4 AND version = $2::bigint ORDER BY seq",
    true};

constexpr pg::SqlStatement kRoundProgress = {
    "round_progress",
    "SELECT u.state::text AS state, u.failure_reason, u.unit_id, u.slot, u.stale_rounds, u.attempt "
    "AS attempts, "
    "g.attempt, g.worker_id, "
    "g.image_count, g.micro_batch_count, g.discriminator_loss, g.generator_loss, g.real_accuracy, "
    "g.fake_accuracy, g.compute_seconds, g.codec, g.sha256, "
    "coalesce(w.removed_reason IS NOT NULL AND r.state IN ('running', 'paused') "
    "AND u.round > r.weights_version, false) AS is_revoked "
    "FROM gannet.run r LEFT JOIN gannet.work_unit u ON u.run_id = r.run_id "
    "AND u.round = $2::bigint LEFT JOIN gannet.gradient g ON g.unit_id = u.unit_id "
    "LEFT JOIN gannet.worker w ON w.run_id = g.run_id AND w.worker_id = g.worker_id "
    "WHERE r.run_id = $1::bigint ORDER BY u.slot, u.unit_id",
    true};

constexpr pg::SqlStatement kGradientRecord = {
    "gradient_record",
    "SELECT g.round, g.attempt, g.codec, g.sha256, g.payload_bytes FROM gannet.gradient g "
    "WHERE g.run_id = $1::bigint AND g.unit_id = $2::bigint AND g.has_bytes",
    true};
constexpr pg::SqlStatement kGradientBytes = {
    "gradient_bytes",
    "SELECT data FROM gannet.gradient_blob WHERE run_id = $1::bigint "
    "AND round % 8 = $2::bigint % 8 AND unit_id = $3::bigint AND attempt = $4::integer "
    "ORDER BY seq",
    true};

constexpr pg::SqlStatement kRejectGradient = {
    "reject_gradient",
    "SELECT gannet.reject_gradient($1::bigint, $2, $3::bigint, $4::bigint, $5) AS removed"};

constexpr pg::SqlStatement kRemoveWorker = {"remove_worker",
                                            "SELECT gannet.remove_worker($1::bigint, $2, $3)"};
constexpr pg::SqlStatement kRevokeWork = {"revoke_work",
                                          "SELECT gannet.revoke_work($1::bigint, $2)"};
constexpr pg::SqlStatement kRestoreWorker = {"restore_worker",
                                             "SELECT gannet.restore_worker($1::bigint, $2)"};

constexpr pg::SqlStatement kPublishRound = {
    "publish_round",
    "SELECT gannet.publish_round($1::bigint, $2, $3::bigint, $4::bigint, $5::bytea, $6::bigint, "
    "$7::bigint[], $8::bytea, $9::jsonb, $10::bytea, $11::bytea)"};
constexpr char kCopyWeights[] =
    "COPY gannet.weights_blob (run_id, version, seq, data) FROM STDIN (FORMAT binary)";
constexpr char kCopyAdam[] =
    "COPY gannet.adam_blob (run_id, version, seq, data) FROM STDIN (FORMAT binary)";

constexpr pg::SqlStatement kReap = {
    "reap_expired_leases",
    "SELECT gannet.reap_expired_leases($1::bigint, $2, $3::bigint) AS count"};

constexpr pg::SqlStatement kReclaimOldBlobs = {
    "reclaim_old_blobs", "SELECT gannet.reclaim_old_blobs($1::bigint, $2, $3::bigint, $4::bigint)"};

constexpr pg::SqlStatement kReclaimBlobs = {
    "reclaim_blobs", "SELECT gannet.reclaim_blobs($1::bigint, $2, $3::bigint)"};

constexpr pg::SqlStatement kDeleteRun = {"delete_run", "SELECT gannet.delete_run($1::bigint)"};

constexpr pg::SqlStatement kSaveBest = {
    "save_best",
    "SELECT gannet.save_best($1::bigint, $2, $3::bigint, $4::jsonb, $5::bytea) AS turn"};
constexpr pg::SqlStatement kBestRecord = {
    "best_record",
    "SELECT version, distance, codec, sha256, payload_bytes, turn "
    "FROM gannet.best_weights WHERE run_id = $1::bigint",
    true};
constexpr pg::SqlStatement kBestBytes = {
    "best_bytes",
    "SELECT data FROM gannet.best_blob WHERE run_id = $1::bigint AND turn % 2 = $2::bigint % 2 "
    "AND turn = $2::bigint ORDER BY seq",
    true};
constexpr char kCopyBest[] =
    "COPY gannet.best_blob (run_id, turn, seq, data) FROM STDIN (FORMAT binary)";

constexpr pg::SqlStatement kRunState = {
    "run_state", "SELECT state::text AS state FROM gannet.run WHERE run_id = $1::bigint", true};
constexpr pg::SqlStatement kSetRunState = {
    "set_run_state",
    "SELECT gannet.set_run_state($1::bigint, $2::gannet.run_state, $3::gannet.run_state, $4) "
    "AS done"};
constexpr int kMaxStateAttempts = 5;

constexpr pg::SqlStatement kChangeSettings = {
    "change_settings", "SELECT gannet.change_settings($1::bigint, $2::bigint, $3::jsonb)"};
// Each fails only if a round was published within the milliseconds between two statements.
constexpr int kMaxChangeAttempts = 50;
constexpr pg::SqlStatement kListChanges = {
    "list_changes",
    "SELECT c.from_round, c.config::text AS config, c.reason FROM gannet.run r "
    "LEFT JOIN gannet.run_change c USING (run_id) WHERE r.run_id = $1::bigint "
    "ORDER BY c.from_round",
    true};

constexpr pg::SqlStatement kListRounds = {
    "list_rounds",
    "SELECT round, epoch, gradient_count, image_count, discriminator_loss, generator_loss, "
    "real_accuracy, fake_accuracy, seconds FROM gannet.round_summary "
    "WHERE run_id = $1::bigint AND round > $2::bigint ORDER BY round LIMIT $3::integer",
    true};

constexpr pg::SqlStatement kRestoreRun = {"restore_run",
                                          "SELECT gannet.restore_run($1::bigint, $2::jsonb)"};

constexpr pg::SqlStatement kListWorkerRecords = {
    "list_worker_records",
    "SELECT w.worker_id, w.display_name, w.hardware, w.accepted_unit_count, "
    "w.accepted_image_count, w.duplicate_unit_count, w.wasted_image_count, "
    "coalesce(w.removed_reason, '') AS removed_reason, "
    "(extract(epoch FROM w.last_seen) * 1000000)::bigint AS last_seen_us, "
    "encode(w.secret_sha256, 'hex') AS secret_sha256, w.incarnation FROM gannet.run r "
    "LEFT JOIN gannet.worker w USING (run_id) WHERE r.run_id = $1::bigint ORDER BY w.worker_id",
    true};

constexpr pg::SqlStatement kListWorkers = {
    "list_workers",
    "SELECT worker_id, display_name, hardware, accepted_unit_count, accepted_image_count, "
    "duplicate_unit_count, wasted_image_count, "
    "coalesce(removed_reason, '') AS removed_reason, "
    "(extract(epoch FROM last_seen) * 1000000)::bigint AS last_seen_us FROM gannet.worker "
    "WHERE run_id = $1::bigint AND worker_id > $2 ORDER BY worker_id LIMIT $3::integer",
    true};

absl::Status NoSuchRun(base::RunId run) {
  return absl::NotFoundError(absl::StrCat("no such run: ", run.value()));
}

pg::SqlParams RunParams(base::RunId run) {
  pg::SqlParams params;
  params.Int(run.value());
  return params;
}

pg::SqlParams FenceParams(base::RunId run, const exchange::Leadership& leadership) {
  pg::SqlParams params = RunParams(run);
  params.Text(leadership.leader.value()).Int(leadership.term);
  return params;
}

pg::SqlJson PayloadJson(const exchange::Payload& payload) {
  return pg::SqlJson()
      .Int("codec", static_cast<int>(payload.codec))
      .Int("payload_bytes", static_cast<int64_t>(payload.bytes->size()));
}

std::string UnitsJson(const std::vector<domain::PlannedUnit>& units) {
  std::vector<pg::SqlJson> objects;
  objects.reserve(units.size());
  for (const domain::PlannedUnit& unit : units) {
    objects.push_back(
        pg::SqlJson().Int("slot", unit.slot.value()).IntArray("image_indices", unit.image_indices));
  }
  return pg::SqlJsonArray(objects);
}

pg::SqlJson SummaryJson(const exchange::RoundSummary& summary) {
  return pg::SqlJson()
      .Int("round", summary.round.value())
      .Int("epoch", summary.epoch)
      .Int("gradient_count", summary.gradient_count)
      .Int("image_count", summary.image_count)
      .Double("discriminator_loss", summary.discriminator_loss)
      .Double("generator_loss", summary.generator_loss)
      .Double("real_accuracy", summary.real_accuracy)
      .Double("fake_accuracy", summary.fake_accuracy)
      .Double("seconds", summary.seconds);
}

std::string HistoryJson(const std::vector<exchange::RoundSummary>& history) {
  std::vector<pg::SqlJson> objects;
  objects.reserve(history.size());
  for (const exchange::RoundSummary& summary : history) objects.push_back(SummaryJson(summary));
  return pg::SqlJsonArray(objects);
}

// What a gradient of the run has at most: its tensors in the run's codec, and as long a header as a
// reader takes. Weights that are more than the model says are another network's: its gradients have
// the size of those.
int64_t GradientBytesMax(const exchange::NewRun& request) {
  constexpr int64_t kHeaderBytes{tensor::kMaxSafetensorsHeaderBytes};
  const domain::RunConfig& config = request.config;
  int64_t bytes = EncodedDataBytes(domain::GradientSpec(config.model),
                                   static_cast<tensor::Codec>(config.gradient_codec));
  const auto weights_bytes = static_cast<int64_t>(request.weights.bytes->size());
  if (weights_bytes >
      EncodedDataBytes(domain::WeightsSpec(config.model), request.weights.codec) + kHeaderBytes) {
    bytes = std::max(bytes, weights_bytes);
  }
  return std::min(bytes + kHeaderBytes, exchange::kMaxPayloadBytes);
}

exchange::WorkerSummary ReadWorker(pg::SqlRow& row) {
  exchange::WorkerSummary summary;
  summary.worker = base::WorkerId(row.Text("worker_id"));
  summary.display_name = row.Text("display_name");
  summary.hardware = row.Text("hardware");
  summary.accepted_unit_count = row.Int("accepted_unit_count");
  summary.accepted_image_count = row.Int("accepted_image_count");
  summary.duplicate_unit_count = row.Int("duplicate_unit_count");
  summary.wasted_image_count = row.Int("wasted_image_count");
  summary.last_seen = absl::FromUnixMicros(row.Int("last_seen_us"));
  summary.removed_reason = row.Text("removed_reason");
  return summary;
}

exchange::RoundSummary ReadSummary(pg::SqlRow& row) {
  exchange::RoundSummary summary;
  summary.round = base::Round(row.Int("round"));
  summary.epoch = row.Int("epoch");
  summary.gradient_count = static_cast<int>(row.Int("gradient_count"));
  summary.image_count = static_cast<int>(row.Int("image_count"));
  summary.discriminator_loss = row.Double("discriminator_loss");
  summary.generator_loss = row.Double("generator_loss");
  summary.real_accuracy = row.Double("real_accuracy");
  summary.fake_accuracy = row.Double("fake_accuracy");
  summary.seconds = row.Double("seconds");
  return summary;
}

exchange::GradientInfo ReadGradientInfo(pg::SqlRow& row) {
  exchange::GradientInfo info;
  info.unit = base::UnitId(row.Int("unit_id"));
  info.attempt = base::Attempt(static_cast<int32_t>(row.Int("attempt")));
  info.slot = base::Slot(static_cast<int32_t>(row.Int("slot")));
  info.worker = base::WorkerId(row.Text("worker_id"));
  info.stats.image_count = static_cast<int>(row.Int("image_count"));
  info.stats.micro_batch_count = static_cast<int>(row.Int("micro_batch_count"));
  info.stats.discriminator_loss = row.Double("discriminator_loss");
  info.stats.generator_loss = row.Double("generator_loss");
  info.stats.real_accuracy = row.Double("real_accuracy");
  info.stats.fake_accuracy = row.Double("fake_accuracy");
  info.stats.compute_seconds = row.Double("compute_seconds");
  info.codec = static_cast<tensor::Codec>(row.Int("codec"));
  info.sha256 = row.Bytes("sha256");
  info.stale_rounds = static_cast<int>(row.Int("stale_rounds"));
  return info;
}

absl::StatusOr<exchange::RunStatus> ReadRunStatus(const pg::SqlRows& rows) {
  pg::SqlRow row(rows, 0);
  exchange::RunStatus status;
  status.run = base::RunId(row.Int("run_id"));
  status.state_reason = row.Text("state_reason");
  status.weights_version = base::WeightsVersion(row.Int("weights_version"));
  if (!row.IsNull("round")) status.last_round = ReadSummary(row);
  if (!row.IsNull("best_version")) {
    status.best = {base::WeightsVersion(row.Int("best_version")), row.Double("best_distance")};
  }
  status.worker_count = static_cast<int>(row.Int("worker_count"));
  status.accepted_image_count = row.Int("accepted_image_count");
  GANNET_ASSIGN_OR_RETURN(status.state, RunStateFromName(row.Text("state")));
  status.wasted_image_count = row.Int("wasted_image_count");
  status.settings_round = base::Round(row.Int("settings_round"));
  status.settings_version = row.Int("settings_version");
  status.median_unit_time = absl::Microseconds(row.Int("median_unit_us"));
  // Null: as the one before, which nearly all are.
  GANNET_ASSIGN_OR_RETURN(status.created_config,
                          exchange::RunConfigFromJson(row.Text("created_config")));
  status.config = status.created_config;
  if (!row.IsNull("config")) {
    GANNET_ASSIGN_OR_RETURN(status.config, exchange::RunConfigFromJson(row.Text("config")));
  }
  status.next_config = status.config;
  if (!row.IsNull("next_config")) {
    GANNET_ASSIGN_OR_RETURN(status.next_config,
                            exchange::RunConfigFromJson(row.Text("next_config")));
  }
  GANNET_RETURN_IF_ERROR(row.status());
  return status;
}

// Record and bytes of one version.
absl::StatusOr<exchange::Payload> ReadVersion(pg::BulkTransaction& transaction,
                                              const pg::SqlStatement& record_of,
                                              const pg::SqlStatement& bytes_of, base::RunId run,
                                              base::WeightsVersion version) {
  pg::SqlParams params = RunParams(run);
  params.Int(version.value());
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, transaction.Execute(record_of, params));
  pg::SqlRow row(rows, 0);
  GANNET_ASSIGN_OR_RETURN(const PayloadRecord record, ReadPayloadRecord(row));
  return ReadPayload(transaction, bytes_of, params, record);
}

}  // namespace

absl::Status PgStore::RequireRun(base::RunId run) {
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kRequireRun, RunParams(run)));
  return rows.empty() ? NoSuchRun(run) : absl::OkStatus();
}

absl::StatusOr<exchange::RunStatus> PgStore::FindRun(const std::string& name) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateText("name", name, exchange::kMaxRunNameChars));
  pg::SqlParams params;
  params.Text(name).Int(absl::ToInt64Microseconds(exchange::kWorkerLivenessTimeout));
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kFindRun, params));
  if (rows.empty()) return absl::NotFoundError(absl::StrCat("no such run: ", name));
  return ReadRunStatus(rows);
}

absl::StatusOr<exchange::RunStatus> PgStore::GetRunStatus(base::RunId run) {
  pg::SqlParams params = RunParams(run);
  params.Int(absl::ToInt64Microseconds(exchange::kWorkerLivenessTimeout));
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kGetRunStatus, params));
  if (rows.empty()) return NoSuchRun(run);
  return ReadRunStatus(rows);
}

absl::StatusOr<base::RunId> PgStore::CreateRun(const exchange::NewRun& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateNewRun(request));
  const domain::RunConfig& config = request.config;
  const domain::RunConfig& current =
      request.changes.empty() ? config : request.changes.back().config;
  pg::SqlParams params;
  params
      .Text(pg::SqlJson()
                .Text("name", config.name)
                .Json("config", exchange::RunConfigToJson(config))
                .UInt("seed", config.seed)
                .Int("lease_us", absl::ToInt64Microseconds(current.lease))
                .Int("micro_batch", config.micro_batch)
                .Text("data_kind", config.data.kind)
                .Int("data_image_count", config.data.image_count)
                .Text("data_digest", config.data.digest)
                .Double("speculation_multiplier", current.policy.speculation_multiplier)
                .Int("gradient_codec", config.gradient_codec)
                .Int("gradient_bytes_max", GradientBytesMax(request))
                .Int("version", request.version.value())
                .Json("weights", PayloadJson(request.weights).text())
                .Json("adam_state", PayloadJson(request.adam_state).text())
                .Json("units", UnitsJson(request.units))
                .Json("history", HistoryJson(request.history))
                .text())
      .Bytes(request.weights.sha256)
      .Bytes(request.adam_state.sha256);
  base::RunId run;
  const absl::Status status = bulk_pool_.RunInTransaction(
      "create_run", pg::SqlIsolation::kReadCommitted,
      [&](pg::BulkTransaction& transaction) -> absl::Status {
        GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, transaction.Execute(kCreateRun, params));
        pg::SqlRow row(rows, 0);
        run = base::RunId(row.Int("run_id"));
        GANNET_RETURN_IF_ERROR(row.status());
        if (!request.changes.empty() || !request.workers.empty() ||
            request.pause_reason.has_value()) {
          pg::SqlParams restore = RunParams(run);
          restore.Text(exchange::RunArchiveToJson(
              {request.config, request.changes, request.workers, request.pause_reason}));
          GANNET_RETURN_IF_ERROR(transaction.Execute(kRestoreRun, restore).status());
        }
        GANNET_RETURN_IF_ERROR(WriteBlobRows(transaction, kCopyWeights, run,
                                             request.version.value(), *request.weights.bytes));
        return WriteBlobRows(transaction, kCopyAdam, run, request.version.value(),
                             *request.adam_state.bytes);
      });
  if (!status.ok()) return status;
  return run;
}

absl::StatusOr<exchange::Leadership> PgStore::AcquireLeadership(base::RunId run,
                                                                const base::LeaderId& leader,
                                                                absl::Duration ttl) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateAcquireLeadership(leader, ttl));
  pg::SqlParams params = RunParams(run);
  params.Text(leader.value()).Int(absl::ToInt64Microseconds(ttl));
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kAcquireLeadership, params));
  pg::SqlRow row(rows, 0);
  const exchange::Leadership leadership{leader, row.Int("term")};
  GANNET_RETURN_IF_ERROR(row.status());
  return leadership;
}

absl::Status PgStore::ResignLeadership(base::RunId run, const exchange::Leadership& leadership) {
  return pool_.Execute(kResignLeadership, FenceParams(run, leadership)).status();
}

absl::StatusOr<exchange::Store::Snapshot> PgStore::LoadSnapshot(base::RunId run) {
  // Bytes are freed by TRUNCATE, which asks nobody who still looks at them. To read them in the
  // time of four rounds may fail, but not again and again.
  constexpr int kTries = 20;
  Snapshot snapshot;
  bool has_moved_on = true;
  absl::Status status;
  for (int i = 0; i < kTries && has_moved_on; ++i) {
    bool is_there = false;
    status = bulk_pool_.RunInTransaction(
        "load_snapshot", pg::SqlIsolation::kRepeatableRead,
        [&](pg::BulkTransaction& transaction) -> absl::Status {
          GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows,
                                  transaction.Execute(kCurrentVersion, RunParams(run)));
          if (rows.empty()) return NoSuchRun(run);
          is_there = true;
          pg::SqlRow row(rows, 0);
          snapshot.version = base::WeightsVersion(row.Int("weights_version"));
          GANNET_RETURN_IF_ERROR(row.status());
          GANNET_ASSIGN_OR_RETURN(
              snapshot.weights,
              ReadVersion(transaction, kWeightsRecord, kWeightsBytes, run, snapshot.version));
          GANNET_ASSIGN_OR_RETURN(
              snapshot.adam_state,
              ReadVersion(transaction, kAdamRecord, kAdamBytes, run, snapshot.version));
          return absl::OkStatus();
        });
    has_moved_on = absl::IsNotFound(status) && is_there;
  }
  if (!status.ok()) return status;
  return snapshot;
}

absl::StatusOr<exchange::RoundProgress> PgStore::GetRoundProgress(base::RunId run,
                                                                  base::Round round) {
  pg::SqlParams params = RunParams(run);
  params.Int(round.value());
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kRoundProgress, params));
  if (rows.empty()) return NoSuchRun(run);
  exchange::RoundProgress progress;
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    if (row.IsNull("state")) break;  // the run has no units of that round
    const std::string state = row.Text("state");
    const auto attempts = static_cast<int>(row.Int("attempts"));
    const bool is_stale = row.Int("stale_rounds") > 0;
    const bool is_open = state == "ready" || state == "leased";
    if (is_open && !is_stale && attempts > progress.most_attempts) {
      progress.most_attempts = attempts;
      progress.most_attempts_slot = base::Slot(static_cast<int32_t>(row.Int("slot")));
    }
    if (state == "ready") {
      ++progress.ready;
    } else if (state == "leased") {
      ++(is_stale ? progress.stale_leased : progress.leased);
    } else if (state == "failed") {
      if (progress.failed++ == 0) progress.failure_reason = row.Text("failure_reason");
    } else if (row.Bool("is_revoked")) {
      // What the removal of its worker makes of it, in a transaction that has not come yet.
      if (!is_stale) ++progress.ready;
    } else if (state == "done") {
      (is_stale ? progress.stale : progress.gradients).push_back(ReadGradientInfo(row));
    }
    GANNET_RETURN_IF_ERROR(row.status());
  }
  return progress;
}

void PgStore::AwaitChange(base::RunId run, absl::Duration timeout) {
  // When the database cannot be asked, waiting is the right answer, too.
  if (!run_signals_.Knows(run) && absl::IsNotFound(RequireRun(run))) return;
  run_signals_.Await(run, timeout);
}

absl::StatusOr<exchange::Payload> PgStore::FetchGradient(base::RunId run, base::UnitId unit) {
  exchange::Payload gradient;
  const absl::Status status = bulk_pool_.RunInTransaction(
      "fetch_gradient", pg::SqlIsolation::kReadCommitted,
      [&](pg::BulkTransaction& transaction) -> absl::Status {
        pg::SqlParams params = RunParams(run);
        params.Int(unit.value());
        GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows,
                                transaction.Execute(kGradientRecord, params));
        if (rows.empty()) {
          return absl::NotFoundError(
              absl::StrCat("no gradient of this unit is stored: ", unit.value()));
        }
        pg::SqlRow row(rows, 0);
        pg::SqlParams place = RunParams(run);
        place.Int(row.Int("round")).Int(unit.value()).Int(row.Int("attempt"));
        GANNET_ASSIGN_OR_RETURN(const PayloadRecord record, ReadPayloadRecord(row));
        GANNET_ASSIGN_OR_RETURN(gradient, ReadPayload(transaction, kGradientBytes, place, record));
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return gradient;
}

absl::Status PgStore::RejectGradient(base::RunId run, const exchange::Leadership& leadership,
                                     base::UnitId unit, const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  pg::SqlParams params = FenceParams(run, leadership);
  params.Int(unit.value()).Text(reason);
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kRejectGradient, params));
  pg::SqlRow row(rows, 0);
  if (row.IsNull("removed")) return row.status();
  const base::WorkerId removed(row.Text("removed"));
  GANNET_RETURN_IF_ERROR(row.status());
  return RevokeWork(run, removed);
}

absl::Status PgStore::RemoveWorker(base::RunId run, const base::WorkerId& worker,
                                   const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateRemoveWorker(worker, reason));
  pg::SqlParams params = RunParams(run);
  params.Text(worker.value()).Text(reason);
  GANNET_RETURN_IF_ERROR(pool_.Execute(kRemoveWorker, params).status());
  return RevokeWork(run, worker);
}

absl::Status PgStore::RestoreWorker(base::RunId run, const base::WorkerId& worker) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateWorkerId(worker));
  pg::SqlParams params = RunParams(run);
  params.Text(worker.value());
  return pool_.Execute(kRestoreWorker, params).status();
}

absl::Status PgStore::RevokeWork(base::RunId run, const base::WorkerId& worker) {
  pg::SqlParams params = RunParams(run);
  params.Text(worker.value());
  return pool_.Execute(kRevokeWork, params).status();
}

absl::Status PgStore::Publish(const exchange::PublishRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidatePublish(request));
  std::vector<int64_t> consumed;
  for (const base::UnitId unit : request.consumed) consumed.push_back(unit.value());
  pg::SqlParams params = FenceParams(request.run, request.leadership);
  params.Int(request.expected_version.value())
      .Bytes(request.expected_sha256)
      .Int(request.settings_version)
      .IntArray(consumed)
      .Bytes(request.consumed_sha256)
      .Text(pg::SqlJson()
                .Json("weights", PayloadJson(request.weights).Bool("keep", request.keep).text())
                .Json("adam_state", PayloadJson(request.adam_state).text())
                .Json("summary", SummaryJson(request.summary).text())
                .Json("units", UnitsJson(request.next_units))
                .Bool("finished", request.finished)
                .Int("max_stale_rounds", request.max_stale_rounds)
                .text())
      .Bytes(request.weights.sha256)
      .Bytes(request.adam_state.sha256);
  const int64_t version = request.expected_version.value() + 1;
  return bulk_pool_.RunInTransaction(
      "publish", pg::SqlIsolation::kReadCommitted,
      [&](pg::BulkTransaction& transaction) -> absl::Status {
        GANNET_RETURN_IF_ERROR(transaction.Execute(kPublishRound, params).status());
        GANNET_RETURN_IF_ERROR(
            WriteBlobRows(transaction, kCopyWeights, request.run, version, *request.weights.bytes));
        return WriteBlobRows(transaction, kCopyAdam, request.run, version,
                             *request.adam_state.bytes);
      });
}

absl::StatusOr<int> PgStore::ReapExpiredLeases(base::RunId run,
                                               const exchange::Leadership& leadership) {
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows,
                          pool_.Execute(kReap, FenceParams(run, leadership)));
  pg::SqlRow row(rows, 0);
  const int64_t count = row.Int("count");
  GANNET_RETURN_IF_ERROR(row.status());
  return static_cast<int>(count);
}

absl::Status PgStore::ReclaimOldBlobs(base::RunId run, const exchange::Leadership& leadership,
                                      base::Round round) {
  pg::SqlParams params = FenceParams(run, leadership);
  params.Int(round.value());
  return pool_.Execute(kReclaimOldBlobs, params).status();
}

absl::Status PgStore::ReclaimBlobs(base::RunId run, const exchange::Leadership& leadership) {
  return pool_.Execute(kReclaimBlobs, FenceParams(run, leadership)).status();
}

absl::Status PgStore::DeleteRun(base::RunId run) {
  return pool_.Execute(kDeleteRun, RunParams(run)).status();
}

absl::Status PgStore::SaveBest(base::RunId run, const exchange::Leadership& leadership,
                               const exchange::BestWeights& best,
                               const exchange::Payload& weights) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateSaveBest(best, weights));
  pg::SqlParams params = FenceParams(run, leadership);
  params
      .Text(PayloadJson(weights)
                .Int("version", best.version.value())
                .Double("distance", best.distance)
                .text())
      .Bytes(weights.sha256);
  return bulk_pool_.RunInTransaction(
      "save_best", pg::SqlIsolation::kReadCommitted,
      [&](pg::BulkTransaction& transaction) -> absl::Status {
        GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, transaction.Execute(kSaveBest, params));
        pg::SqlRow row(rows, 0);
        const int64_t turn = row.Int("turn");
        GANNET_RETURN_IF_ERROR(row.status());
        return WriteBlobRows(transaction, kCopyBest, run, turn, *weights.bytes);
      });
}

absl::StatusOr<exchange::Store::BestSnapshot> PgStore::LoadBest(base::RunId run) {
  BestSnapshot snapshot;
  const absl::Status status = bulk_pool_.RunInTransaction(
      "load_best", pg::SqlIsolation::kRepeatableRead,
      [&](pg::BulkTransaction& transaction) -> absl::Status {
        GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows,
                                transaction.Execute(kBestRecord, RunParams(run)));
        if (rows.empty()) return absl::NotFoundError("no best weights are saved yet");
        pg::SqlRow row(rows, 0);
        snapshot.best = {base::WeightsVersion(row.Int("version")), row.Double("distance")};
        GANNET_ASSIGN_OR_RETURN(const PayloadRecord record, ReadPayloadRecord(row));
        pg::SqlParams params = RunParams(run);
        params.Int(row.Int("turn"));
        GANNET_ASSIGN_OR_RETURN(snapshot.weights,
                                ReadPayload(transaction, kBestBytes, params, record));
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return snapshot;
}

absl::Status PgStore::SetRunState(base::RunId run, domain::RunState to, const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  for (int i = 0; i < kMaxStateAttempts; ++i) {
    GANNET_ASSIGN_OR_RETURN(const pg::SqlRows read, pool_.Execute(kRunState, RunParams(run)));
    if (read.empty()) return NoSuchRun(run);
    GANNET_ASSIGN_OR_RETURN(const domain::RunState from,
                            RunStateFromName(pg::SqlRow(read, 0).Text("state")));
    GANNET_RETURN_IF_ERROR(domain::CheckRunTransition(from, to));
    if (from == to) return absl::OkStatus();
    pg::SqlParams params = RunParams(run);
    params.Text(domain::RunStateName(from)).Text(domain::RunStateName(to)).Text(reason);
    GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kSetRunState, params));
    pg::SqlRow row(rows, 0);
    const bool done = row.Bool("done");
    GANNET_RETURN_IF_ERROR(row.status());
    if (done) return absl::OkStatus();
  }
  return absl::AbortedError("the state of the run keeps changing, try again");
}

absl::StatusOr<base::Round> PgStore::ChangeSettings(base::RunId run,
                                                    const domain::RunConfig& config,
                                                    const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateReason(reason));
  absl::Status changed_meanwhile;
  for (int i = 0; i < kMaxChangeAttempts; ++i) {
    GANNET_ASSIGN_OR_RETURN(const exchange::RunStatus status, GetRunStatus(run));
    if (domain::HasEnded(status.state)) {
      return absl::FailedPreconditionError(absl::StrCat("the run has ended, nothing can change: ",
                                                        domain::RunStateName(status.state)));
    }
    const base::Round from(status.weights_version.value() + 2);
    GANNET_ASSIGN_OR_RETURN(
        const domain::RunConfig changed,
        domain::ChangeConfig(status.config, status.next_config, config, from.value()));
    pg::SqlParams params = RunParams(run);
    params.Int(from.value())
        .Text(pg::SqlJson()
                  .Json("config", exchange::RunConfigToJson(changed))
                  .Int("lease_us", absl::ToInt64Microseconds(changed.lease))
                  .Double("speculation_multiplier", changed.policy.speculation_multiplier)
                  .Text("reason", reason)
                  .text());
    changed_meanwhile = pool_.Execute(kChangeSettings, params).status();
    if (changed_meanwhile.ok()) return from;
    if (!absl::IsAborted(changed_meanwhile)) return changed_meanwhile;
  }
  return changed_meanwhile;
}

absl::StatusOr<std::vector<exchange::SettingsChange>> PgStore::ListChanges(base::RunId run) {
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kListChanges, RunParams(run)));
  if (rows.empty()) return NoSuchRun(run);
  std::vector<exchange::SettingsChange> changes;
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    if (row.IsNull("from_round")) break;  // there are none
    exchange::SettingsChange& change = changes.emplace_back();
    change.round = base::Round(row.Int("from_round"));
    change.reason = row.Text("reason");
    GANNET_ASSIGN_OR_RETURN(change.config, exchange::RunConfigFromJson(row.Text("config")));
    GANNET_RETURN_IF_ERROR(row.status());
  }
  return changes;
}

absl::StatusOr<std::vector<exchange::RoundSummary>> PgStore::ListRounds(base::RunId run,
                                                                        base::Round after,
                                                                        int limit) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateListRounds(after, limit));
  pg::SqlParams params = RunParams(run);
  params.Int(after.value()).Int(limit);
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kListRounds, params));
  if (rows.empty()) GANNET_RETURN_IF_ERROR(RequireRun(run));
  std::vector<exchange::RoundSummary> page;
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    page.push_back(ReadSummary(row));
    GANNET_RETURN_IF_ERROR(row.status());
  }
  return page;
}

absl::StatusOr<std::vector<exchange::WorkerSummary>> PgStore::ListWorkers(
    base::RunId run, const base::WorkerId& after, int limit) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateListWorkers(after, limit));
  pg::SqlParams params = RunParams(run);
  params.Text(after.value()).Int(limit);
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, pool_.Execute(kListWorkers, params));
  if (rows.empty()) GANNET_RETURN_IF_ERROR(RequireRun(run));
  std::vector<exchange::WorkerSummary> page;
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    page.push_back(ReadWorker(row));
    GANNET_RETURN_IF_ERROR(row.status());
  }
  return page;
}

absl::StatusOr<std::vector<exchange::WorkerRecord>> PgStore::ListWorkerRecords(base::RunId run) {
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows,
                          pool_.Execute(kListWorkerRecords, RunParams(run)));
  if (rows.empty()) return NoSuchRun(run);
  std::vector<exchange::WorkerRecord> records;
  for (size_t i = 0; i < rows.size(); ++i) {
    pg::SqlRow row(rows, i);
    if (row.IsNull("worker_id")) break;  // there are none
    exchange::WorkerRecord& record = records.emplace_back();
    record.summary = ReadWorker(row);
    record.secret_sha256 = base::HexDecode(row.Text("secret_sha256"));
    record.incarnation = base::Incarnation(row.Int("incarnation"));
    GANNET_RETURN_IF_ERROR(row.status());
  }
  return records;
}

}  // namespace gannet::store
