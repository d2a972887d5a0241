#pragma once

#include <optional>

#include "absl/strings/string_view.h"

namespace gannet::domain {

// Why a gateway has refused something, or cut it short, to protect itself and the others.
enum class RefusalReason {
  kUploadSize,        // a gradient that is announced with a size that the run's cannot have
  kUploadEmptyChunk,  // a chunk without a byte
  kUploadsOfWorker,   // more uploads at a time than a worker may have
  kUploads,           // more uploads at a time than the gateway takes
  kUploadBytes,       // no room for the bytes that have come
  kUploadSlow,        // cut: too slow, or standing still
  kFetchesOfWorker,   // more transfers of weights at a time than a worker may have
  kFetches,           // more of them than the gateway sends
  kFetchSlow,         // cut: its reader is too slow, or does not read
  kClaimsOfWorker,    // more waiting claims than a worker may have
  kClaims,            // more waiting claims than the gateway keeps
  kJoinsOfAddress,    // new workers come too fast from one address
  kJoins,             // new workers come too fast altogether
  kWorkersOfRun,      // the run has as many workers as this gateway lets in
  kCallsOfAddress,    // more calls from one address wait for the database than may
  kCalls,             // more calls wait for it than the gateway keeps
  kLast = kCalls
};

// The value of the label "reason" of metrics, and the reason's name in GatewayReport.
absl::string_view RefusalLabel(RefusalReason reason);

// For people: "new workers come too fast from one address".
absl::string_view DescribeRefusal(RefusalReason reason);

// The reason of that label; unset: this version knows none.
std::optional<RefusalReason> RefusalOfLabel(absl::string_view label);

}  // namespace gannet::domain
