// See page_cache_shard.h.
#include "compute-node/cache/page_cache_shard.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::compute {
namespace {

constexpr Lsn kForEver{UINT64_MAX};

// What one version costs beside its bytes: list node, image object, its share of the hash table.
constexpr uint64_t kOverheadBytes = 192;

// Longest search for victims in one call.
constexpr int kMaxClockSteps = 256;

uint64_t CostOf(const page::PageImage& image) { return image.bytes.size() + kOverheadBytes; }

}  // namespace

PageCacheShard::Versions::const_iterator PageCacheShard::AtOrBelow(const Versions& versions,
                                                                   Lsn at) {
  for (auto it = versions.end(); it != versions.begin();) {
    --it;
    if ((*it)->image->lsn <= at) return it;
  }
  return versions.end();
}

PageRef PageCacheShard::Get(PageNo page, Lsn at) {
  std::lock_guard lock(mutex_);
  if (auto entry = pages_.find(page); entry != pages_.end()) {
    const auto found = AtOrBelow(entry->second, at);
    if (found != entry->second.end() && at <= (*found)->known_through) {
      ++hits_;
      (*found)->was_used = true;
      return (*found)->image;
    }
  }
  ++misses_;
  return nullptr;
}

PageRef PageCacheShard::Head(PageNo page) const {
  std::lock_guard lock(mutex_);
  const auto entry = pages_.find(page);
  if (entry == pages_.end() || !entry->second.back()->is_head) return nullptr;
  return entry->second.back()->image;
}

void PageCacheShard::Publish(PageNo page, PageRef image, Lsn vdl, Lsn horizon) {
  std::lock_guard lock(mutex_);
  if (auto entry = pages_.find(page); entry != pages_.end()) {
    const auto newest = entry->second.back();
    SEXTANT_CHECK(newest->image->lsn < image->lsn)
        << "page " << page << " published at lsn " << image->lsn << " after " << newest->image->lsn;
    if (newest->is_head) newest->known_through = Lsn(image->lsn.value() - 1);
    newest->is_head = false;
    Supersede(newest);
  }
  pages_[page].push_back(Add(page, std::move(image), kForEver, /*is_head=*/true));
  DropUnreachable(page, vdl, horizon);
  Evict(vdl);
}

void PageCacheShard::Begin(Lsn vdl) {
  std::lock_guard lock(mutex_);
  heads_read_from_ = std::max(heads_read_from_, vdl);
}

bool PageCacheShard::IsNewest(PageNo page, Lsn read_point) const {
  if (changes_) return changes_->IsUnchangedSince(page, read_point);
  return read_point >= heads_read_from_;
}

PageRef PageCacheShard::NoteChange(PageNo page, Lsn lsn) {
  std::lock_guard lock(mutex_);
  changes_->Note(page, lsn);
  const auto entry = pages_.find(page);
  if (entry == pages_.end() || !entry->second.back()->is_head) return nullptr;
  return entry->second.back()->image;
}

void PageCacheShard::EndHead(PageNo page, Lsn lsn) {
  std::lock_guard lock(mutex_);
  const auto entry = pages_.find(page);
  if (entry == pages_.end() || !entry->second.back()->is_head) return;
  entry->second.back()->is_head = false;
  entry->second.back()->known_through = Lsn(lsn.value() - 1);
}

void PageCacheShard::Missed(Lsn known_through, Lsn missed_through) {
  std::lock_guard lock(mutex_);
  changes_->Reset(missed_through);
  for (auto& [page, versions] : pages_) {
    Version& newest = *versions.back();
    if (!newest.is_head) continue;
    newest.is_head = false;
    newest.known_through = known_through;
  }
}

