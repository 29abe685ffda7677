// A writer's metrics. See writer_report.h.
#include <string>

#include "compute-node/server/compute_metrics.h"
#include "compute-node/server/writer_report.h"

namespace sextant::server {

using prometheus::MetricFamily;
using prometheus::MetricType;

namespace {

MetricFamily MemberLag(const compute::VolumeStatus& status) {
  MetricFamily family{"sextant_member_lag_records",
                      "LSNs between a segment's SCL and its protection group's last",
                      MetricType::Gauge,
                      {}};
  for (size_t pg = 0; pg < status.progress.pgs.size(); ++pg) {
    const compute::PgProgress& progress = status.progress.pgs[pg];
    for (size_t slot = 0; slot < progress.members.size(); ++slot) {
      if (status.memberships[pg].members[slot].node.empty()) continue;
      const Lsn scl = progress.members[slot].scl;
      const uint64_t lag = status.progress.Lag(scl, progress.last_lsn);
      family.metric.push_back(MetricValue(
          MetricType::Gauge, static_cast<double>(lag),
          {{"node", status.memberships[pg].members[slot].node}, {"pg", std::to_string(pg)}}));
    }
  }
  return family;
}

}  // namespace

std::vector<MetricFamily> WriterMetrics(const compute::WriterVolume& volume) {
  const compute::VolumeStatus status = volume.status();
  const compute::WriterProgress& p = status.progress;
  const compute::WriterCounters& c = status.counters;
  const compute::PageCacheCounters cache = volume.cache_counters();
  const compute::PageFetcherCounters fetch = volume.fetch_counters();
  return {
      Gauge("sextant_volume_is_open", "1 when the volume takes commits",
            status.phase == compute::VolumePhase::kOpen),
      Gauge("sextant_volume_epoch", "Volume epoch of this writer", p.epoch.value()),
      Gauge("sextant_head_lsn", "Highest LSN appended", p.head.value()),
      Gauge("sextant_vcl_lsn", "Volume complete LSN", p.vcl.value()),
      Gauge("sextant_vdl_lsn", "Volume durable LSN", p.vdl.value()),
      Gauge("sextant_pgmrpl_lsn", "Lowest read point in use", p.pgmrpl.value()),
      Gauge("sextant_volume_bytes", "Size of the volume, written or not",
            status.geometry.PageCount() * status.geometry.page_bytes),
      Gauge("sextant_protection_groups", "Protection groups of the volume",
            status.geometry.pg_count),
      Total("sextant_protection_groups_added_total", "Protection groups added since start",
            c.added_groups),
      Gauge("sextant_segments_missing", "Segments of added groups that are still to be made",
            p.missing_members),
      Gauge("sextant_commits_waiting", "Replies parked until their LSN is durable", p.waits),
      Gauge("sextant_unacked_redo_bytes", "Redo appended and not on a write quorum",
            p.unacked_bytes),
      Gauge("sextant_retained_redo_bytes", "Redo kept for members that are behind",
            p.retained_bytes),
      MemberLag(status),
      Total("sextant_commits_total", "Mini-transactions appended", c.mtrs),
      Total("sextant_redo_records_total", "Redo records appended", c.records),
      Total("sextant_redo_bytes_total", "Encoded bytes of them, one copy", c.redo_bytes),
      Total("sextant_batches_total", "Batches sealed, once for all members", c.batches),
      Total("sextant_batch_sends_total", "Batches sent to members", c.sends),
      Total("sextant_batch_sent_bytes_total", "Bytes of them", c.sent_bytes),
      Total("sextant_proofs_total", "Replies that needed proof that this node is the writer",
            c.proofs),
      Total("sextant_proof_rounds_total", "Rounds of probes that gave it", c.proof_rounds),
      Total("sextant_page_cache_hits_total", "Page reads answered by the cache", cache.hits),
      Total("sextant_page_cache_misses_total", "Page reads that were not", cache.misses),
      Total("sextant_page_cache_evictions_total", "Versions evicted", cache.evictions),
      Gauge("sextant_page_cache_bytes", "Bytes of cached versions", cache.bytes),
      Gauge("sextant_page_cache_versions", "Cached page versions", cache.versions),
      Total("sextant_page_fetches_total", "Reads that went to segments", fetch.fetches),
      Total("sextant_page_fetch_requests_total", "Requests they took", fetch.requests),
      Total("sextant_page_fetch_hedges_total", "Second requests because the first was late",
            fetch.hedges),
      Total("sextant_page_fetch_hedge_wins_total", "Of those, answered first", fetch.hedge_wins),
      Total("sextant_page_fetch_retries_total", "Requests after a member's error", fetch.retries),
  };
}

}  // namespace sextant::server
