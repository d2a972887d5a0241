#include "libs/exchange/testing/test_values.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "libs/base/check.h"
#include "libs/domain/model_layout.h"
#include "libs/tensor/codec.h"
#include "libs/tensor/tensor_bundle.h"

namespace gannet::exchange {
namespace {

Payload Filled(const tensor::BundleSpec& spec, float value) {
  tensor::TensorBundle bundle;
  for (const tensor::TensorSpec& tensor_spec : spec) {
    tensor::Tensor tensor = tensor::Tensor::Zeros(tensor_spec);
    if (tensor_spec.dtype == tensor::Dtype::kF32) {
      const absl::Span<float> values = tensor.mutable_f32();
      std::fill(values.begin(), values.end(), value);
    }
    bundle.Add(std::move(tensor));
  }
  absl::StatusOr<std::string> bytes = EncodeBundle(bundle, tensor::Codec::kFp32);
  GANNET_CHECK(bytes.ok());
  return Payload::FromBytes(tensor::Codec::kFp32, *std::move(bytes));
}

}  // namespace

domain::RunConfig TinyRunConfig(const std::string& name) {
  domain::RunConfig config;
  config.name = name;
  config.seed = 7;
  config.model = {.image_size = 32, .latent_dim = 2, .base_width = 1};
  config.images_per_unit = 4;
  config.units_per_round = 3;
  config.micro_batch = 2;
  config.round_count = 100;
  config.lease = absl::Seconds(60);
  config.policy.speculation_multiplier = 0;  // a unit has one holder unless a test wants more
  config.data = {"procedural", 64, std::string(64, 'd'), "64 images for tests"};
  return config;
}

WorkerIdentity TestWorker(int number, int64_t incarnation) {
  return {base::WorkerId(absl::StrFormat("%032x", number)),
          absl::StrFormat("%064x", number + 0x5ec7e7), base::Incarnation(incarnation)};
}

JoinRequest TestJoin(const WorkerIdentity& worker, const domain::RunConfig& config) {
  JoinRequest request;
  request.worker = worker;
  request.run_name = config.name;
  request.display_name = "worker " + worker.id.value().substr(28);
  request.hardware = "cpu, 2 threads";
  request.data = config.data;
  return request;
}

base::LeaderId TestLeader(int number) {
  return base::LeaderId(absl::StrFormat("%032x", number + 0x1eade7));
}

Payload TestWeights(const domain::RunConfig& config, float value) {
  return Filled(domain::WeightsSpec(config.model), value);
}

Payload TestAdamState(const domain::RunConfig& config, float value) {
  return Filled(domain::AdamStateSpec(config.model, config.adam), value);
}

Payload TestGradient(const domain::RunConfig& config, float value) {
  return Filled(domain::GradientSpec(config.model), value);
}

GradientStats TestStats(const domain::RunConfig& config) {
  GradientStats stats;
  stats.image_count = config.images_per_unit;
  stats.micro_batch_count =
      static_cast<int>(domain::MicroBatchSizes(config.images_per_unit, config.micro_batch).size());
  stats.discriminator_loss = 1.25;
  stats.generator_loss = 0.75;
  stats.real_accuracy = 0.5;
  stats.fake_accuracy = 0.25;
  stats.compute_seconds = 0.125;
  return stats;
}

std::vector<domain::PlannedUnit> TestUnits(const domain::RunConfig& config, base::Round round) {
  return domain::RoundPlanner(config).Plan(round);
}

NewRun TestNewRun(const domain::RunConfig& config) {
  NewRun run;
  run.config = config;
  run.weights = TestWeights(config, 0.0f);
  run.adam_state = TestAdamState(config, 0.0f);
  run.units = TestUnits(config, base::Round(1));
  return run;
}

PublishRequest TestPublish(const domain::RunConfig& config, base::RunId run,
                           const Leadership& leadership, base::WeightsVersion expected) {
  const int64_t version = expected.value() + 1;
  PublishRequest request;
  request.run = run;
  request.leadership = leadership;
  request.expected_version = expected;
  request.weights = TestWeights(config, static_cast<float>(version));
  request.adam_state = TestAdamState(config, static_cast<float>(version));
  request.summary.round = base::Round(version);
  request.summary.discriminator_loss = 1.5;
  request.summary.generator_loss = 0.5;
  request.summary.real_accuracy = 0.5;
  request.summary.fake_accuracy = 0.25;
  request.summary.seconds = 2.5;
  request.next_units = TestUnits(config, base::Round(version + 1));
  return request;
}

SubmitRequest TestSubmit(const domain::RunConfig& config, const WorkerIdentity& worker,
                         const WorkUnit& unit, float value) {
  SubmitRequest request;
  request.worker = worker;
  request.run = unit.run;
  request.unit = unit.unit;
  request.attempt = unit.attempt;
  request.stats = TestStats(config);
  request.payload = TestGradient(config, value);
  return request;
}

}  // namespace gannet::exchange
