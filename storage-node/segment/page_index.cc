// See page_index.h.
#include "storage-node/segment/page_index.h"

#include <algorithm>

#include "common/base/check.h"

namespace sextant::storage {

void PageIndex::Add(PageNo page, Lsn lsn, bool is_full_image) {
  SEXTANT_CHECK(lsn > Lsn() && lsn <= kMaxLsn) << lsn;
  const Entry entry = lsn.value() << 1 | (is_full_image ? 1 : 0);
  std::vector<Entry>& entries = pages_[page];
  if (entries.empty() || entries.back() < entry) {
    entries.push_back(entry);
    return;
  }
  auto place = std::upper_bound(entries.begin(), entries.end(), EndOf(lsn));
  SEXTANT_CHECK(place == entries.begin() || LsnOf(*(place - 1)) != lsn)
      << "lsn " << lsn << " of page " << page << " is indexed already";
  entries.insert(place, entry);
}

void PageIndex::Remove(const std::vector<Lsn>& lsns) {
  if (lsns.empty()) return;
  auto is_removed = [&lsns](Entry entry) {
    return std::binary_search(lsns.begin(), lsns.end(), LsnOf(entry));
  };
  for (auto it = pages_.begin(); it != pages_.end();) {
    std::vector<Entry>& entries = it->second;
    auto first =
        std::upper_bound(entries.begin(), entries.end(), EndOf(Lsn(lsns.front() - Lsn(1))));
    entries.erase(std::remove_if(first, entries.end(), is_removed), entries.end());
    it = entries.empty() ? pages_.erase(it) : std::next(it);
  }
}

std::vector<Lsn> PageIndex::Plan(PageNo page, Lsn base, Lsn through) const {
  std::vector<Lsn> records;
  auto found = pages_.find(page);
  if (found == pages_.end()) return records;
  const std::vector<Entry>& entries = found->second;
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
