#pragma once

#include <cstdint>
#include <stdexcept>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/typed_id.h"

// What the files of the contract share; nobody else includes it.
namespace gannet::exchange {

inline constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
inline constexpr auto kAborted = absl::StatusCode::kAborted;
inline constexpr auto kNotFound = absl::StatusCode::kNotFound;
inline constexpr auto kUnauthenticated = absl::StatusCode::kUnauthenticated;
inline constexpr auto kFailedPrecondition = absl::StatusCode::kFailedPrecondition;

inline const base::UnitId kNoSuchUnit(int64_t{1} << 60);
inline const base::RunId kNoSuchRun(int64_t{1} << 60);

// The value, or the end of the test: GoogleTest reports the exception as its failure.
template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

inline void Must(const absl::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

}  // namespace gannet::exchange
