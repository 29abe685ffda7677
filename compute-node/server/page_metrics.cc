// See page_metrics.h.
#include "compute-node/server/page_metrics.h"

#include "compute-node/server/compute_metrics.h"

namespace sextant::server {

void AddPageMetrics(const compute::PageCacheCounters& cache,
                    const compute::PageFetcherCounters& fetch,
                    std::vector<prometheus::MetricFamily>* families) {
  families->insert(
      families->end(),
      {
          Total("sextant_page_cache_hits_total", "Page reads answered by the cache", cache.hits),
          Total("sextant_page_cache_misses_total", "Page reads that were not", cache.misses),
          Total("sextant_page_cache_evictions_total", "Versions evicted", cache.evictions),
          Gauge("sextant_page_cache_bytes", "Bytes of cached versions", cache.bytes),
          Gauge("sextant_page_cache_versions", "Cached page versions", cache.versions),
          Total("sextant_page_fetches_total", "Reads that went to segments", fetch.fetches),
          Total("sextant_page_fetch_requests_total", "Requests they took", fetch.requests),
          Total("sextant_page_fetch_hedges_total", "Second requests because the first was late",
                fetch.hedges),
          Total("sextant_page_fetch_hedge_wins_total", "Of those, answered first",
                fetch.hedge_wins),
          Total("sextant_page_fetch_retries_total", "Requests after a member's error",
                fetch.retries),
      });
}

}  // namespace sextant::server
