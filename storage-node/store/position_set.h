// PositionSet: positions of a segment's log, as ranges. Core.
//
// Few ranges, however many positions: what damage takes are single batches, or an end of the log.
// Ranges ascend and neither meet nor touch, so equal sets are equal.
#pragma once

#include <cstddef>
#include <vector>

#include "common/base/strong_int.h"

namespace sextant::storage {

using LogPosition = StrongInt<struct LogPositionTag>;

class PositionSet {
 public:
  struct Range {
    LogPosition first, last;  // both included
    bool operator==(const Range&) const = default;
  };

  static PositionSet Of(LogPosition position) {
    PositionSet one;
    one.Add(position, position);
    return one;
  }

  // Nothing is added where `last` lies below `first`.
  void Add(LogPosition first, LogPosition last);
  void Add(const PositionSet& other);
  // Takes out what lies below `first`.
  void DropBefore(LogPosition first);

  bool empty() const { return ranges_.empty(); }
  bool Contains(LogPosition position) const { return Missing(position, position).empty(); }
  // Those of [first, last] that are not in here.
  PositionSet Missing(LogPosition first, LogPosition last) const;
  // Those in here that are not in `other`.
  PositionSet Without(const PositionSet& other) const;
  // The highest; 0 if there is none.
  LogPosition last() const { return empty() ? LogPosition() : ranges_.back().last; }
  const std::vector<Range>& ranges() const { return ranges_; }

  bool operator==(const PositionSet&) const = default;

 private:
  std::vector<Range> ranges_;
};

}  // namespace sextant::storage
