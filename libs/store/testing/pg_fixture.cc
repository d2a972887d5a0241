#include "libs/store/testing/pg_fixture.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "libs/base/check.h"
#include "libs/base/clock.h"
#include "libs/base/hex.h"
#include "libs/base/testing/status_matchers.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/testing/test_values.h"
#include "libs/pg/connection_params.h"
#include "libs/store/sql_names.h"
#include "libs/store/testing/test_postgres.h"
#include "libs/telemetry/log.h"

namespace gannet::store {
namespace {

constexpr char kStandingClock[] =
    "CREATE TABLE gannet.test_clock (now timestamptz NOT NULL);"
    "INSERT INTO gannet.test_clock VALUES ('2001-09-09 01:46:40+00');"
    "CREATE OR REPLACE FUNCTION gannet.clock_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
    "SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
    "AS 'SELECT now FROM gannet.test_clock';";

constexpr pg::SqlStatement kAdvance = {
    "advance_time",
    "UPDATE gannet.test_clock SET now = now + $1::bigint * interval '1 microsecond'"};

constexpr pg::SqlStatement kDumpRun = {
    "dump_run",
    "SELECT r.config::text AS config, r.state::text AS state, r.state_reason, r.weights_version, "
    "coalesce(r.leader_id, '') AS leader_id, r.leader_term, "
    "coalesce(extract(epoch FROM r.leader_until - c.now) * 1000000, 0)::bigint AS leader_us, "
    "a.sha256 AS adam_sha256, r.median_unit_us, b.version AS best_version, "
    "b.distance AS best_distance, b.sha256 AS best_sha256 FROM gannet.run r "
    "CROSS JOIN gannet.test_clock c LEFT JOIN gannet.adam_state a ON a.run_id = r.run_id "
    "AND a.version = r.weights_version "
    "LEFT JOIN gannet.best_weights b ON b.run_id = r.run_id WHERE r.run_id = $1::bigint",
    true};

constexpr pg::SqlStatement kDumpWeights = {
    "dump_weights",
    "SELECT version, sha256, keep FROM gannet.weights WHERE run_id = $1::bigint ORDER BY version",
    true};

constexpr pg::SqlStatement kDumpUnits = {
    "dump_units",
    "SELECT u.round, u.slot, u.state::text AS state, u.attempt, coalesce(u.holder, '') AS holder, "
    "u.failures, u.failure_reason, array_to_string(ARRAY(SELECT f FROM unnest(u.failed_by) AS f "
    "ORDER BY f), ',') AS failed_by, u.consumed, u.is_speculative, u.stale_rounds, "
    "u.wasted_attempt, "
    "u.lease_until IS NOT NULL AS has_lease_until, "
    "(extract(epoch FROM greatest(u.ready_at, c.now) - c.now) * 1000000)::bigint AS ready_us, "
    "coalesce(extract(epoch FROM c.now - u.claimed_at) * 1000000, 0)::bigint AS claim_us, "
    "coalesce(extract(epoch FROM u.lease_until - c.now) * 1000000, 0)::bigint AS lease_us, "
    "coalesce(extract(epoch FROM c.now - u.progress_at) * 1000000, 0)::bigint AS progress_us, "
    "u.micro_batches_done, g.attempt AS gradient_attempt, g.worker_id, g.image_count, "
    "g.micro_batch_count, g.discriminator_loss, g.generator_loss, g.real_accuracy, "
    "g.fake_accuracy, g.compute_seconds, g.codec, g.sha256, g.has_bytes FROM gannet.work_unit u "
    "CROSS JOIN gannet.test_clock c LEFT JOIN gannet.gradient g ON g.unit_id = u.unit_id "
    "WHERE u.run_id = $1::bigint ORDER BY u.round, u.slot, u.unit_id",
    true};

constexpr pg::SqlStatement kDumpWorkers = {
    "dump_workers",
    "SELECT w.worker_id, w.incarnation, w.display_name, w.hardware, w.accepted_unit_count, "
    "w.accepted_image_count, w.duplicate_unit_count, w.wasted_image_count, (extract(epoch FROM "
    "c.now - w.last_seen) * 1000000)::bigint AS "
    "seen_us, w.has_left, w.net_rejections, coalesce(w.removed_reason, '') AS "
    "removed_reason FROM gannet.worker w CROSS JOIN gannet.test_clock c "
    "WHERE w.run_id = $1::bigint ORDER BY w.worker_id",
    true};

constexpr pg::SqlStatement kDumpRounds = {
    "dump_rounds",
    "SELECT round, epoch, gradient_count, image_count, discriminator_loss, generator_loss, "
    "real_accuracy, fake_accuracy, seconds FROM gannet.round_summary "
    "WHERE run_id = $1::bigint ORDER BY round",
    true};

base::RealClock& ProcessClock() {
  static base::RealClock clock;
  return clock;
}

domain::UnitState UnitStateFromName(const std::string& name) {
  if (name == "ready") return domain::UnitState::kReady;
  if (name == "leased") return domain::UnitState::kLeased;
  if (name == "done") return domain::UnitState::kDone;
  if (name == "failed") return domain::UnitState::kFailed;
  return domain::UnitState::kClosed;
}

exchange::UnitDump ReadUnit(pg::SqlRow& row) {
  exchange::UnitDump unit;
  unit.round = base::Round(row.Int("round"));
  unit.slot = base::Slot(static_cast<int32_t>(row.Int("slot")));
  unit.state = UnitStateFromName(row.Text("state"));
  unit.attempt = base::Attempt(static_cast<int32_t>(row.Int("attempt")));
  unit.holder = base::WorkerId(row.Text("holder"));
  unit.failures = static_cast<int>(row.Int("failures"));
  unit.failure_reason = row.Text("failure_reason");
  for (const absl::string_view worker :
       absl::StrSplit(row.Text("failed_by"), ',', absl::SkipEmpty())) {
    unit.failed_by.emplace_back(std::string(worker));
  }
  unit.consumed = row.Bool("consumed");
  unit.is_speculative = row.Bool("is_speculative");
  unit.stale_rounds = static_cast<int>(row.Int("stale_rounds"));
  unit.wasted_attempt = base::Attempt(static_cast<int32_t>(row.Int("wasted_attempt")));
  unit.reaped = unit.state == domain::UnitState::kReady && row.Bool("has_lease_until");
  if (unit.state == domain::UnitState::kReady)
    unit.ready_in = absl::Microseconds(row.Int("ready_us"));
  if (unit.state == domain::UnitState::kLeased) {
    unit.lease_remaining = absl::Microseconds(row.Int("lease_us"));
    unit.since_progress = absl::Microseconds(row.Int("progress_us"));
    unit.since_claim = absl::Microseconds(row.Int("claim_us"));
    unit.micro_batches_done = static_cast<int>(row.Int("micro_batches_done"));
  }
  if (!row.IsNull("gradient_attempt")) {
    exchange::GradientDump& gradient = unit.gradient.emplace();
    gradient.attempt = base::Attempt(static_cast<int32_t>(row.Int("gradient_attempt")));
    gradient.worker = base::WorkerId(row.Text("worker_id"));
    gradient.stats.image_count = static_cast<int>(row.Int("image_count"));
    gradient.stats.micro_batch_count = static_cast<int>(row.Int("micro_batch_count"));
    gradient.stats.discriminator_loss = row.Double("discriminator_loss");
    gradient.stats.generator_loss = row.Double("generator_loss");
    gradient.stats.real_accuracy = row.Double("real_accuracy");
    gradient.stats.fake_accuracy = row.Double("fake_accuracy");
    gradient.stats.compute_seconds = row.Double("compute_seconds");
    gradient.codec = static_cast<tensor::Codec>(row.Int("codec"));
    gradient.sha256 = row.Bytes("sha256");
    gradient.has_bytes = row.Bool("has_bytes");
  }
  return unit;
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

std::unique_ptr<PgBackend> MakeBackend(const std::string& url, telemetry::Metrics& metrics) {
  PgBackendOptions options;
  options.url = url;
  options.pool_size = 8;
  absl::StatusOr<std::unique_ptr<PgBackend>> backend =
      PgBackend::Create(options, telemetry::NullLogger(), metrics);
  EXPECT_TRUE(backend.ok()) << backend.status();
  // A fixture without a backend is of no use to anybody.
  GANNET_CHECK(backend.ok());
  return *std::move(backend);
}

}  // namespace

PgFixture::PgFixture(const std::string& sql) : url_(TestPostgres::Get().CreateDatabase()) {
  const absl::Status prepared = TestPostgres::Get().Run(url_, kStandingClock + sql);
  EXPECT_TRUE(prepared.ok()) << prepared;
  pg::PgConnectionOptions options;
  options.url = url_;
  absl::StatusOr<pg::PgConnectionParams> params = pg::MakeConnectionParams(options);
  GANNET_CHECK(params.ok());
  superuser_ = std::make_unique<pg::PgPool>(*params, pg::BoundedPoolOptions{"superuser", 1},
                                            ProcessClock(), metrics_);
  coordinator_ = MakeBackend(TestPostgres::UrlAs(url_, "test_coordinator"), metrics_);
  worker_ = MakeBackend(TestPostgres::UrlAs(url_, "test_worker"), metrics_);
}

PgFixture::~PgFixture() {
  worker_.reset();
  coordinator_.reset();
  superuser_.reset();
  TestPostgres::Get().DropDatabase(url_);
}

pg::SqlRows PgFixture::Query(const pg::SqlStatement& statement, const pg::SqlParams& params) {
  absl::StatusOr<pg::SqlRows> rows = superuser_->Execute(statement, params);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *std::move(rows) : pg::SqlRows();
}

void PgFixture::AdvanceTime(absl::Duration by) {
  pg::SqlParams params;
  params.Int(absl::ToInt64Microseconds(by));
  Query(kAdvance, params);
}

exchange::WorkUnit PgFixture::Claim(const exchange::WorkerIdentity& worker, base::RunId run) {
  const absl::StatusOr<exchange::ClaimResult> result =
      exchange().Claim({worker, run, base::RandomHex(16), absl::ZeroDuration()});
  EXPECT_OK(result);
  EXPECT_TRUE(result.ok() && result->unit.has_value());
  return result.ok() && result->unit.has_value() ? *result->unit : exchange::WorkUnit();
}

void PgFixture::LetEveryUnitBeSlow(const domain::RunConfig& config, base::RunId run) {
  for (int i = 0; i < config.units_per_round; ++i) {
    EXPECT_OK(exchange().Join(exchange::TestJoin(exchange::TestWorker(10 + i), config)));
    Claim(exchange::TestWorker(10 + i), run);
  }
  EXPECT_OK(TestPostgres::Get().Run(
      url_, "UPDATE gannet.run SET speculation_multiplier = 2, median_unit_us = 10000000"));
  AdvanceTime(absl::Seconds(30));
}

exchange::RunDump PgFixture::Dump(base::RunId run) {
  pg::SqlParams params;
  params.Int(run.value());
  exchange::RunDump dump;
  const auto for_each = [&](const pg::SqlStatement& statement, auto read) {
    const pg::SqlRows rows = Query(statement, params);
    for (size_t i = 0; i < rows.size(); ++i) {
      pg::SqlRow row(rows, i);
      read(row);
      EXPECT_TRUE(row.status().ok()) << row.status();
    }
    return rows.size();
  };
  const size_t runs = for_each(kDumpRun, [&](pg::SqlRow& row) {
    absl::StatusOr<domain::RunConfig> config = exchange::RunConfigFromJson(row.Text("config"));
    EXPECT_TRUE(config.ok()) << config.status();
    if (config.ok()) dump.config = *config;
    absl::StatusOr<domain::RunState> state = RunStateFromName(row.Text("state"));
    EXPECT_TRUE(state.ok()) << state.status();
    if (state.ok()) dump.state = *state;
    dump.state_reason = row.Text("state_reason");
    dump.weights_version = base::WeightsVersion(row.Int("weights_version"));
    dump.leader = base::LeaderId(row.Text("leader_id"));
    dump.leader_term = row.Int("leader_term");
    if (!dump.leader.value().empty()) {
      dump.leadership_remaining = absl::Microseconds(row.Int("leader_us"));
    }
    dump.adam_sha256 = row.Bytes("adam_sha256");
    dump.median_unit_time = absl::Microseconds(row.Int("median_unit_us"));
    if (!row.IsNull("best_version")) {
      dump.best = {base::WeightsVersion(row.Int("best_version")), row.Double("best_distance")};
      dump.best_sha256 = row.Bytes("best_sha256");
    }
  });
  EXPECT_EQ(runs, 1u) << "no such run: " << run;
  absl::StatusOr<std::vector<exchange::SettingsChange>> changes = store().ListChanges(run);
  EXPECT_TRUE(changes.ok()) << changes.status();
  if (changes.ok()) dump.changes = *std::move(changes);
  for_each(kDumpWeights, [&](pg::SqlRow& row) {
    dump.weights.push_back(
        {base::WeightsVersion(row.Int("version")), row.Bytes("sha256"), row.Bool("keep")});
  });
  for_each(kDumpUnits, [&](pg::SqlRow& row) { dump.units.push_back(ReadUnit(row)); });
  for_each(kDumpWorkers, [&](pg::SqlRow& row) {
    dump.workers.push_back({base::WorkerId(row.Text("worker_id")),
                            base::Incarnation(row.Int("incarnation")), row.Text("display_name"),
                            row.Text("hardware"), row.Int("accepted_unit_count"),
                            row.Int("accepted_image_count"), row.Int("duplicate_unit_count"),
                            row.Int("wasted_image_count"), absl::Microseconds(row.Int("seen_us")),
                            row.Bool("has_left"), static_cast<int>(row.Int("net_rejections")),
                            row.Text("removed_reason")});
  });
  for_each(kDumpRounds, [&](pg::SqlRow& row) { dump.rounds.push_back(ReadSummary(row)); });
  return dump;
}

std::unique_ptr<exchange::BackendFixture> MakePgFixture() { return std::make_unique<PgFixture>(); }

}  // namespace gannet::store
