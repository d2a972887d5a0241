#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "libs/base/typed_id.h"
#include "libs/domain/run_config.h"
#include "libs/domain/run_state.h"
#include "libs/domain/unit_state.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"

namespace gannet::exchange {

// Everything stored about a run that any call can ever depend on, without database ids and absolute
// times, so that two backends can be compared. Times are relative to the backend's now.

struct GradientDump {
  base::Attempt attempt;
  base::WorkerId worker;
  GradientStats stats;
  tensor::Codec codec = tensor::Codec::kFp32;
  std::string sha256;      // 32 raw bytes
  bool has_bytes = false;  // false once ReclaimOldBlobs has freed them
};

struct UnitDump {
  base::Round round;
  base::Slot slot;
  domain::UnitState state = domain::UnitState::kReady;
  base::Attempt attempt;
  base::WorkerId holder;  // empty when none or forgotten
  int failures = 0;
  std::string failure_reason;             // of the last Fail or RejectGradient
  std::vector<base::WorkerId> failed_by;  // ascending, each once
  absl::Duration ready_in;                // of a ready one
  bool consumed = false;                  // named by Publish
  bool is_speculative = false;
  int stale_rounds = 0;            // publications that have taken it along
  base::Attempt wasted_attempt;    // the last one counted as wasted; 0: none
  bool reaped = false;             // when ready: its last lease did
  absl::Duration since_claim;      // when leased
  absl::Duration lease_remaining;  // when leased; at most zero when it has expired
  absl::Duration since_progress;   // when leased
  int micro_batches_done = 0;      // when leased
  std::optional<GradientDump> gradient;
};

struct WorkerDump {
  base::WorkerId worker;
  base::Incarnation incarnation;
  std::string display_name;
  std::string hardware;
  int64_t accepted_unit_count = 0;
  int64_t accepted_image_count = 0;
  int64_t duplicate_unit_count = 0;
  int64_t wasted_image_count = 0;
  absl::Duration since_seen;
  bool has_left = false;
  int net_rejections = 0;
  std::string removed_reason = {};  // empty: it was not removed
};

struct WeightsDump {
  base::WeightsVersion version;
  std::string sha256;  // 32 raw bytes
  bool keep = false;
};

struct RunDump {
  domain::RunConfig config;
  domain::RunState state = domain::RunState::kRunning;
  std::string state_reason;
  base::WeightsVersion weights_version;
  base::LeaderId leader;                // empty when nobody is leader of record
  int64_t leader_term = 0;              // of the last leader; 0 before the first
  absl::Duration leadership_remaining;  // when there is a leader; at most zero when it has expired
  absl::Duration median_unit_time;      // zero: not known yet
  std::vector<SettingsChange> changes;  // by round
  std::vector<WeightsDump> weights;     // by version: those whose bytes are there
  std::string adam_sha256;              // 32 raw bytes
  std::optional<BestWeights> best;
  std::string best_sha256;           // 32 raw bytes; empty when there are none
  std::vector<UnitDump> units;       // by round and slot
  std::vector<WorkerDump> workers;   // by id
  std::vector<RoundSummary> rounds;  // by round
};

}  // namespace gannet::exchange
