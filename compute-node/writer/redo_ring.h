// RedoRing: the newest mini-transactions of this writer, in memory, for readers and for those who
// tail the log.
//
// Bounded by bytes, but what is above VDL stays: a reader that jumps to VDL finds what follows.
// What fell out is read back from segments (log_tail.h) or jumped over (replica/followers.h). Not
// thread-safe.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "common/log/lsn.h"
#include "common/protocol/redo_messages.h"

namespace sextant::compute {

using AppendedMtr = protocol::RedoMtr;

class RedoRing {
 public:
  explicit RedoRing(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  // Nothing is held, and what follows lies above `begin`.
  void Reset(Lsn begin) {
    mtrs_.clear();
    bytes_ = 0;
    begin_ = begin;
  }

  void Push(AppendedMtr mtr, Lsn vdl) {
    bytes_ += CostOf(mtr);
    mtrs_.push_back(std::make_shared<const AppendedMtr>(std::move(mtr)));
    while (bytes_ > max_bytes_ && mtrs_.front()->commit_lsn <= vdl) {
      begin_ = mtrs_.front()->commit_lsn;
      bytes_ -= CostOf(*mtrs_.front());
      mtrs_.pop_front();
    }
  }

  // Everything above it is held.
  Lsn begin() const { return begin_; }

  // Mini-transactions above `after` with commit LSN at or below `through`, at least one if there is
  // one, then up to about `max_bytes`. False: the one that follows `after` is not held any more.
  bool Read(Lsn after, Lsn through, uint64_t max_bytes,
            std::vector<std::shared_ptr<const AppendedMtr>>* out) const {
    if (after < begin_) return false;
    auto it = std::upper_bound(mtrs_.begin(), mtrs_.end(), after,
                               [](Lsn lsn, const auto& mtr) { return lsn < mtr->commit_lsn; });
    uint64_t bytes = 0;
    for (; it != mtrs_.end() && (*it)->commit_lsn <= through && bytes < max_bytes; ++it) {
      bytes += CostOf(**it);
      out->push_back(*it);
    }
    return true;
  }

 private:
  static uint64_t CostOf(const AppendedMtr& mtr) {
    uint64_t bytes = 64;
    for (const page::PageChange& change : mtr.changes) bytes += 64 + change.payload.size();
    return bytes;
  }

  const uint64_t max_bytes_;
  std::deque<std::shared_ptr<const AppendedMtr>> mtrs_;
  uint64_t bytes_ = 0;
  Lsn begin_;
};

}  // namespace sextant::compute
