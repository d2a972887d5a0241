#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/validation.h"
#include "libs/pg/pg_bulk_pool.h"
#include "libs/pg/sql_values.h"

namespace gannet::store {

// Bytes of a payload in one row of a blob table: with the other columns it fills a page.
inline constexpr size_t kBlobRowBytes = 8000;

// Rows of one payload are counted from 0 to this.
inline constexpr int64_t kMaxBlobSeq =
    exchange::kMaxPayloadBytes / static_cast<int64_t>(kBlobRowBytes);

// Versions of Adam's state, and turns of the best weights, that have a place of their own (those of
// weights and gradients: kBlobRing). Fixed permanently: the tables of every run are made so.
inline constexpr int kAdamRing = 4;
inline constexpr int kBestRing = 2;

// What is known of a payload before its bytes are read.
struct PayloadRecord {
  tensor::Codec codec = tensor::Codec::kFp32;
  std::string sha256;
  int64_t payload_bytes = 0;
};

// The columns codec, sha256 and payload_bytes.
// Returns: DATA_LOSS - no payload has so many bytes; INTERNAL - they are not as expected.
absl::StatusOr<PayloadRecord> ReadPayloadRecord(pg::SqlRow& row);

// The payload whose rows, in order, `statement` yields. Its checksum is computed while the bytes
// arrive. Returns: NOT_FOUND - no rows: their leaf was freed meanwhile; DATA_LOSS - the bytes are
// not those of the record.
absl::StatusOr<exchange::Payload> ReadPayload(pg::BulkTransaction& transaction,
                                              const pg::SqlStatement& statement,
                                              const pg::SqlParams& params,
                                              const PayloadRecord& record);

// Writes a payload as rows (run_id, version or turn, seq, data) of weights_blob, adam_blob or
// best_blob, which `copy_statement` names.
absl::Status WriteBlobRows(pg::BulkTransaction& transaction, const char* copy_statement,
                           base::RunId run, int64_t version, const std::string& bytes);

}  // namespace gannet::store
