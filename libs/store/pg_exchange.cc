#include "libs/store/pg_exchange.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/status_macros.h"
#include "libs/exchange/proto_conversion.h"
#include "libs/exchange/validation.h"
#include "libs/pg/sql_json.h"
#include "libs/store/blob_io.h"
#include "libs/store/sql_names.h"

namespace gannet::store {
namespace {

constexpr pg::SqlStatement kJoin = {"join",
                                    "SELECT run_id, config, run_state, data_matches "
                                    "FROM gannet.join_run($1, $2, $3::bigint, $4::jsonb)"};

constexpr pg::SqlStatement kDescribe = {
    "describe", "SELECT config, run_state FROM gannet.describe_run($1, $2, $3::bigint, $4::bigint)",
    true};

constexpr pg::SqlStatement kClaim = {
    "claim",
    "SELECT run_state, unit_id, attempt, round, slot, image_indices, micro_batch, seed, lease_us, "
    "weights_sha256 "
    "FROM gannet.claim_unit($1, $2, $3::bigint, $4::bigint, $5)"};

constexpr pg::SqlStatement kOpenWeights = {
    "open_weights",
    "SELECT codec, sha256, payload_bytes "
    "FROM gannet.open_weights($1, $2, $3::bigint, $4::bigint, $5::bigint, $6::bytea)",
    true};
constexpr pg::SqlStatement kFetchOpenWeights = {"fetch_open_weights", "FETCH ALL FROM weights",
                                                true};

constexpr pg::SqlStatement kCheckSubmission = {
    "check_submission",
    "SELECT gannet.check_submission($1, $2, $3::bigint, $4::bigint, $5::bigint, $6::integer, "
    "$7::integer, $8::integer, $9::bytea) AS outcome"};
constexpr pg::SqlStatement kStageGradient = {
    "stage_gradient",
    "SELECT gannet.stage_gradient($1, $2, $3::bigint, $4::bigint, $5::bigint, $6::integer, "
    "$7::integer, $8::bytea)"};
constexpr pg::SqlStatement kSubmitGradient = {
    "submit_gradient",
    "SELECT gannet.submit_gradient($1, $2, $3::bigint, $4::bigint, $5::bigint, $6::integer, "
    "$7::jsonb, $8::bytea, $9::integer, $10::bytea) AS outcome"};

constexpr pg::SqlStatement kHeartbeat = {
    "heartbeat",
    "SELECT run_state, dropped FROM gannet.heartbeat($1, $2, $3::bigint, $4::bigint, "
    "$5::bigint[], $6::integer[], $7::integer[])"};

constexpr pg::SqlStatement kRelease = {
    "release",
    "SELECT gannet.release_unit($1, $2, $3::bigint, $4::bigint, $5::bigint, $6::integer)"};
constexpr pg::SqlStatement kFail = {
    "fail", "SELECT gannet.fail_unit($1, $2, $3::bigint, $4::bigint, $5::bigint, $6::integer, $7)"};
constexpr pg::SqlStatement kLeave = {"leave",
                                     "SELECT gannet.leave_run($1, $2, $3::bigint, $4::bigint)"};

// A long poll looks again after so long, in case a notification was lost.
constexpr absl::Duration kPollInterval = absl::Seconds(1);

// A gradient up to this size (1 MiB and a bit) goes with the accept, in one round trip.
constexpr size_t kSmallBytes = 132 * kBlobRowBytes;
// Bytes of a larger one sent with one statement: few enough that neither side allocates anew for
// each.
constexpr size_t kPieceBytes = 32 * kBlobRowBytes;
constexpr int kMaxChecks = 5;

// Outcomes in the database have the numbers of the enum; 0 is none yet.
constexpr int64_t kNoOutcome = 0;

pg::SqlParams IdentityParams(const exchange::WorkerIdentity& worker) {
  pg::SqlParams params;
  params.Text(worker.id.value()).Text(worker.secret).Int(worker.incarnation.value());
  return params;
}

pg::SqlParams LeaseParams(const exchange::WorkerIdentity& worker, base::RunId run,
                          base::UnitId unit, base::Attempt attempt) {
  pg::SqlParams params = IdentityParams(worker);
  params.Int(run.value()).Int(unit.value()).Int(attempt.value());
  return params;
}

pg::SqlParams SubmitParams(const exchange::SubmitRequest& request, int64_t first_seq,
                           absl::string_view bytes) {
  const exchange::GradientStats& stats = request.stats;
  pg::SqlParams params = LeaseParams(request.worker, request.run, request.unit, request.attempt);
  params
      .Text(pg::SqlJson()
                .Int("image_count", stats.image_count)
                .Int("micro_batch_count", stats.micro_batch_count)
                .Double("discriminator_loss", stats.discriminator_loss)
                .Double("generator_loss", stats.generator_loss)
                .Double("real_accuracy", stats.real_accuracy)
                .Double("fake_accuracy", stats.fake_accuracy)
                .Double("compute_seconds", stats.compute_seconds)
                .Int("codec", static_cast<int>(request.payload.codec))
                .Int("payload_bytes", static_cast<int64_t>(request.payload.bytes->size()))
                .text())
      .Bytes(request.payload.sha256)
      .Int(first_seq)
      .Bytes(bytes);
  return params;
}

absl::Status Repeatable(absl::Status status) {
  if (status.code() != absl::StatusCode::kUnknown) return status;
  return absl::UnavailableError(status.message());
}

absl::StatusOr<pg::SqlRows> Repeatable(absl::StatusOr<pg::SqlRows> rows) {
  if (rows.ok()) return rows;
  return Repeatable(rows.status());
}

absl::StatusOr<int64_t> ReadOutcome(const absl::StatusOr<pg::SqlRows>& rows) {
  if (!rows.ok()) return rows.status();
  pg::SqlRow row(*rows, 0);
  const int64_t outcome = row.Int("outcome");
  GANNET_RETURN_IF_ERROR(row.status());
  if (outcome < kNoOutcome || outcome > static_cast<int64_t>(domain::SubmitOutcome::kDuplicate)) {
    return absl::InternalError(absl::StrCat("the database names an unknown outcome: ", outcome));
  }
  return outcome;
}

}  // namespace

absl::StatusOr<exchange::JoinResult> PgExchange::Join(const exchange::JoinRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateJoin(request));
  pg::SqlJson described;
  described.Text("run_name", request.run_name)
      .Text("display_name", request.display_name)
      .Text("hardware", request.hardware);
  if (request.data.has_value()) {
    described.Text("data_kind", request.data->kind)
        .Int("data_image_count", request.data->image_count)
        .Text("data_digest", request.data->digest);
  }
  pg::SqlParams params = IdentityParams(request.worker);
  params.Text(described.text());
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, Repeatable(pool_.Execute(kJoin, params)));
  pg::SqlRow row(rows, 0);
  exchange::JoinResult result;
  result.run = base::RunId(row.Int("run_id"));
  const std::string config = row.Text("config");
  const std::string state = row.Text("run_state");
  const bool data_matches = row.Bool("data_matches");
  GANNET_RETURN_IF_ERROR(row.status());
  GANNET_ASSIGN_OR_RETURN(result.config, exchange::RunConfigFromJson(config));
  GANNET_ASSIGN_OR_RETURN(result.state, RunStateFromName(state));
  result.heartbeat_interval = domain::HeartbeatInterval(result.config.lease);
  if (!data_matches) {
    GANNET_RETURN_IF_ERROR(exchange::CheckFingerprint(result.config.data, *request.data));
    return absl::InternalError("the run's config and its data columns differ");
  }
  return result;
}

