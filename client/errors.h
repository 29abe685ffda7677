// What an error says beyond its code: whether something may have been committed all the same.
//
// Every error of this library is an absl::Status. Unless its outcome is unknown, nothing of the
// request (with atomic requests and transactions: nothing at all) took effect, and statements before
// the one that failed did what they did.
#pragma once

#include <cstddef>

#include "absl/status/status.h"

namespace sextant::client {

enum class Outcome {
  kNotCommitted,
  kUnknown,  // a commit was sent and may have become durable: look before repeating it
};

struct ErrorInfo {
  Outcome outcome = Outcome::kNotCommitted;
  bool is_retriable = false;   // the same may succeed later, unchanged; a transaction: from its start
  size_t statement_index = 0;  // which statement of the request
};

ErrorInfo InfoOf(const absl::Status& error);
inline bool IsOutcomeUnknown(const absl::Status& error) {
  return InfoOf(error).outcome == Outcome::kUnknown;
}
absl::Status WithInfo(absl::Status error, const ErrorInfo& info);

}  // namespace sextant::client
