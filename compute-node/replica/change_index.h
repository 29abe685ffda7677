// ChangeIndex: which pages changed lately, and at which LSN last. Core.
//
// A reader drops the redo of pages that it has not cached. When it then fetches such a page as of
// an older read point, it must know whether what it got is still the page's newest version: this is
// what it asks. Bounded: of pages that are not in it all that is known is that they have not
// changed above the floor.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/base/check.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"

namespace sextant::compute {

class ChangeIndex {
 public:
  explicit ChangeIndex(size_t max_changes) : max_changes_(max_changes) {}

  // In LSN order.
  void Note(PageNo page, Lsn lsn) {
    SEXTANT_CHECK(lsn > last_) << "change " << lsn << " noted after " << last_;
    last_ = lsn;
    newest_[page] = lsn;
    changes_.push_back({lsn, page});
    while (changes_.size() > max_changes_) {
      const auto [oldest, changed] = changes_.front();
      changes_.pop_front();
      floor_ = oldest;
      const auto newest = newest_.find(changed);
      if (newest->second == oldest) newest_.erase(newest);
    }
  }

  // Nothing is known of changes at or below `lsn`.
  void Reset(Lsn lsn) {
    changes_.clear();
    newest_.clear();
    floor_ = lsn;
    last_ = std::max(last_, lsn);
  }

  // True: no change above `lsn` was noted, and none was missed.
  bool IsUnchangedSince(PageNo page, Lsn lsn) const {
    if (lsn < floor_) return false;
    const auto newest = newest_.find(page);
    return newest == newest_.end() || newest->second <= lsn;
  }

 private:
  const size_t max_changes_;
  std::deque<std::pair<Lsn, PageNo>> changes_;
  absl::flat_hash_map<PageNo, Lsn> newest_;
  Lsn floor_;  // every change above it is in changes_
  Lsn last_;
};

}  // namespace sextant::compute
