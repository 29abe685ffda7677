// What to do when a request went wrong: the rules, apart from any transport. Core.
//
// The one law: a request is sent again only if it is certain that nothing of it took effect, or that
// repeating it changes nothing. A commit whose outcome is unknown is never sent again; it is
// reported as such.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/prng.h"

namespace sextant::client {

// What is known when it went wrong.
struct Setback {
  enum class Kind {
    kNotSent,   // no node took it, or the node said that it was not begun
    kLost,      // the session broke with the request under way
    kAnswered,  // with an error
  };
  Kind kind = Kind::kNotSent;
  bool was_in_transaction = false;  // before the request
  bool was_shown = false;           // something of an answer went to the caller
  bool may_change = true;           // the request may change data (statement_kind.h)
  bool may_commit = true;
  // --- kAnswered
  absl::StatusCode code = absl::StatusCode::kUnknown;
  bool is_unknown = false;       // the server's own word on the outcome
  bool is_retriable = false;     // likewise
  bool is_nothing_done = false;  // no statement of the request took effect, nor the one that failed
};

enum class Verdict {
  kRetry,           // on the same session
  kRetryElsewhere,  // look for the right node first
  kReport,          // nothing was committed
  kReportUnknown,
  kReportLostTransaction,  // the open transaction is gone, uncommitted
};
Verdict Judge(const Setback& setback);

// Growing, jittered pauses between attempts: 0 at first, then up to 10 ms, doubling to half a second.
class Backoff {
 public:
  explicit Backoff(uint64_t seed) : prng_(seed) {}
  absl::Duration Next();
  void Reset() { bound_ = absl::ZeroDuration(); }

 private:
  Prng prng_;
  absl::Duration bound_;
};

}  // namespace sextant::client
