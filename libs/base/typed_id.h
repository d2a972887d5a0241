#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

namespace gannet::base {

// An integer or string that cannot be mistaken for another one of the same representation. `Tag`
// only makes types differ.
template <typename Tag, typename Rep>
class TypedId {
 public:
  TypedId() = default;
  explicit TypedId(Rep value) : value_(std::move(value)) {}

  const Rep& value() const { return value_; }

  friend bool operator==(const TypedId&, const TypedId&) = default;
  friend auto operator<=>(const TypedId&, const TypedId&) = default;
  friend std::ostream& operator<<(std::ostream& out, const TypedId& id) { return out << id.value_; }

 private:
  Rep value_{};
};

// One training with its configuration.
using RunId = TypedId<struct RunIdTag, int64_t>;
// A work unit inside its run. Numbers may be skipped: nothing may depend on them.
using UnitId = TypedId<struct UnitIdTag, int64_t>;
// How often a unit was claimed: the fencing token of a lease, from 1.
using Attempt = TypedId<struct AttemptTag, int32_t>;
// An optimizer update, from 1. Round r computes at weights version r - 1 and publishes version r.
using Round = TypedId<struct RoundTag, int64_t>;
// Position of a unit in its round, from 0.
using Slot = TypedId<struct SlotTag, int32_t>;
// Parameters and buffers after so many rounds; 0 is the initial one.
using WeightsVersion = TypedId<struct WeightsVersionTag, int64_t>;
// 32 lower-case hexadecimal digits, chosen by the worker.
using WorkerId = TypedId<struct WorkerIdTag, std::string>;
// Drawn at random at each start of a worker, positive.
using Incarnation = TypedId<struct IncarnationTag, int64_t>;
// Drawn at random at each start of a coordinator: 32 hexadecimal digits.
using LeaderId = TypedId<struct LeaderIdTag, std::string>;

}  // namespace gannet::base

template <typename Tag, typename Rep>
struct std::hash<gannet::base::TypedId<Tag, Rep>> {
  size_t operator()(const gannet::base::TypedId<Tag, Rep>& id) const {
    return std::hash<Rep>()(id.value());
  }
};
