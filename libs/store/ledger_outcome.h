#pragma once

namespace gannet::store {

// How a lease ended without a gradient that was kept, as the ledger's outcome says it beside the
// numbers of SubmitOutcome. The numbers are stored: they never change.
enum class LedgerOutcome {
  kExpired = 101,   // it expired before anything was submitted
  kReleased = 102,  // released by its worker, which left, stopped or was restarted
  kFailed = 103,    // its worker could not compute it
  kRejected = 104,  // the gradient was kept, and then could not be read or was not finite
  kRevoked = 105    // its worker was removed from the run
};

// Outcomes from here on are not those of a submission.
inline constexpr int kFirstLedgerOutcome = static_cast<int>(LedgerOutcome::kExpired);

}  // namespace gannet::store
