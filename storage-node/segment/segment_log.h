// SegmentLog knows which records a segment holds, and its SCL. Core.
//
// SCL (segment complete LSN): the highest LSN such that the segment holds every record of its
// protection group up to it. The back link by protection group proves it: the record above SCL
// joins the chain when its link names SCL (SIGMOD'17, section 4.1). Records that arrive above a gap
// wait ahead of the chain.
//
// The log has a start: records of the chain at or below it are no longer kept (page versions hold
// their effect), and the chain goes on from it. It is an LSN of the group's chain, or 0.
//
// Only durable records are put in here, and no annulled one; that is the caller's promise. Payloads
// are not held, only where they lie: 32 bytes a record in the chain, appended in order.
//
// A record whose bytes turn out damaged keeps its place, links and all, but counts as missing until
// it is stored anew: the chain is not moved for it.
//
// Invariants: chain and records ahead ascend; every record ahead lies above the chain; each link of
// the chain names the record before it, the first one's the start; of an LSN at or below SCL
// nothing remains to be learned.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/volume/descriptor.h"
#include "storage-node/segment/record_location.h"

namespace sextant::storage {

class SegmentLog {
 public:
  explicit SegmentLog(Lsn start = {}) : start_(start) {}

  // Whether a record of this LSN would add anything. At or below SCL it is held already, or the
  // chain proves that the volume has no such record (a leftover of a fenced writer).
  bool Wants(Lsn lsn) const {
    return (lsn > end() && !ahead_.contains(lsn)) || damaged_.contains(lsn);
  }

  // Takes in one durable record that is wanted. A damaged one is sound again.
  void Insert(const RecordLocation& at, Lsn prev_pg_lsn, VolumeEpoch epoch);

  // Drops what `truncation` annuls, and returns those LSNs, ascending. SCL falls to the last record
  // kept below the first one dropped from the chain; what then links to it joins the chain.
  std::vector<Lsn> Truncate(const volume::Truncation& truncation);

  // Forgets the records at or below `lsn`: one of the chain, the start, or an LSN above SCL through
  // which pages were brought from elsewhere; SCL is then at least that.
  void MoveStart(Lsn lsn);
  Lsn start() const { return start_; }
  // The start, or a record that the chain has, damaged or not.
  bool IsOfChain(Lsn lsn) const;

  // The records that lie at `position` cannot be read: they keep their place in the chain, but
  // count as missing, and SCL falls below the first of them. Returns their LSNs, ascending.
  std::vector<Lsn> MarkDamaged(LogPosition position);
  bool IsDamaged(Lsn lsn) const { return damaged_.contains(lsn); }

  Lsn scl() const { return damaged_.empty() ? end() : SclBelowDamage(); }
  // What SCL would be if no record were damaged.
  Lsn end() const { return chain_.empty() ? start_ : chain_.back().at.lsn; }
  // The highest LSN of the chain at or below `lsn`, but not more than `max_records` beyond the
  // start; the start, if there is none above it.
  Lsn LastAtOrBelow(Lsn lsn, uint64_t max_records = UINT64_MAX) const;
  // Sound ones above SCL.
  uint64_t records_ahead() const;
  uint64_t size() const { return chain_.size() + ahead_.size(); }

  // Where a record lies that is held, in the chain or ahead of it.
  std::optional<RecordLocation> Find(Lsn lsn) const;

  // The chain's records in (after, through], ascending: all, or if they are larger than max_bytes
  // as many as fit, but at least one. `*is_last`: no more lie in the range.
  std::vector<RecordLocation> Range(Lsn after, Lsn through, uint64_t max_bytes,
                                    bool* is_last) const;
  // All sound records above `after`, ahead of the chain or not; likewise.
  std::vector<RecordLocation> Held(Lsn after, uint64_t max_bytes, bool* is_last) const;

 private:
  struct Chained {
    RecordLocation at;
    VolumeEpoch epoch;
  };
  struct Ahead {
    RecordLocation at;
    Lsn prev_pg_lsn;
    VolumeEpoch epoch;
  };
  using Chain = std::deque<Chained>;

  // First of the chain above `lsn`.
  Chain::const_iterator FirstAbove(Lsn lsn) const;
  // Moves into the chain what links to it.
  void Extend();
  void CutChain(const volume::Truncation& truncation, std::vector<Lsn>* dropped);
  Lsn SclBelowDamage() const;

  Lsn start_;
  Chain chain_;
  absl::btree_map<Lsn, Ahead> ahead_;
  absl::btree_set<Lsn> damaged_;  // in the chain or ahead of it
};

}  // namespace sextant::storage
