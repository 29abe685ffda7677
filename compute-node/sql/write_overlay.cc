// See write_overlay.h.
#include "compute-node/sql/write_overlay.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/page/delta.h"
#include "compute-node/sql/page_one.h"

namespace sextant::sql {
namespace {

// Header, links and checksum of one redo record, about.
constexpr uint64_t kRecordOverheadBytes = 24;

}  // namespace

void WriteOverlay::Open(uint64_t size_pages) {
  SEXTANT_CHECK(!is_open_ && pages_.empty());
  is_open_ = true;
  size_pages_ = size_pages;
}

void WriteOverlay::Put(PageNo page, std::string_view bytes) {
  SEXTANT_CHECK(is_open_) << "page " << page << " written outside a write transaction";
  pages_[page].after.assign(bytes);
  size_pages_ = std::max(size_pages_, page.value() + 1);
}

void WriteOverlay::Truncate(uint64_t size_pages) {
  SEXTANT_CHECK(is_open_);
  size_pages_ = size_pages;
  pages_.erase(pages_.lower_bound(PageNo(size_pages)), pages_.end());
}

void WriteOverlay::Drop() {
  is_open_ = false;
  size_pages_ = 0;
  pages_.clear();
}

const std::string* WriteOverlay::Find(PageNo page) const {
  if (pages_.empty()) return nullptr;
  const auto it = pages_.find(page);
  return it == pages_.end() ? nullptr : &it->second.after;
}

absl::Status WriteOverlay::ResolveBases(compute::PageVolume& volume,
                                        const compute::ReadView& head) {
  std::vector<PageNo> missing;
  for (const auto& [page, entry] : pages_) {
    if (entry.base == nullptr) missing.push_back(page);
  }
  if (missing.size() > 1) volume.Prefetch(head, missing);
  for (const PageNo page : missing) {
    ASSIGN_OR_RETURN(pages_[page].base, volume.ReadPage(head, page));
  }
  return absl::OkStatus();
}

WriteOverlay::Redo WriteOverlay::Estimate() const {
  Redo redo;
  for (const auto& [page, entry] : pages_) {
    SEXTANT_CHECK(entry.base != nullptr) << "page " << page << " has no base";
    redo.bytes += page::DiffPages(entry.base->bytes, entry.after).payload.size();
    redo.bytes += kRecordOverheadBytes;
    redo.pages.push_back(page);
  }
  return redo;
}

std::vector<compute::PageWrite> WriteOverlay::Take() {
  std::vector<compute::PageWrite> writes;
  writes.reserve(pages_.size());
  for (auto& [page, entry] : pages_) {
    SEXTANT_CHECK(entry.base != nullptr) << "page " << page << " has no base";
    if (page == kPageOne) ZeroChangeCounter(entry.after.data());
    if (entry.after == entry.base->bytes) continue;
    writes.push_back({page, std::move(entry.base), std::move(entry.after)});
  }
  Drop();
  return writes;
}

}  // namespace sextant::sql
