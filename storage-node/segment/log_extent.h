// LogExtent knows which positions of the log are stored, and from which on they are needed. Core.
//
// Positions are dropped as a prefix only, so that those that are left stay dense: a position
// missing among them is damage (Segment::Restore). One is needed while it may hold a record above
// the log start. 16 bytes a stored batch.
#pragma once

#include <cstdint>
#include <deque>

#include "common/log/lsn.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

class LogExtent {
 public:
  explicit LogExtent(LogPosition first) : first_(first) {}

  // The batch of `bytes` at `position`, above every one before, holds records up to `last_lsn`.
  // Positions left out in between were damaged: they hold nothing.
  void Store(LogPosition position, Lsn last_lsn, uint64_t bytes);

  // The first position that is needed when records at or below `lsn` are not: what lies before it
  // may be dropped. One past the last stored, if none is.
  LogPosition FirstNeeded(Lsn lsn) const;
  // Whether dropping what comes before FirstNeeded(lsn) gives back `bytes` or more; looks no
  // further than it must.
  bool HoldsBelow(Lsn lsn, uint64_t bytes) const;
  // Forgets the positions before `first`.
  void DropBefore(LogPosition first);

  LogPosition first() const { return first_; }
  uint64_t bytes() const { return bytes_; }

 private:
  struct Stored {
    Lsn last_lsn;
    uint64_t bytes = 0;
  };
  LogPosition first_;
  std::deque<Stored> stored_;  // from first_ on, dense
  uint64_t bytes_ = 0;
};

}  // namespace sextant::storage