absl::StatusOr<exchange::RunDescription> PgExchange::Describe(
    const exchange::WorkerIdentity& worker, base::RunId run) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateDescribe(worker, run));
  pg::SqlParams params = IdentityParams(worker);
  params.Int(run.value());
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, Repeatable(pool_.Execute(kDescribe, params)));
  pg::SqlRow row(rows, 0);
  const std::string config = row.Text("config");
  const std::string state = row.Text("run_state");
  GANNET_RETURN_IF_ERROR(row.status());
  exchange::RunDescription description;
  description.run = run;
  GANNET_ASSIGN_OR_RETURN(description.config, exchange::RunConfigFromJson(config));
  GANNET_ASSIGN_OR_RETURN(description.state, RunStateFromName(state));
  return description;
}

absl::StatusOr<exchange::ClaimResult> PgExchange::Claim(const exchange::ClaimRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateClaim(request));
  base::RealClock clock;
  const absl::Duration end = clock.Steady() + request.wait;
  while (true) {
    const uint64_t generation = work_signal_.generation();
    GANNET_ASSIGN_OR_RETURN(exchange::ClaimResult result, TryClaim(request));
    const absl::Duration remaining = end - clock.Steady();
    if (result.unit.has_value() || domain::HasEnded(result.state) ||
        remaining <= absl::ZeroDuration()) {
      return result;
    }
    work_signal_.AwaitPast(generation, std::min(remaining, kPollInterval));
  }
}

