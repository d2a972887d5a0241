#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// GANNET_RETURN_IF_ERROR(expr): returns the status of `expr` from the enclosing function unless it
// is OK. GANNET_ASSIGN_OR_RETURN(lhs, expr): assigns the value of a StatusOr, or returns its
// status.

#define GANNET_RETURN_IF_ERROR(expr)                                                    \
  do {                                                                                  \
    if (absl::Status gannet_status = (expr); !gannet_status.ok()) return gannet_status; \
  } while (false)

#define GANNET_STATUS_CONCAT_INNER(a, b) a##b
#define GANNET_STATUS_CONCAT(a, b) GANNET_STATUS_CONCAT_INNER(a, b)

#define GANNET_ASSIGN_OR_RETURN(lhs, expr) \
  GANNET_ASSIGN_OR_RETURN_IMPL(GANNET_STATUS_CONCAT(gannet_statusor_, __LINE__), lhs, expr)

#define GANNET_ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  if (!tmp.ok()) return std::move(tmp).status();     \
  lhs = std::move(tmp).value()
