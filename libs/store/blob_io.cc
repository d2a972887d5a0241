#include "libs/store/blob_io.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/hex.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"

namespace gannet::store {
namespace {

// Far above any payload; keeps a damaged record from asking for all memory.
constexpr int64_t kMaxRecordedBytes = int64_t{4} << 30;

}  // namespace

absl::StatusOr<PayloadRecord> ReadPayloadRecord(pg::SqlRow& row) {
  PayloadRecord record;
  record.codec = static_cast<tensor::Codec>(row.Int("codec"));
  record.sha256 = row.Bytes("sha256");
  record.payload_bytes = row.Int("payload_bytes");
  GANNET_RETURN_IF_ERROR(row.status());
  if (record.payload_bytes < 1 || record.payload_bytes > kMaxRecordedBytes) {
    return absl::DataLossError(
        absl::StrCat("the record of a payload is damaged: bytes ", record.payload_bytes));
  }
  return record;
}

absl::StatusOr<exchange::Payload> ReadPayload(pg::BulkTransaction& transaction,
                                              const pg::SqlStatement& statement,
                                              const pg::SqlParams& params,
                                              const PayloadRecord& record) {
  const auto expected_bytes = static_cast<size_t>(record.payload_bytes);
  std::string bytes;
  bytes.reserve(expected_bytes);
  base::Sha256Hasher hasher;
  size_t received = 0;
  GANNET_RETURN_IF_ERROR(transaction.ReadBytes(statement, params, [&](absl::string_view row) {
    received += row.size();
    if (received > expected_bytes) return;
    hasher.Update(row);
    bytes.append(row.data(), row.size());
  }));
  if (received == 0) return absl::NotFoundError("the bytes were reclaimed");
  exchange::Payload payload =
      exchange::Payload::FromHashed(record.codec, std::move(bytes), hasher.Finish());
  if (received != expected_bytes || payload.sha256 != record.sha256) {
    return absl::DataLossError(absl::StrCat("stored bytes are not those that were sent: expected ",
                                            expected_bytes, " bytes of ",
                                            base::HexEncode(record.sha256), ", got ", received,
                                            " of ", base::HexEncode(payload.sha256)));
  }
  return payload;
}

absl::Status WriteBlobRows(pg::BulkTransaction& transaction, const char* copy_statement,
                           base::RunId run, int64_t version, const std::string& bytes) {
  return transaction.CopyIn(copy_statement, [&](pg::CopyWriter& writer) {
    const absl::string_view view(bytes.data(), bytes.size());
    int32_t seq = 0;
    for (size_t offset = 0; offset < view.size(); offset += kBlobRowBytes) {
      writer.Row(4);
      writer.Int64(run.value());
      writer.Int64(version);
      writer.Int32(seq++);
      writer.Bytes(view.substr(offset, kBlobRowBytes));
    }
  });
}

}  // namespace gannet::store
