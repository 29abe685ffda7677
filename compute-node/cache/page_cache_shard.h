// One lock's worth of the page cache: versions by page, and which to evict next. Used by PageCache
// alone.
//
// Two lists: superseded versions, evicted first and oldest first; and the newest versions of their
// pages, evicted by CLOCK (a list whose front gets a second chance when it was used).
#pragma once

#include <cstdint>
#include <list>
#include <mutex>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "compute-node/cache/page_cache.h"

namespace sextant::compute {

class PageCacheShard {
 public:
  explicit PageCacheShard(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  PageRef Get(PageNo page, Lsn at);
  PageRef Head(PageNo page) const;
  void Publish(PageNo page, PageRef image, Lsn vdl, Lsn horizon);
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

  const uint64_t max_bytes_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<PageNo, Versions> pages_;
  List superseded_;
  List clock_;
  uint64_t bytes_ = 0;
  // The highest LSN of a head that was evicted from this shard. A reader may fetch a page at read
  // point R while another connection commits a newer version, sees it become durable and evicted,
  // all before the reader inserts what it fetched. That version's LSN is above R, so a read at R
  // may become a head only when nothing above R was ever evicted.
  Lsn max_evicted_head_;
  uint64_t hits_ = 0;
  uint64_t misses_ = 0;
  uint64_t evictions_ = 0;
};

}  // namespace sextant::compute
