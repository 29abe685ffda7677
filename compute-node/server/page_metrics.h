// What every role that caches pages and reads them from segments shows at /metrics. Internal to
// server/.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "compute-node/cache/page_cache.h"
#include "compute-node/net/page_fetcher.h"

namespace sextant::server {

void AddPageMetrics(const compute::PageCacheCounters& cache,
                    const compute::PageFetcherCounters& fetch,
                    std::vector<prometheus::MetricFamily>* families);

}  // namespace sextant::server
