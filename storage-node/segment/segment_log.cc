// See segment_log.h.
#include "storage-node/segment/segment_log.h"

#include <algorithm>

#include "common/base/check.h"

namespace sextant::storage {

void SegmentLog::Insert(const RecordLocation& at, Lsn prev_pg_lsn, VolumeEpoch epoch) {
  SEXTANT_CHECK(Wants(at.lsn)) << "lsn " << at.lsn << " is held, scl " << scl();
  SEXTANT_CHECK(prev_pg_lsn < at.lsn) << prev_pg_lsn << " before " << at.lsn;
  if (ahead_.empty() && prev_pg_lsn == scl()) {
    chain_.push_back({at, epoch});
    return;
  }
  ahead_.emplace(at.lsn, Ahead{at, prev_pg_lsn, epoch});
  Extend();
}

void SegmentLog::Extend() {
  // Only the lowest may join: were a higher one to pass it, SCL would claim that a record which is
  // held and not annulled does not exist.
  for (auto next = ahead_.begin(); next != ahead_.end() && next->second.prev_pg_lsn == scl();) {
    chain_.push_back({next->second.at, next->second.epoch});
    next = ahead_.erase(next);
  }
}

std::vector<Lsn> SegmentLog::Truncate(const volume::Truncation& truncation) {
  std::vector<Lsn> dropped;
  CutChain(truncation, &dropped);
  for (auto it = ahead_.upper_bound(truncation.vdl);
       it != ahead_.end() && it->first <= truncation.upper;) {
    if (truncation.Annuls(it->first, it->second.epoch)) {
      dropped.push_back(it->first);
      it = ahead_.erase(it);
    } else {
      ++it;
    }
  }
  Extend();
  std::sort(dropped.begin(), dropped.end());
  return dropped;
}

void SegmentLog::CutChain(const volume::Truncation& truncation, std::vector<Lsn>* dropped) {
  auto first = FirstAbove(truncation.vdl);
  while (first != chain_.end() && !truncation.Annuls(first->at.lsn, first->epoch)) {
    if (first->at.lsn > truncation.upper) return;
    ++first;
  }
  // Everything from the first annulled record on leaves the chain. A survivor's link leads through
  // an annulled record, so it can only wait ahead.
  const auto keep = static_cast<size_t>(first - chain_.begin());
  while (chain_.size() > keep) {
    const Chained last = chain_.back();
    chain_.pop_back();
    if (truncation.Annuls(last.at.lsn, last.epoch)) {
      dropped->push_back(last.at.lsn);
    } else {
      ahead_.emplace(last.at.lsn, Ahead{last.at, scl(), last.epoch});
    }
  }
}

void SegmentLog::MoveStart(Lsn lsn) {
  SEXTANT_CHECK(lsn >= start_) << "log start would fall from " << start_ << " to " << lsn;
  SEXTANT_CHECK(lsn > scl() || LastAtOrBelow(lsn) == lsn)
      << "lsn " << lsn << " is not of the chain";
  chain_.erase(chain_.begin(), FirstAbove(lsn));
  ahead_.erase(ahead_.begin(), ahead_.upper_bound(lsn));
  start_ = lsn;
  Extend();
}

Lsn SegmentLog::LastAtOrBelow(Lsn lsn, uint64_t max_records) const {
  const auto count = std::min(static_cast<uint64_t>(FirstAbove(lsn) - chain_.begin()), max_records);
  return count == 0 ? start_ : chain_[count - 1].at.lsn;
}

std::optional<RecordLocation> SegmentLog::Find(Lsn lsn) const {
  if (auto it = ahead_.find(lsn); it != ahead_.end()) return it->second.at;
  auto above = FirstAbove(lsn);
  if (above == chain_.begin() || (above - 1)->at.lsn != lsn) return std::nullopt;
  return (above - 1)->at;
}

std::vector<RecordLocation> SegmentLog::Range(Lsn after, Lsn through, uint64_t max_bytes,
                                              bool* is_last) const {
  std::vector<RecordLocation> records;
  uint64_t bytes = 0;
  *is_last = true;
  for (auto it = FirstAbove(after); it != chain_.end() && it->at.lsn <= through; ++it) {
    bytes += it->at.size;
    if (bytes > max_bytes && !records.empty()) {
      *is_last = false;
      break;
    }
    records.push_back(it->at);
  }
  return records;
}

SegmentLog::Chain::const_iterator SegmentLog::FirstAbove(Lsn lsn) const {
  return std::upper_bound(chain_.begin(), chain_.end(), lsn,
                          [](Lsn wanted, const Chained& record) { return wanted < record.at.lsn; });
}

}  // namespace sextant::storage
