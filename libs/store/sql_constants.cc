#include "libs/store/sql_constants.h"

#include <concepts>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "libs/domain/gradient_limits.h"
#include "libs/domain/unit_state.h"
#include "libs/exchange/gateway_reports.h"
#include "libs/exchange/store.h"
#include "libs/exchange/validation.h"
#include "libs/store/blob_io.h"
#include "libs/store/ledger_outcome.h"

namespace gannet::store {
namespace {

constexpr absl::string_view kOpen = "${";
constexpr absl::string_view kClose = "}";

std::string SqlText(std::integral auto value) { return absl::StrCat(value); }
std::string SqlText(double value) { return absl::StrFormat("%.17g", value); }

// As an interval reads it.
std::string SqlText(absl::Duration value) {
  const int64_t seconds = absl::ToInt64Seconds(value);
  if (absl::Seconds(seconds) == value) return absl::StrCat(seconds, " seconds");
  return absl::StrCat(absl::ToInt64Microseconds(value), " microseconds");
}

template <typename Enum>
requires std::is_enum_v<Enum> std::string SqlText(Enum value) {
  return absl::StrCat(static_cast<int>(value));
}

absl::string_view WithoutNamespace(absl::string_view name) {
  const size_t end = name.find("::");
  const bool is_namespace =
      end != absl::string_view::npos && name.front() >= 'a' && name.front() <= 'z';
  return is_namespace ? name.substr(end + 2) : name;
}

}  // namespace

// Scripts name a constant without the namespace of its library.
#define GANNET_SQL_CONSTANT(name) \
  { std::string(WithoutNamespace(#name)), SqlText(name) }

const std::vector<SqlConstant>& SqlConstants() {
  static const std::vector<SqlConstant> constants = {
      GANNET_SQL_CONSTANT(kAdamRing),
      GANNET_SQL_CONSTANT(kBestRing),
      GANNET_SQL_CONSTANT(exchange::kBlobRing),
      GANNET_SQL_CONSTANT(kBlobRowBytes),
      GANNET_SQL_CONSTANT(domain::kDivergedLoss),
      GANNET_SQL_CONSTANT(kFirstLedgerOutcome),
      GANNET_SQL_CONSTANT(domain::kFirstRequeueBackoff),
      GANNET_SQL_CONSTANT(domain::kLeasesOfStall),
      GANNET_SQL_CONSTANT(kMaxBlobSeq),
      GANNET_SQL_CONSTANT(domain::kMaxComputeSeconds),
      GANNET_SQL_CONSTANT(exchange::kMaxDisplayNameChars),
      GANNET_SQL_CONSTANT(exchange::kMaxGatewayNameChars),
      GANNET_SQL_CONSTANT(exchange::kMaxGatewayReports),
      GANNET_SQL_CONSTANT(exchange::kMaxHardwareChars),
      GANNET_SQL_CONSTANT(exchange::kMaxHeldUnits),
      GANNET_SQL_CONSTANT(domain::kMaxLeasesPerWorker),
      GANNET_SQL_CONSTANT(domain::kMaxOpenUnitsOfSlot),
      GANNET_SQL_CONSTANT(exchange::kMaxPayloadBytes),
      GANNET_SQL_CONSTANT(exchange::kMaxReasonChars),
      GANNET_SQL_CONSTANT(exchange::kMaxRefusalChars),
      GANNET_SQL_CONSTANT(exchange::kMaxRefusals),
      GANNET_SQL_CONSTANT(exchange::kMaxNetRejections),
      GANNET_SQL_CONSTANT(domain::kMaxRequeueBackoff),
      GANNET_SQL_CONSTANT(domain::kMaxRequeueDoublings),
      GANNET_SQL_CONSTANT(exchange::kMaxRunNameChars),
      GANNET_SQL_CONSTANT(domain::kMaxUnitFailures),
      GANNET_SQL_CONSTANT(exchange::kMaxWorkersOfRun),
      GANNET_SQL_CONSTANT(domain::kMinSpeculationDelay),
      GANNET_SQL_CONSTANT(domain::kMinUnitLease),
      GANNET_SQL_CONSTANT(domain::kLeaseMultiplier),
      GANNET_SQL_CONSTANT(exchange::kWorkerLivenessTimeout),
      GANNET_SQL_CONSTANT(LedgerOutcome::kExpired),
      GANNET_SQL_CONSTANT(LedgerOutcome::kFailed),
      GANNET_SQL_CONSTANT(LedgerOutcome::kRejected),
      GANNET_SQL_CONSTANT(LedgerOutcome::kReleased),
      GANNET_SQL_CONSTANT(LedgerOutcome::kRevoked),
      GANNET_SQL_CONSTANT(domain::SubmitOutcome::kAccepted),
      GANNET_SQL_CONSTANT(domain::SubmitOutcome::kAlreadyAccepted),
      GANNET_SQL_CONSTANT(domain::SubmitOutcome::kClosed),
      GANNET_SQL_CONSTANT(domain::SubmitOutcome::kDuplicate),
      GANNET_SQL_CONSTANT(domain::SubmitOutcome::kLate),
      GANNET_SQL_CONSTANT(domain::SubmitOutcome::kSuperseded),
  };
  return constants;
}

#undef GANNET_SQL_CONSTANT

absl::StatusOr<std::string> FillSqlConstants(absl::string_view script) {
  std::string filled;
  while (true) {
    const size_t begin = script.find(kOpen);
    if (begin == absl::string_view::npos) return absl::StrCat(filled, script);
    const size_t end = script.find(kClose, begin);
    if (end == absl::string_view::npos) return absl::InternalError("a ${ is not closed");
    absl::StrAppend(&filled, script.substr(0, begin));
    const absl::string_view name = script.substr(begin + kOpen.size(), end - begin - kOpen.size());
    bool is_known = false;
    for (const SqlConstant& constant : SqlConstants()) {
      if (constant.name != name) continue;
      is_known = true;
      filled += constant.text;
    }
    if (!is_known) {
      return absl::InternalError(
          absl::StrCat("no constant has this name, add it to sql_constants.cc: ", name));
    }
    script.remove_prefix(end + kClose.size());
  }
}

}  // namespace gannet::store
