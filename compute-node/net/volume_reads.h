// VolumeReads: pages as of a read point, from the cache or from one segment, each fetched once.
//
// A miss at read point S is read at R = min(S, VDL), VDL taken after the miss: a version above VDL
// is always cached (cache/page_cache.h), so the page did not change in (R, S]. Connections that
// miss the same page wait for one fetch. What differs between a writer and a reader stands behind
// ReadSource.
//
// Thread-safety: all methods from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "compute-node/cache/page_cache.h"
#include "compute-node/net/page_fetcher.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::compute {

// Where and at which LSN a read may go to the segments.
struct ReadGrant {
  SegmentId segment;
  VolumeEpoch epoch;
  Lsn read_point;  // at or below VDL; held open until EndRead
  Lsn pg_lsn;      // a segment with this SCL is complete for the read point
  uint32_t page_bytes = 0;
};

class ReadSource {
 public:
  virtual ~ReadSource() = default;
  // Opens a read point for pages of `pg` as of `at`. An error is what the reader gets.
  virtual absl::StatusOr<ReadGrant> BeginRead(PgId pg, Lsn at) = 0;
  virtual void EndRead(const ReadGrant& grant) = 0;
  // The nodes whose segment is complete for the grant, as far as acknowledgements tell.
  virtual std::vector<NodeIndex> CompleteNodes(const ReadGrant& grant) = 0;
  // Observes how long a fetch took; for metrics.
  virtual void Fetched(absl::Duration latency) = 0;
  // A segment has promised a newer epoch than the grant's.
  virtual void Fenced() = 0;
};

class VolumeReads {
 public:
  using Done = std::function<void(absl::StatusOr<PageRef>)>;

  // All outlive this object.
  VolumeReads(PageCache* cache, PageFetcher* fetcher, ReadSource* source);

  // `page` (of `pg`) as of `at`. Calls back inside the call on a hit, else on a transport's thread.
  void Read(PgId pg, PageNo page, Lsn at, Done done);
  absl::StatusOr<PageRef> ReadBlocking(PgId pg, PageNo page, Lsn at);
  // Fetches those of `pages` (all of `pg`) that are not there, in few requests.
  void Prefetch(PgId pg, const std::vector<PageNo>& pages, Lsn at);

  // Fails all reads under way, and later ones, with UNAVAILABLE.
  void Shutdown();

 private:
  struct Waiter {
    Lsn at;
    bool is_first = false;  // whose miss started the fetch
    Done done;
  };
  struct Fetch;

  void StartFetch(PgId pg, std::vector<PageNo> pages, Lsn at);
  void FetchDone(const Fetch& fetch, absl::StatusOr<protocol::ReadPagesReply> reply);
  void PageDone(const Fetch& fetch, PageNo page, const absl::StatusOr<PageRef>& result);

  PageCache& cache_;
  PageFetcher& fetcher_;
  ReadSource& source_;
  std::mutex mutex_;
  std::map<PageNo, std::vector<Waiter>> flights_;  // being fetched, and for whom
  bool is_shut_down_ = false;
};

}  // namespace sextant::compute
