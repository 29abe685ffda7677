// LsnAllocator: dense LSNs for one writer's epoch, bounded by the LSN allocation limit (LAL). Core.
//
// No LSN above max(VDL, base) + LAL is ever given out, where `base` is the upper end of the
// truncation that opened the epoch: recovery annuls exactly that far, so nothing a dead writer
// allocated can come back (SIGMOD'17, sections 4.2.1 and 4.3). The bound is also back-pressure on a
// quorum that lags.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "common/log/lsn.h"

namespace sextant::compute {

class LsnAllocator {
 public:
  // `next`: the first LSN to give out. Everything below it is durable or annulled.
  LsnAllocator(Lsn next, uint64_t lal);

  // Whether `count` LSNs may be allocated now. RESOURCE_EXHAUSTED: only once VDL has moved.
  // INVALID_ARGUMENT: never, `count` is above the limit itself.
  absl::Status Check(uint64_t count, Lsn vdl) const;
  // The first of `count` consecutive LSNs; Check must allow them.
  Lsn Allocate(uint64_t count, Lsn vdl);

  Lsn next() const { return next_; }

 private:
  Lsn base_;  // last LSN of the annulled range
  Lsn next_;
  uint64_t lal_;
};

}  // namespace sextant::compute
