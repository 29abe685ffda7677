// Scrub is a state machine: when which part of one segment's bytes at rest is read and verified.
// Core.
//
// docs/PROTOCOL.md, "Scrub". A pass walks the log by LSN, every batch that holds a record which the
// segment counts on, then the stored page versions by page. It says what to look at next; how fast
// that may go is the budget of the shell, which also reports what it finds: a batch to
// Segment::MarkDamaged, a page version to PageRepair.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/instant.h"
#include "common/log/lsn.h"

namespace sextant::storage {

struct ScrubOptions {
  // From the beginning of one pass to that of the next, if it was over by then.
  absl::Duration interval = absl::Hours(1);
  uint64_t log_bytes_per_step = 1 << 20;
  size_t pages_per_step = 32;
};

class Scrub {
 public:
  // The batches of the records above `after`, about so many bytes of them.
  struct VerifyLog {
    Lsn after;
    uint64_t max_bytes = 0;
  };
  // All stored versions of the next pages that have any.
  struct VerifyPages {
    PageNo from;
    size_t limit = 0;
  };
  using Step = std::variant<std::monostate, VerifyLog, VerifyPages>;

  explicit Scrub(ScrubOptions options) : options_(options) {}

  // One step at a time; the next one comes after it was reported done.
  Step Next(Instant now);
  // Where the log goes on, nothing if that was its end.
  void LogVerified(std::optional<Lsn> next);
  void PagesVerified(std::optional<PageNo> next, Instant now);

  uint64_t passes() const { return passes_; }  // that came to their end
  // When the last full pass ended.
  std::optional<Instant> passed_at() const { return passed_at_; }

 private:
  enum class State { kResting, kLog, kPages };

  ScrubOptions options_;
  State state_ = State::kResting;
  bool is_busy_ = false;
  Instant begin_at_ = Instant::Min();
  Lsn after_;
  PageNo from_;
  uint64_t passes_ = 0;
  std::optional<Instant> passed_at_;
};

}  // namespace sextant::storage