absl::StatusOr<exchange::ClaimResult> PgExchange::TryClaim(const exchange::ClaimRequest& request) {
  pg::SqlParams params = IdentityParams(request.worker);
  params.Int(request.run.value()).Text(request.request_id);
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, Repeatable(pool_.Execute(kClaim, params)));
  pg::SqlRow row(rows, 0);
  exchange::ClaimResult result;
  GANNET_ASSIGN_OR_RETURN(result.state, RunStateFromName(row.Text("run_state")));
  if (!row.IsNull("unit_id")) {
    exchange::WorkUnit& unit = result.unit.emplace();
    unit.run = request.run;
    unit.unit = base::UnitId(row.Int("unit_id"));
    unit.attempt = base::Attempt(static_cast<int32_t>(row.Int("attempt")));
    unit.round = base::Round(row.Int("round"));
    unit.slot = base::Slot(static_cast<int32_t>(row.Int("slot")));
    unit.weights_version = base::WeightsVersion(unit.round.value() - 1);
    unit.weights_sha256 = row.Bytes("weights_sha256");
    unit.image_indices = row.IntArray("image_indices");
    unit.micro_batch = static_cast<int>(row.Int("micro_batch"));
    unit.seed = row.UInt("seed");
    unit.lease = absl::Microseconds(row.Int("lease_us"));
  }
  GANNET_RETURN_IF_ERROR(row.status());
  return result;
}

absl::StatusOr<exchange::Payload> PgExchange::FetchWeights(
    const exchange::FetchWeightsRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateFetchWeights(request));
  pg::SqlParams params = IdentityParams(request.worker);
  params.Int(request.run.value()).Int(request.version.value()).Bytes(request.sha256);
  exchange::Payload weights;
  const absl::Status status = bulk_pool_.RunInTransaction(
      "fetch_weights", pg::SqlIsolation::kReadCommitted,
      [&](pg::BulkTransaction& transaction) -> absl::Status {
        GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, transaction.Execute(kOpenWeights, params));
        pg::SqlRow row(rows, 0);
        GANNET_ASSIGN_OR_RETURN(const PayloadRecord record, ReadPayloadRecord(row));
        GANNET_ASSIGN_OR_RETURN(
            weights, ReadPayload(transaction, kFetchOpenWeights, pg::SqlParams(), record));
        return absl::OkStatus();
      });
  if (!status.ok()) return Repeatable(status);
  return weights;
}

absl::StatusOr<domain::SubmitOutcome> PgExchange::Submit(const exchange::SubmitRequest& request) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateSubmit(request));
  return request.payload.bytes->size() <= kSmallBytes ? SubmitSmall(request) : SubmitLarge(request);
}

absl::StatusOr<std::optional<domain::SubmitOutcome>> PgExchange::CheckSubmission(
    const exchange::SubmissionCheck& submission) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateRelease(submission.worker, submission.run,
                                                   submission.unit, submission.attempt));
  pg::SqlParams check =
      LeaseParams(submission.worker, submission.run, submission.unit, submission.attempt);
  check.Int(submission.image_count).Int(submission.micro_batch_count).Bytes(submission.sha256);
  GANNET_ASSIGN_OR_RETURN(const int64_t outcome,
                          ReadOutcome(Repeatable(pool_.Execute(kCheckSubmission, check))));
  if (outcome == kNoOutcome) return std::optional<domain::SubmitOutcome>();
  return std::optional<domain::SubmitOutcome>(static_cast<domain::SubmitOutcome>(outcome));
}

absl::StatusOr<domain::SubmitOutcome> PgExchange::SubmitSmall(
    const exchange::SubmitRequest& request) {
  const pg::SqlParams params = SubmitParams(request, 0, *request.payload.bytes);
  GANNET_ASSIGN_OR_RETURN(const int64_t outcome,
                          ReadOutcome(Repeatable(bulk_pool_.Execute(kSubmitGradient, params))));
  return static_cast<domain::SubmitOutcome>(outcome);
}

