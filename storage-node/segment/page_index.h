// PageIndex knows which records make a page, for all pages of one segment. Core.
//
// LSNs only, eight bytes a record: SegmentLog knows where they lie. Holds every durable record
// above the log start that is not annulled, also those ahead of a gap: whether a page may be read
// at all is decided by the SCL.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"

namespace sextant::storage {

class PageIndex {
 public:
  // LSNs above this do not fit: one bit of an entry tells a full image.
  static constexpr Lsn kMaxLsn{UINT64_MAX >> 1};

  // Each (page, lsn) is added once, in any order.
  void Add(PageNo page, Lsn lsn, bool is_full_image);
  // Forgets the records of these LSNs, given ascending.
  void Remove(const std::vector<Lsn>& lsns);
  // Forgets the records at or below `lsn`. Costs no more than the pages that have one.
  void DropThrough(Lsn lsn);
  // The pages that have a record at or below `lsn`, ascending.
  std::vector<PageNo> PagesThrough(Lsn lsn) const;
  // The LSN of the page's newest record at or below `lsn`; Lsn{0} if there is none.
  Lsn NewestThrough(PageNo page, Lsn lsn) const;

  // The records that make `page` as of `through`, oldest first, for somebody who holds the page as
  // of `base` (Lsn{0}: holds nothing): those in (base, through], from the last full image among
  // them on.
  std::vector<Lsn> Plan(PageNo page, Lsn base, Lsn through) const;

  // The pages >= `from` that have a record in (above, through], ascending, at most `limit`.
  std::vector<PageNo> PagesFrom(PageNo from, Lsn above, Lsn through, size_t limit) const;

  size_t page_count() const { return pages_.size(); }

 private:
  // LSN times two, plus one for a full image: sorts by LSN.
  using Entry = uint64_t;
  static Lsn LsnOf(Entry entry) { return Lsn(entry >> 1); }
  static bool IsFullImage(Entry entry) { return (entry & 1) != 0; }
  // Sorts behind every entry at or below `lsn` and before every other.
  static Entry EndOf(Lsn lsn) { return lsn >= kMaxLsn ? UINT64_MAX : (lsn.value() << 1 | 1); }

  using Entries = std::vector<Entry>;
  Lsn OldestOf(const Entries& entries) const { return LsnOf(entries.front()); }

  absl::btree_map<PageNo, Entries> pages_;             // entries ascend, none empty
  absl::btree_set<std::pair<Lsn, PageNo>> by_oldest_;  // every page, by its oldest record
};

}  // namespace sextant::storage
