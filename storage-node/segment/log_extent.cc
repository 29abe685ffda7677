// See log_extent.h.
#include "storage-node/segment/log_extent.h"

#include "common/base/check.h"

namespace sextant::storage {

void LogExtent::Store(LogPosition position, Lsn last_lsn, uint64_t bytes) {
  const LogPosition next = first_ + stored_.size();
  SEXTANT_CHECK(position >= next) << "position " << position << " is stored already";
  stored_.resize(stored_.size() + (position - next));
  stored_.push_back({last_lsn, bytes});
  bytes_ += bytes;
}

LogPosition LogExtent::FirstNeeded(Lsn lsn) const {
  size_t count = 0;
  while (count < stored_.size() && stored_[count].last_lsn <= lsn) ++count;
  return first_ + count;
}

bool LogExtent::HoldsBelow(Lsn lsn, uint64_t bytes) const {
  uint64_t sum = 0;
  for (const Stored& batch : stored_) {
    if (sum >= bytes || batch.last_lsn > lsn) break;
    sum += batch.bytes;
  }
  return sum >= bytes;
}

void LogExtent::DropBefore(LogPosition first) {
  SEXTANT_CHECK(first >= first_ && first <= first_ + stored_.size())
      << first << " outside [" << first_ << ", " << first_ + stored_.size() << "]";
  for (; first_ < first; first_ = first_.Next()) {
    bytes_ -= stored_.front().bytes;
    stored_.pop_front();
  }
}

}  // namespace sextant::storage