absl::StatusOr<domain::SubmitOutcome> PgExchange::SubmitLarge(
    const exchange::SubmitRequest& request) {
  const absl::string_view bytes(request.payload.bytes->data(), request.payload.bytes->size());
  // The last piece goes with the accept and is never empty.
  const size_t staged_pieces = (bytes.size() - 1) / kPieceBytes;
  constexpr int64_t kRowsPerPiece = kPieceBytes / kBlobRowBytes;
  pg::SqlParams check = LeaseParams(request.worker, request.run, request.unit, request.attempt);
  check.Int(request.stats.image_count)
      .Int(request.stats.micro_batch_count)
      .Bytes(request.payload.sha256);

  absl::Status status;
  for (int i = 0; i < kMaxChecks; ++i) {
    // Refused before any byte is sent, and noted in the ledger, which a transaction rolled back
    // could not do.
    GANNET_ASSIGN_OR_RETURN(const int64_t early,
                            ReadOutcome(Repeatable(pool_.Execute(kCheckSubmission, check))));
    if (early != kNoOutcome) return static_cast<domain::SubmitOutcome>(early);

    int64_t outcome = kNoOutcome;
    status = bulk_pool_.RunInTransaction(
        "submit_gradient", pg::SqlIsolation::kReadCommitted,
        [&](pg::BulkTransaction& transaction) -> absl::Status {
          for (size_t piece = 0; piece < staged_pieces;) {
            const size_t count =
                std::min<size_t>(staged_pieces - piece, pg::BulkTransaction::kMaxPipelined);
            GANNET_RETURN_IF_ERROR(
                transaction.ExecuteMany(kStageGradient, static_cast<int>(count), [&](int index) {
                  const size_t number = piece + static_cast<size_t>(index);
                  pg::SqlParams params =
                      LeaseParams(request.worker, request.run, request.unit, request.attempt);
                  params.Int(static_cast<int64_t>(number) * kRowsPerPiece)
                      .Bytes(bytes.substr(number * kPieceBytes, kPieceBytes));
                  return params;
                }));
            piece += count;
          }
          const pg::SqlParams last =
              SubmitParams(request, static_cast<int64_t>(staged_pieces) * kRowsPerPiece,
                           bytes.substr(staged_pieces * kPieceBytes));
          GANNET_ASSIGN_OR_RETURN(outcome, ReadOutcome(transaction.Execute(kSubmitGradient, last)));
          const auto received = static_cast<domain::SubmitOutcome>(outcome);
          if (received == domain::SubmitOutcome::kAccepted ||
              received == domain::SubmitOutcome::kLate) {
            return absl::OkStatus();
          }
          return absl::AbortedError("the unit changed while its gradient was sent");
        });
    if (status.ok()) return static_cast<domain::SubmitOutcome>(outcome);
    // ALREADY_EXISTS: the rows of the same attempt were stored by an earlier sending whose answer
    // was lost.
    const bool look_again = status.code() == absl::StatusCode::kAborted ||
                            status.code() == absl::StatusCode::kAlreadyExists;
    if (!look_again) return Repeatable(status);
  }
  return status;
}

absl::StatusOr<exchange::HeartbeatResult> PgExchange::Heartbeat(
    const exchange::WorkerIdentity& worker, base::RunId run,
    const std::vector<exchange::UnitProgress>& held) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateHeartbeat(worker, run, held));
  std::vector<int64_t> units;
  std::vector<int64_t> attempts;
  std::vector<int64_t> done;
  for (const exchange::UnitProgress& progress : held) {
    units.push_back(progress.unit.value());
    attempts.push_back(progress.attempt.value());
    done.push_back(progress.micro_batches_done);
  }
  pg::SqlParams params = IdentityParams(worker);
  params.Int(run.value()).IntArray(units).IntArray(attempts).IntArray(done);
  GANNET_ASSIGN_OR_RETURN(const pg::SqlRows rows, Repeatable(pool_.Execute(kHeartbeat, params)));
  pg::SqlRow row(rows, 0);
  exchange::HeartbeatResult result;
  GANNET_ASSIGN_OR_RETURN(result.state, RunStateFromName(row.Text("run_state")));
  for (const int64_t unit : row.IntArray("dropped")) result.dropped.emplace_back(unit);
  GANNET_RETURN_IF_ERROR(row.status());
  return result;
}

absl::Status PgExchange::Release(const exchange::WorkerIdentity& worker, base::RunId run,
                                 base::UnitId unit, base::Attempt attempt) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateRelease(worker, run, unit, attempt));
  return Repeatable(pool_.Execute(kRelease, LeaseParams(worker, run, unit, attempt))).status();
}

absl::Status PgExchange::Fail(const exchange::WorkerIdentity& worker, base::RunId run,
                              base::UnitId unit, base::Attempt attempt, const std::string& reason) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateFail(worker, run, unit, attempt, reason));
  pg::SqlParams params = LeaseParams(worker, run, unit, attempt);
  params.Text(reason);
  return Repeatable(pool_.Execute(kFail, params)).status();
}

absl::Status PgExchange::Leave(const exchange::WorkerIdentity& worker, base::RunId run) {
  GANNET_RETURN_IF_ERROR(exchange::ValidateLeave(worker, run));
  pg::SqlParams params = IdentityParams(worker);
  params.Int(run.value());
  return Repeatable(pool_.Execute(kLeave, params)).status();
}

}  // namespace gannet::store
