// A writer's metrics. See writer_report.h.
#include <string>

#include "compute-node/server/compute_metrics.h"
#include "compute-node/server/page_metrics.h"
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

MetricFamily ReaderLsns(const compute::VolumeStatus& status) {
  MetricFamily family{"sextant_reader_published_lsn",
                      "VDL that a connected reader shows, as it said last",
                      MetricType::Gauge,
                      {}};
  for (const compute::FollowerStatus& reader : status.readers) {
    if (!reader.is_connected) continue;
    family.metric.push_back(MetricValue(MetricType::Gauge,
                                        static_cast<double>(reader.published.value()),
                                        {{"reader", reader.node}}));
  }
  return family;
}

}  // namespace

std::vector<MetricFamily> WriterMetrics(const compute::WriterVolume& volume) {
  const compute::VolumeStatus status = volume.status();
  const compute::WriterProgress& p = status.progress;
  const compute::WriterCounters& c = status.counters;
  std::vector<MetricFamily> families = {
      Gauge("sextant_volume_is_open", "1 when the volume takes commits",
            status.phase == compute::VolumePhase::kOpen),
      Gauge("sextant_volume_epoch", "Volume epoch of this writer", p.epoch.value()),
      Gauge("sextant_head_lsn", "Highest LSN appended", p.head.value()),
      Gauge("sextant_vcl_lsn", "Volume complete LSN", p.vcl.value()),
      Gauge("sextant_vdl_lsn", "Volume durable LSN", p.vdl.value()),
      Gauge("sextant_pgmrpl_lsn", "Lowest read point in use", p.pgmrpl.value()),
      ReaderLsns(status),
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
  };
  AddPageMetrics(volume.cache_counters(), volume.fetch_counters(), &families);
  return families;
}

}  // namespace sextant::server
