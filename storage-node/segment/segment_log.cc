// See segment_log.h.
#include "storage-node/segment/segment_log.h"

#include <algorithm>

#include "common/base/check.h"

namespace sextant::storage {

void SegmentLog::Insert(const RecordLocation& at, Lsn prev_pg_lsn, VolumeEpoch epoch) {
  SEXTANT_CHECK(Wants(at.lsn)) << "lsn " << at.lsn << " is held, scl " << scl();
  SEXTANT_CHECK(prev_pg_lsn < at.lsn) << prev_pg_lsn << " before " << at.lsn;
  if (damaged_.erase(at.lsn) > 0) {
    if (auto it = ahead_.find(at.lsn); it != ahead_.end()) {
      it->second = {at, prev_pg_lsn, epoch};
    } else {
      *(chain_.begin() + (FirstAbove(at.lsn) - chain_.begin()) - 1) = {at, epoch};
    }
    return;
  }
  if (ahead_.empty() && prev_pg_lsn == end()) {
    chain_.push_back({at, epoch});
    return;
  }
  ahead_.emplace(at.lsn, Ahead{at, prev_pg_lsn, epoch});
  Extend();
}

void SegmentLog::Extend() {
  // Only the lowest may join: were a higher one to pass it, SCL would claim that a record which is
  // held and not annulled does not exist.
  for (auto next = ahead_.begin(); next != ahead_.end() && next->second.prev_pg_lsn == end();) {
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
  for (const Lsn lsn : dropped) damaged_.erase(lsn);
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
      ahead_.emplace(last.at.lsn, Ahead{last.at, end(), last.epoch});
    }
  }
}

void SegmentLog::MoveStart(Lsn lsn) {
  SEXTANT_CHECK(lsn >= start_) << "log start would fall from " << start_ << " to " << lsn;
  SEXTANT_CHECK(lsn > end() || IsOfChain(lsn)) << "lsn " << lsn << " is not of the chain";
  chain_.erase(chain_.begin(), FirstAbove(lsn));
  ahead_.erase(ahead_.begin(), ahead_.upper_bound(lsn));
  damaged_.erase(damaged_.begin(), damaged_.upper_bound(lsn));
  start_ = lsn;
  Extend();
}

bool SegmentLog::IsOfChain(Lsn lsn) const {
  const auto above = FirstAbove(lsn);
  return above == chain_.begin() ? lsn == start_ : (above - 1)->at.lsn == lsn;
}

std::vector<Lsn> SegmentLog::MarkDamaged(LogPosition position) {
  std::vector<Lsn> marked;
  const auto mark = [&](const RecordLocation& at) {
    if (at.position == position && damaged_.insert(at.lsn).second) marked.push_back(at.lsn);
  };
  for (const Chained& record : chain_) mark(record.at);
  for (const auto& [lsn, record] : ahead_) mark(record.at);
  return marked;
}

Lsn SegmentLog::SclBelowDamage() const {
  if (*damaged_.begin() > end()) return end();
  const auto first = FirstAbove(Lsn(damaged_.begin()->value() - 1));
  return first == chain_.begin() ? start_ : (first - 1)->at.lsn;
}

uint64_t SegmentLog::records_ahead() const {
  if (damaged_.empty()) return ahead_.size();
  return static_cast<uint64_t>(chain_.end() - FirstAbove(scl())) + ahead_.size() - damaged_.size();
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
  through = std::min(through, scl());
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

std::vector<RecordLocation> SegmentLog::Held(Lsn after, uint64_t max_bytes, bool* is_last) const {
  std::vector<RecordLocation> records;
  uint64_t bytes = 0;
  // False: it is full.
  const auto take = [&](const RecordLocation& at) {
    if (damaged_.contains(at.lsn)) return true;
    bytes += at.size;
    if (bytes > max_bytes && !records.empty()) return false;
    records.push_back(at);
    return true;
  };
  *is_last = false;
  for (auto it = FirstAbove(after); it != chain_.end(); ++it) {
    if (!take(it->at)) return records;
  }
  for (auto it = ahead_.upper_bound(after); it != ahead_.end(); ++it) {
    if (!take(it->second.at)) return records;
  }
  *is_last = true;
  return records;
}

SegmentLog::Chain::const_iterator SegmentLog::FirstAbove(Lsn lsn) const {
  return std::upper_bound(chain_.begin(), chain_.end(), lsn,
                          [](Lsn wanted, const Chained& record) { return wanted < record.at.lsn; });
}

}  // namespace sextant::storage
