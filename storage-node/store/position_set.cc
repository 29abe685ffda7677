// See position_set.h.
#include "storage-node/store/position_set.h"

#include <algorithm>

namespace sextant::storage {

void PositionSet::Add(LogPosition first, LogPosition last) {
  if (last < first) return;
  // Those that meet or touch [first, last] become one with it.
  const auto begin =
      std::ranges::find_if(ranges_, [&](const Range& range) { return range.last.Next() >= first; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= last.Next(); ++end) {
    first = std::min(first, end->first);
    last = std::max(last, end->last);
  }
  ranges_.insert(ranges_.erase(begin, end), {first, last});
}

void PositionSet::Add(const PositionSet& other) {
  for (const Range& range : other.ranges_) Add(range.first, range.last);
}

void PositionSet::DropBefore(LogPosition first) {
  std::erase_if(ranges_, [&](const Range& range) { return range.last < first; });
  if (!empty()) ranges_.front().first = std::max(ranges_.front().first, first);
}

PositionSet PositionSet::Missing(LogPosition first, LogPosition last) const {
  PositionSet missing;
  for (const Range& range : ranges_) {
    if (range.last < first) continue;
    if (range.first > last) break;
    if (range.first > first) missing.Add(first, LogPosition(range.first.value() - 1));
    first = range.last.Next();
  }
  missing.Add(first, last);
  return missing;
}

PositionSet PositionSet::Without(const PositionSet& other) const {
  PositionSet left;
  for (const Range& range : ranges_) left.Add(other.Missing(range.first, range.last));
  return left;
}

}  // namespace sextant::storage
