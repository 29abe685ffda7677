// PageCache: page versions shared by all connections of a compute node, each with the LSNs it holds
// for.
//
// A version is valid in [its LSN, known_through]. The newest may be the *head*: known to be the
// page's current version, so valid for every read point, because every change comes by here: the
// writer's own (Publish), or at a reader the redo that it follows (Apply). A read from a segment at
// read point R gives a version valid in [its LSN, R].
//
// At a reader, redo of a page whose head is not cached is dropped, but not forgotten: a page that
// is fetched at R becomes the head only if it is known not to have changed since R
// (replica/change_index.h). Views open only at what was applied whole.
//
// Invariant, at a writer: a version with LSN > VDL is in the cache (docs/PROTOCOL.md, "Reads": a
// dirty page is evicted only when LSN <= VDL). So a miss at read point S proves that the page did
// not change in (VDL, S], and a segment may be asked at min(S, VDL), VDL taken after the miss.
//
// Does not fetch anything (net/page_fetcher.h) and knows nothing of commits
// (writer/writer_volume.h). Thread-safety: all methods from any thread; locks are per shard of
// pages and never held over I/O.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::compute {

class PageCacheShard;

struct PageCacheCounters {  // since start, but for the last two
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t evictions = 0;
  uint64_t bytes = 0;
  uint64_t versions = 0;
};

class PageCache {
 public:
  // `max_bytes`: what versions may take, bookkeeping included. Exceeded only by versions above VDL.
  // `remembered_changes`: 0 at a writer; at a reader how many changes of pages are remembered.
  PageCache(uint64_t max_bytes, int shards = 16, size_t remembered_changes = 0);
  ~PageCache();
  PageCache(const PageCache&) = delete;
  PageCache& operator=(const PageCache&) = delete;

  // The version of `page` as of `at`; null where the cache does not know it. Counts a hit or a
  // miss.
  PageRef Get(PageNo page, Lsn at);
  // The head, or null where the cache does not know it. Not counted.
  PageRef Head(PageNo page) const;

  // A commit made `image` (its LSN is the record's): the new head. The old one stays for read
  // points below.
  void Publish(PageNo page, PageRef image);

  // At a reader: `change` made the version `lsn` of its page; in LSN order, one thread at a time.
  // The head that it was made on, if it is cached, becomes the new head; with `is_notice` (the
  // payload is not known) it is one no more. DATA_LOSS: the change does not fit the head, which is
  // dropped.
  enum class Applied { kApplied, kInvalidated, kNotCached };
  absl::StatusOr<Applied> Apply(const page::PageChange& change, Lsn lsn, bool is_notice);
  // At a reader: redo in (known_through, missed_through] did not come by. No head stays one.
  void Missed(Lsn known_through, Lsn missed_through);

  // Keeps what a segment answered for `read_point`, and returns the version to use (an equal one
  // that was there before, if any). DATA_LOSS: the answer contradicts what the cache knows, so the
  // segment is wrong.
  absl::StatusOr<PageRef> InsertRead(PageNo page, PageRef image, Lsn read_point);

  // At a writer, before anything else: changes through `vdl` were made by others, and did not come
  // by here. What is read below it is not known to be the head.
  void Begin(Lsn vdl);

  // VDL and the lowest read point that is open or may yet be opened; both only rise. Versions at or
  // below `vdl` may be evicted; superseded ones that no reader at or above `horizon` sees are
  // dropped.
  void Advance(Lsn vdl, Lsn horizon);

  PageCacheCounters counters() const;

 private:
  PageCacheShard& ShardOf(PageNo page) const;

  std::vector<std::unique_ptr<PageCacheShard>> shards_;
  std::atomic<uint64_t> vdl_{0};
  std::atomic<uint64_t> horizon_{0};
};

}  // namespace sextant::compute
