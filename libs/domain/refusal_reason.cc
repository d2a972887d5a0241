#include "libs/domain/refusal_reason.h"

#include <array>

#include "libs/base/check.h"

namespace gannet::domain {
namespace {

struct Row {
  RefusalReason reason;
  absl::string_view label;
  absl::string_view text;
};

constexpr std::array<Row, static_cast<size_t>(RefusalReason::kLast) + 1> kRows = {{
    {RefusalReason::kUploadSize, "upload_size", "gradients of a size that the run's cannot have"},
    {RefusalReason::kUploadEmptyChunk, "upload_empty_chunk", "uploads with empty chunks"},
    {RefusalReason::kUploadsOfWorker, "uploads_of_worker",
     "a worker sends too many gradients at a time"},
    {RefusalReason::kUploads, "uploads", "too many gradients are sent at a time"},
    {RefusalReason::kUploadBytes, "upload_bytes",
     "no memory for the gradients that are being sent"},
    {RefusalReason::kUploadSlow, "upload_slow", "uploads that are too slow, or stand still"},
    {RefusalReason::kFetchesOfWorker, "fetches_of_worker",
     "a worker fetches weights too often at a time"},
    {RefusalReason::kFetches, "fetches", "weights are fetched by too many at a time"},
    {RefusalReason::kFetchSlow, "fetch_slow",
     "readers of weights that are too slow, or do not read"},
    {RefusalReason::kClaimsOfWorker, "claims_of_worker",
     "a worker waits for units too often at a time"},
    {RefusalReason::kClaims, "claims", "too many claims wait for units"},
    {RefusalReason::kJoinsOfAddress, "joins_of_address",
     "new workers come too fast from one address"},
    {RefusalReason::kJoins, "joins", "new workers come too fast"},
    {RefusalReason::kWorkersOfRun, "workers_of_run",
     "the run has as many workers as a gateway lets in"},
    {RefusalReason::kCallsOfAddress, "calls_of_address",
     "too many calls of one address wait for the database"},
    {RefusalReason::kCalls, "calls", "too many calls wait for the database"},
}};

const Row& RowOf(RefusalReason reason) {
  const Row& row = kRows[static_cast<size_t>(reason)];
  GANNET_CHECK(row.reason == reason);
  return row;
}

}  // namespace

absl::string_view RefusalLabel(RefusalReason reason) { return RowOf(reason).label; }

absl::string_view DescribeRefusal(RefusalReason reason) { return RowOf(reason).text; }

std::optional<RefusalReason> RefusalOfLabel(absl::string_view label) {
  for (const Row& row : kRows) {
    if (row.label == label) return row.reason;
  }
  return std::nullopt;
}

}  // namespace gannet::domain
