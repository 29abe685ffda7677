// Status helpers, and the one table of what each error code means in Sextant. Core.
//
//   FAILED_PRECONDITION  fenced by a newer epoch: refresh the view, never blindly retry
//   UNAVAILABLE          this member cannot answer now: retry elsewhere or later
//   OUT_OF_RANGE         LSN below the GC horizon, or above what this segment holds
//   DATA_LOSS            a checksum does not match: damaged, which is never the same as absent
//   RESOURCE_EXHAUSTED   back-pressure (queue, LAL, disk full): slow down, then retry
//   ABORTED              a conflict with another transaction or claimant: start over
//   DEADLINE_EXCEEDED    the outcome is unknown (a commit that waited for its quorum in vain)
//   INVALID_ARGUMENT     malformed input; retrying the same bytes cannot help
//   NOT_FOUND            no such volume, segment, session or page
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define SEXTANT_CONCAT_INNER(a, b) a##b
#define SEXTANT_CONCAT(a, b) SEXTANT_CONCAT_INNER(a, b)

// Returns from the function with the error, where `expression` (an absl::Status) is one.
#define RETURN_IF_ERROR(expression)                                             \
  do {                                                                          \
    if (absl::Status returned_status_ = (expression); !returned_status_.ok()) { \
      return returned_status_;                                                  \
    }                                                                           \
  } while (false)

// Declares or assigns `lhs` from a StatusOr, or returns from the function with its error.
#define ASSIGN_OR_RETURN(lhs, expression) \
  ASSIGN_OR_RETURN_IMPL(SEXTANT_CONCAT(status_or_, __LINE__), lhs, expression)
#define ASSIGN_OR_RETURN_IMPL(holder, lhs, expression) \
  auto holder = (expression);                          \
  if (!holder.ok()) return holder.status();            \
  lhs = *std::move(holder)
