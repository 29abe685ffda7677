// See page_index.h.
#include "storage-node/segment/page_index.h"

#include <algorithm>

#include "common/base/check.h"

namespace sextant::storage {

void PageIndex::Add(PageNo page, Lsn lsn, bool is_full_image) {
  SEXTANT_CHECK(lsn > Lsn() && lsn <= kMaxLsn) << lsn;
  const Entry entry = lsn.value() << 1 | (is_full_image ? 1 : 0);
  Entries& entries = pages_[page];
  if (entries.empty() || entries.back() < entry) {
    if (entries.empty()) by_oldest_.emplace(lsn, page);
    entries.push_back(entry);
    return;
  }
  auto place = std::upper_bound(entries.begin(), entries.end(), EndOf(lsn));
  SEXTANT_CHECK(place == entries.begin() || LsnOf(*(place - 1)) != lsn)
      << "lsn " << lsn << " of page " << page << " is indexed already";
  if (place == entries.begin()) {
    by_oldest_.erase({OldestOf(entries), page});
    by_oldest_.emplace(lsn, page);
  }
  entries.insert(place, entry);
}

void PageIndex::Remove(const std::vector<Lsn>& lsns) {
  if (lsns.empty()) return;
  auto is_removed = [&lsns](Entry entry) {
    return std::binary_search(lsns.begin(), lsns.end(), LsnOf(entry));
  };
  for (auto it = pages_.begin(); it != pages_.end();) {
    Entries& entries = it->second;
    const Lsn oldest = OldestOf(entries);
    auto first =
        std::upper_bound(entries.begin(), entries.end(), EndOf(Lsn(lsns.front() - Lsn(1))));
    entries.erase(std::remove_if(first, entries.end(), is_removed), entries.end());
    if (entries.empty() || OldestOf(entries) != oldest) {
      by_oldest_.erase({oldest, it->first});
      if (!entries.empty()) by_oldest_.emplace(OldestOf(entries), it->first);
    }
    it = entries.empty() ? pages_.erase(it) : std::next(it);
  }
}

void PageIndex::DropThrough(Lsn lsn) {
  while (!by_oldest_.empty() && by_oldest_.begin()->first <= lsn) {
    const PageNo page = by_oldest_.begin()->second;
    by_oldest_.erase(by_oldest_.begin());
    const auto found = pages_.find(page);
    Entries& entries = found->second;
    entries.erase(entries.begin(), std::upper_bound(entries.begin(), entries.end(), EndOf(lsn)));
    if (entries.empty()) {
      pages_.erase(found);
    } else {
      by_oldest_.emplace(OldestOf(entries), page);
    }
  }
}

std::vector<PageNo> PageIndex::PagesThrough(Lsn lsn) const {
  std::vector<PageNo> pages;
  for (const auto& [oldest, page] : by_oldest_) {
    if (oldest > lsn) break;
    pages.push_back(page);
  }
  std::sort(pages.begin(), pages.end());
  return pages;
}

Lsn PageIndex::NewestThrough(PageNo page, Lsn lsn) const {
  const auto found = pages_.find(page);
  if (found == pages_.end()) return Lsn();
  const Entries& entries = found->second;
  const auto above = std::upper_bound(entries.begin(), entries.end(), EndOf(lsn));
  return above == entries.begin() ? Lsn() : LsnOf(*(above - 1));
}

std::vector<PageNo> PageIndex::PagesFrom(PageNo from, Lsn above, Lsn through, size_t limit) const {
  std::vector<PageNo> pages;
  for (auto it = pages_.lower_bound(from); it != pages_.end() && pages.size() < limit; ++it) {
    const std::vector<Entry>& entries = it->second;
    const auto last = std::upper_bound(entries.begin(), entries.end(), EndOf(through));
    if (last != entries.begin() && LsnOf(*(last - 1)) > above) pages.push_back(it->first);
  }
  return pages;
}

std::vector<Lsn> PageIndex::Plan(PageNo page, Lsn base, Lsn through) const {
  std::vector<Lsn> records;
  auto found = pages_.find(page);
  if (found == pages_.end()) return records;
  const Entries& entries = found->second;
  const auto end = std::upper_bound(entries.begin(), entries.end(), EndOf(through));
  auto first = end;
  while (first != entries.begin() && LsnOf(*(first - 1)) > base) {
    --first;
    if (IsFullImage(*first)) break;
  }
  records.reserve(static_cast<size_t>(end - first));
  for (; first != end; ++first) records.push_back(LsnOf(*first));
  return records;
}

}  // namespace sextant::storage
