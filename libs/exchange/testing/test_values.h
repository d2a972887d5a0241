#pragma once

#include <string>
#include <vector>

#include "libs/domain/round_plan.h"
#include "libs/domain/run_config.h"
#include "libs/exchange/exchange.h"
#include "libs/exchange/store.h"

namespace gannet::exchange {

// Small, valid values for tests of anything that speaks Exchange or Store.

// A run of a tiny network: 3 units of 4 images in micro-batches of 2 a round, 64 images, lease 60
// s.
domain::RunConfig TinyRunConfig(const std::string& name = "tiny");

// Identity number `number`: equal numbers give equal ids and secrets.
WorkerIdentity TestWorker(int number, int64_t incarnation = 1);

// A join with the config's own fingerprint.
JoinRequest TestJoin(const WorkerIdentity& worker, const domain::RunConfig& config);

// Leader id number `number`.
base::LeaderId TestLeader(int number);

// Tensors of the right layout whose every F32 element is `value`.
Payload TestWeights(const domain::RunConfig& config, float value);
Payload TestAdamState(const domain::RunConfig& config, float value);
Payload TestGradient(const domain::RunConfig& config, float value);

// Statistics that fit a unit of the config.
GradientStats TestStats(const domain::RunConfig& config);

// Units of a round, `config.units_per_round` of them.
std::vector<domain::PlannedUnit> TestUnits(const domain::RunConfig& config, base::Round round);

// The run with weights and units of round 1.
NewRun TestNewRun(const domain::RunConfig& config);

// Publishes version `expected` + 1 without consuming anything.
PublishRequest TestPublish(const domain::RunConfig& config, base::RunId run,
                           const Leadership& leadership, base::WeightsVersion expected);

// A submission of TestGradient(config, value) for a claimed unit.
SubmitRequest TestSubmit(const domain::RunConfig& config, const WorkerIdentity& worker,
                         const WorkUnit& unit, float value = 1.0f);

}  // namespace gannet::exchange