absl::StatusOr<PageRef> PageCacheShard::InsertRead(PageNo page, PageRef image, Lsn read_point,
                                                   Lsn vdl) {
  SEXTANT_CHECK(image->lsn <= read_point);
  std::lock_guard lock(mutex_);
  Versions& versions = pages_[page];
  const auto known = AtOrBelow(versions, read_point);
  if (known != versions.end() && (*known)->image->lsn != image->lsn) {
    // The newest version at or below the read point is another one. Below it: the segment answered
    // with an old version. Above it: the cached one cannot have been valid through the read point.
    if ((*known)->image->lsn > image->lsn || (*known)->known_through >= image->lsn) {
      return absl::DataLossError(Text("a segment answered page ", page, " at read point ",
                                      read_point, " with lsn ", image->lsn, ", but lsn ",
                                      (*known)->image->lsn, " is known"));
    }
  }
  const bool is_newest = versions.empty() || versions.back()->image->lsn <= image->lsn;
  const bool is_head = is_newest && IsNewest(page, read_point);
  if (known != versions.end() && (*known)->image->lsn == image->lsn) {
    const auto version = *known;
    version->known_through = std::max(version->known_through, is_head ? kForEver : read_point);
    version->is_head = version->is_head || is_head;
    version->was_used = true;
    return version->image;
  }
  const auto place = known == versions.end() ? versions.begin() : std::next(known);
  if (is_newest && !versions.empty()) Supersede(versions.back());
  const auto added = Add(page, image, is_head ? kForEver : read_point, is_head);
  versions.insert(place, added);
  if (!is_newest) Supersede(added);
  Evict(vdl);
  return image;
}

PageCacheShard::List::iterator PageCacheShard::Add(PageNo page, PageRef image, Lsn known_through,
                                                   bool is_head) {
  bytes_ += CostOf(*image);
  clock_.push_back(Version{page, std::move(image), known_through, is_head});
  return std::prev(clock_.end());
}

void PageCacheShard::Supersede(List::iterator version) {
  version->is_superseded = true;
  superseded_.splice(superseded_.end(), clock_, version);
}

void PageCacheShard::Erase(List::iterator version) {
  const auto entry = pages_.find(version->page);
  SEXTANT_CHECK(entry != pages_.end());
  Versions& versions = entry->second;
  if (version->is_head) heads_read_from_ = std::max(heads_read_from_, version->image->lsn);
  versions.erase(std::find(versions.begin(), versions.end(), version));
  // The next older one is the newest again as far as the cache knows; its known_through still
  // bounds it.
  if (versions.empty()) {
    pages_.erase(entry);
  } else if (versions.back()->is_superseded) {
    versions.back()->is_superseded = false;
    clock_.splice(clock_.end(), superseded_, versions.back());
  }
  bytes_ -= CostOf(*version->image);
  (version->is_superseded ? superseded_ : clock_).erase(version);
}

void PageCacheShard::DropUnreachable(PageNo page, Lsn vdl, Lsn horizon) {
  const Versions& versions = pages_.find(page)->second;
  while (versions.size() > 1) {
    const auto oldest = versions.front();
    if (oldest->image->lsn > vdl || oldest->known_through >= horizon) return;
    Erase(oldest);
  }
}

void PageCacheShard::Evict(Lsn vdl) {
  // About in LSN order: behind one that is not durable there is little to find.
  while (bytes_ > max_bytes_ && !superseded_.empty() && superseded_.front().image->lsn <= vdl) {
    Erase(superseded_.begin());
    ++evictions_;
  }
  // Bounded, so that a commit does not pay for a cache full of versions that are not durable yet:
  // what is missed now is found by the next one.
  for (int steps = kMaxClockSteps; bytes_ > max_bytes_ && steps > 0 && !clock_.empty(); --steps) {
    const auto version = clock_.begin();
    if (version->was_used || version->image->lsn > vdl) {
      version->was_used = false;
      clock_.splice(clock_.end(), clock_, version);
      continue;
    }
    Erase(version);
    ++evictions_;
  }
}

void PageCacheShard::AddTo(PageCacheCounters* counters) const {
  std::lock_guard lock(mutex_);
  counters->hits += hits_;
  counters->misses += misses_;
  counters->evictions += evictions_;
  counters->bytes += bytes_;
  counters->versions += superseded_.size() + clock_.size();
}

}  // namespace sextant::compute
