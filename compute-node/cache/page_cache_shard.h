// One lock's worth of the page cache: versions by page, and which to evict next. Used by PageCache
// alone.
//
// Two lists: superseded versions, evicted first and oldest first; and the newest versions of their
// pages, evicted by CLOCK (a list whose front gets a second chance when it was used).
#pragma once

#include <cstdint>
#include <list>
#include <mutex>
#include <optional>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "compute-node/cache/page_cache.h"
#include "compute-node/replica/change_index.h"

namespace sextant::compute {

class PageCacheShard {
 public:
  PageCacheShard(uint64_t max_bytes, size_t remembered_changes) : max_bytes_(max_bytes) {
    if (remembered_changes > 0) changes_.emplace(remembered_changes);
  }

  void Begin(Lsn vdl);
  PageRef Get(PageNo page, Lsn at);
  PageRef Head(PageNo page) const;
  void Publish(PageNo page, PageRef image, Lsn vdl, Lsn horizon);
  // The page changes at `lsn`: what is fetched as of less is not its head. The head, if it is
  // cached.
  PageRef NoteChange(PageNo page, Lsn lsn);
  // The head, if it is still cached, holds below `lsn` only.
  void EndHead(PageNo page, Lsn lsn);
  void Missed(Lsn known_through, Lsn missed_through);
  absl::StatusOr<PageRef> InsertRead(PageNo page, PageRef image, Lsn read_point, Lsn vdl);
  void AddTo(PageCacheCounters* counters) const;

 private:
  struct Version {
    PageNo page;
    PageRef image;
    Lsn known_through;  // inclusive; Lsn max in a head
    bool is_head = false;
    bool is_superseded = false;  // a newer version is cached: in superseded_, not in clock_
    bool was_used = false;
  };
  using List = std::list<Version>;
  // Ascending by LSN, intervals disjoint. Rarely more than two.
  using Versions = absl::InlinedVector<List::iterator, 2>;

  // The version in force at `at`, whether or not it is known to hold there; versions.end() if none.
  static Versions::const_iterator AtOrBelow(const Versions& versions, Lsn at);
  List::iterator Add(PageNo page, PageRef image, Lsn known_through, bool is_head);
  void Supersede(List::iterator version);
  void Erase(List::iterator version);
  void DropUnreachable(PageNo page, Lsn vdl, Lsn horizon);
  void Evict(Lsn vdl);
  // Whether what was read at `read_point` is known to be the page's newest version, unless a newer
  // one is cached.
  bool IsNewest(PageNo page, Lsn read_point) const;

  const uint64_t max_bytes_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<PageNo, Versions> pages_;
  List superseded_;
  List clock_;
  uint64_t bytes_ = 0;
  // What was read below it may not become a head: the VDL that this writer began at, for what came
  // before it was never here; or the highest LSN of a head that was evicted from this shard. For a
  // reader may fetch a page at read point R while another connection commits a newer version, sees
  // it become durable and evicted, all before the reader inserts what it fetched. That version's
  // LSN is above R.
  Lsn heads_read_from_;
  // At a reader, what the same question is answered with: redo passes by whether or not its page is
  // cached.
  std::optional<ChangeIndex> changes_;
  uint64_t hits_ = 0;
  uint64_t misses_ = 0;
  uint64_t evictions_ = 0;
};

}  // namespace sextant::compute
