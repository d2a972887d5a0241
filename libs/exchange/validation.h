#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"

namespace gannet::exchange {

// The form of every request, checked the same way by every backend before it looks at anything, so
// that memory, SQL and gRPC answer alike. All functions return INVALID_ARGUMENT naming the field
// unless something else is said; none of them ever puts a secret into a message.
//
// Texts for people are valid UTF-8 without characters that are invisible or change how others are
// shown (libs/base/text_characters.h has the rule, and SQL the same); limits count code points.

inline constexpr int kMaxRunNameChars = 64;
inline constexpr int kMaxDisplayNameChars = 64;
inline constexpr int kMaxHardwareChars = 200;
inline constexpr int kMaxReasonChars = 500;
inline constexpr int kMaxHeldUnits = 64;
// A run knows at most so many workers, whether they still come or not: a new one more is refused
// with RESOURCE_EXHAUSTED by Join, those who are known come and go as before. A class with a worker
// for each start of each computer stays far below; whoever makes names up ends there.
inline constexpr int kMaxWorkersOfRun = 10'000;
// Of weights or a gradient; the SQL functions know it too.
inline constexpr int64_t kMaxPayloadBytes = int64_t{1} << 30;
inline constexpr absl::Duration kMaxLeadershipTtl = absl::Hours(1);

absl::Status ValidateText(const char* field, const std::string& text, int max_chars);
absl::Status ValidateIdentity(const WorkerIdentity& worker);
absl::Status ValidateFingerprint(const domain::DataFingerprint& data);

// Requests of Exchange.

// Also FAILED_PRECONDITION - the protocol version is below kMinProtocolVersion.
absl::Status ValidateJoin(const JoinRequest& request);
absl::Status ValidateDescribe(const WorkerIdentity& worker, base::RunId run);
absl::Status ValidateClaim(const ClaimRequest& request);
absl::Status ValidateFetchWeights(const FetchWeightsRequest& request);
// Everything but the payload: what a gateway checks before it reads the body.
absl::Status ValidateSubmitHeader(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                                  base::Attempt attempt, const GradientStats& stats);
// Also DATA_LOSS - the bytes do not match their checksum.
absl::Status ValidateSubmit(const SubmitRequest& request);
absl::Status ValidateHeartbeat(const WorkerIdentity& worker, base::RunId run,
                               const std::vector<UnitProgress>& held);
absl::Status ValidateRelease(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                             base::Attempt attempt);
absl::Status ValidateFail(const WorkerIdentity& worker, base::RunId run, base::UnitId unit,
                          base::Attempt attempt, const std::string& reason);
absl::Status ValidateLeave(const WorkerIdentity& worker, base::RunId run);

// Requests of Store. A run id that was never used is not malformed: it is NOT_FOUND.

// Also DATA_LOSS - a payload does not match its checksum.
absl::Status ValidateNewRun(const NewRun& run);
// Also DATA_LOSS - a payload does not match its checksum.
absl::Status ValidatePublish(const PublishRequest& request);
// Also DATA_LOSS - the payload does not match its checksum.
absl::Status ValidateSaveBest(const BestWeights& best, const Payload& weights);
absl::Status ValidateAcquireLeadership(const base::LeaderId& leader, absl::Duration ttl);
absl::Status ValidateReason(const std::string& reason);
absl::Status ValidateWorkerId(const base::WorkerId& worker);
// The reason is shown to the person, so there must be one.
absl::Status ValidateRemoveWorker(const base::WorkerId& worker, const std::string& reason);
absl::Status ValidateListRounds(base::Round after, int limit);
absl::Status ValidateListWorkers(const base::WorkerId& after, int limit);

// Parts that conversions need, too.

absl::Status ValidateAtLeast(const char* field, int64_t least, int64_t value);
absl::Status ValidateFinite(const char* field, double value);
// Not a number is between nothing.
absl::Status ValidateBetween(const char* field, double least, double most, double value);
// Within the limits of gradient_limits.h.
absl::Status ValidateStats(const GradientStats& stats);
// 32 bytes, or none: not known.
absl::Status ValidateOptionalSha256(const char* field, const std::string& sha256);
absl::Status ValidatePayloadHeader(tensor::Codec codec, const std::string& sha256);
// Codec, checksum's length, bytes present and intact (DATA_LOSS).
absl::Status ValidatePayload(const char* field, const Payload& payload);

// Answers that depend on what is stored.

// FAILED_PRECONDITION - the worker's data set is another one; the message says how it differs.
absl::Status CheckFingerprint(const domain::DataFingerprint& expected,
                              const domain::DataFingerprint& got);
// The worker counted other images or micro-batches than the unit has.
absl::Status CheckUnitCounts(const GradientStats& stats, int unit_image_count, int micro_batch);
// The payload has another codec than gradients of the run have.
absl::Status CheckCodec(int run_codec, tensor::Codec codec);
// What a removed worker is told: FAILED_PRECONDITION, by which a worker ends.
absl::Status RemovedWorkerStatus(const std::string& reason);
// Whether a call was refused with that, by whatever backend. FAILED_PRECONDITION alone says less: a
// newer start of the worker may have taken over.
bool IsRemovedWorkerStatus(const absl::Status& status);
// INVALID_ARGUMENT - `round` is not one or two above `published` (see Store::ReclaimOldBlobs).
absl::Status CheckReclaimOldBlobs(base::WeightsVersion published, base::Round round);
// INVALID_ARGUMENT - `version` is above `published`.
absl::Status CheckIsPublished(base::WeightsVersion published, base::WeightsVersion version);

}  // namespace gannet::exchange
