// See page_cache.h: routes pages to shards.
#include "compute-node/cache/page_cache.h"

#include "absl/hash/hash.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "compute-node/cache/page_cache_shard.h"

namespace sextant::compute {
namespace {

void Raise(std::atomic<uint64_t>* mark, Lsn lsn) {
  uint64_t seen = mark->load(std::memory_order_relaxed);
  while (seen < lsn.value() && !mark->compare_exchange_weak(seen, lsn.value())) {
  }
}

}  // namespace

PageCache::PageCache(uint64_t max_bytes, int shards, size_t remembered_changes) {
  SEXTANT_CHECK(shards > 0);
  for (int i = 0; i < shards; ++i) {
    shards_.push_back(
        std::make_unique<PageCacheShard>(max_bytes / shards, remembered_changes / shards));
  }
}

PageCache::~PageCache() = default;

PageCacheShard& PageCache::ShardOf(PageNo page) const {
  return *shards_[absl::Hash<PageNo>()(page) % shards_.size()];
}

PageRef PageCache::Get(PageNo page, Lsn at) { return ShardOf(page).Get(page, at); }

void PageCache::Begin(Lsn vdl) {
  for (const auto& shard : shards_) shard->Begin(vdl);
}

PageRef PageCache::Head(PageNo page) const { return ShardOf(page).Head(page); }

void PageCache::Publish(PageNo page, PageRef image) {
  ShardOf(page).Publish(page, std::move(image), Lsn(vdl_), Lsn(horizon_));
}

absl::StatusOr<PageCache::Applied> PageCache::Apply(const page::PageChange& change, Lsn lsn,
                                                    bool is_notice) {
  PageCacheShard& shard = ShardOf(change.page);
  const PageRef head = shard.NoteChange(change.page, lsn);
  if (head == nullptr) return Applied::kNotCached;
  if (is_notice) {
    shard.EndHead(change.page, lsn);
    return Applied::kInvalidated;
  }
  auto image = std::make_shared<page::PageImage>();
  image->lsn = lsn;
  absl::Status fits = absl::OkStatus();
  if (head->lsn != change.base_lsn) {
    fits = absl::DataLossError(Text("page ", change.page, " is cached at lsn ", head->lsn,
                                    ", but lsn ", lsn, " was made on lsn ", change.base_lsn));
  } else {
    image->bytes = head->bytes;
    fits = page::ApplyPayload(change.payload, change.is_full_image, &image->bytes);
  }
  if (!fits.ok()) {
    shard.EndHead(change.page, lsn);
    return fits;
  }
  shard.Publish(change.page, std::move(image), Lsn(vdl_), Lsn(horizon_));
  return Applied::kApplied;
}

void PageCache::Missed(Lsn known_through, Lsn missed_through) {
  for (const auto& shard : shards_) shard->Missed(known_through, missed_through);
}

absl::StatusOr<PageRef> PageCache::InsertRead(PageNo page, PageRef image, Lsn read_point) {
  return ShardOf(page).InsertRead(page, std::move(image), read_point, Lsn(vdl_));
}

void PageCache::Advance(Lsn vdl, Lsn horizon) {
  Raise(&vdl_, vdl);
  Raise(&horizon_, horizon);
}

PageCacheCounters PageCache::counters() const {
  PageCacheCounters counters;
  for (const auto& shard : shards_) shard->AddTo(&counters);
  return counters;
}

}  // namespace sextant::compute
