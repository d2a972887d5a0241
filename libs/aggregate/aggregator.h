#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "libs/base/training_choices.h"
#include "libs/tensor/tensor_bundle.h"

// Aggregation rules: how the gradients of a round become one. A rule is a file in rules/ and its
// line in GANNET_AGGREGATORS (libs/base/training_choices.h); aggregator_test.cc then covers it.

namespace gannet::aggregate {

// Makes one gradient of those of a round. Gradients are added in the order of slots, whatever order
// they arrived in, and a rule uses nothing but what was added: so a round's result has the same
// bits whoever computed what, and when.
//
// A rule implements the four private methods; what holds for every rule is checked here. Example:
//
//   const std::unique_ptr<Aggregator> mean = CreateAggregator("weighted_mean");
//   GANNET_RETURN_IF_ERROR(mean->Add(std::move(first), 320));
//   GANNET_RETURN_IF_ERROR(mean->Add(std::move(second), 280));
//   GANNET_ASSIGN_OR_RETURN(const TensorBundle folded, mean->Finish());
//
// Thread safety: none.
class Aggregator {
 public:
  virtual ~Aggregator() = default;

  // Whether it keeps every gradient until Finish, as a median must: then its memory grows with the
  // number of gradients. A rule that streams keeps sums, whose size does not depend on it, and lets
  // go of each gradient within Add.
  virtual bool needs_all() const = 0;

  // Says whether Add would take a gradient of such a weight, and if not, why; the reason is for
  // whoever sent it. Returns: INVALID_ARGUMENT - a tensor is not F32; names or shapes differ from
  // those of the first gradient that was added; the weight is not finite or not above 0; or the
  // rule cannot fold one of the values.
  absl::Status Check(const tensor::TensorBundle& gradient, double weight) const;

  // Adds a gradient. Its weight is the number of its images, or less where it is stale. Its tensors
  // may come in any order; the result has the order of the first gradient.
  // Returns: as Check; then nothing was added.
  absl::Status Add(tensor::TensorBundle gradient, double weight);

  // The result, F32. More may be added afterwards, to the same gradients.
  // Returns: FAILED_PRECONDITION - nothing was added.
  absl::StatusOr<tensor::TensorBundle> Finish() const;

  // Forgets what was added, for the next round. A rule may keep its memory.
  void Reset();

 private:
  // What the rule refuses of its own. Called with F32 tensors of one layout, in any order, and a
  // positive finite weight.
  virtual absl::Status CheckValues(const tensor::TensorBundle& /*gradient*/,
                                   double /*weight*/) const {
    return absl::OkStatus();
  }
  // As CheckValues, with the tensors in the order of the first gradient. `is_first`: nothing has
  // been added since the last Reset, and the layout may differ from that before it.
  virtual void Fold(tensor::TensorBundle gradient, double weight, bool is_first) = 0;
  // Writes the result into `out`, which has the layout of the gradients and zeros for values.
  // At least one gradient was folded.
  virtual void Write(tensor::TensorBundle& out) const = 0;
  virtual void Forget() {}

  tensor::BundleSpec spec_;  // of the first gradient
  bool is_empty_ = true;
};

// Each creates the rule of its name and is defined in the file of that name.
namespace rules {
#define GANNET_DECLARE_AGGREGATOR(name) std::unique_ptr<Aggregator> name();
GANNET_AGGREGATORS(GANNET_DECLARE_AGGREGATOR)
#undef GANNET_DECLARE_AGGREGATOR
}  // namespace rules

// A new aggregator of the rule of that name (kAggregatorNames), or null.
std::unique_ptr<Aggregator> CreateAggregator(absl::string_view name);

}  // namespace gannet::aggregate
