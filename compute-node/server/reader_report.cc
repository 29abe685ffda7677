// See reader_report.h.
#include "compute-node/server/reader_report.h"

#include "compute-node/server/compute_metrics.h"
#include "compute-node/server/page_metrics.h"

namespace sextant::server {

using prometheus::MetricFamily;
using prometheus::MetricType;

namespace {

double MillisecondsAt(const Histogram& lag_us, double fraction) {
  return static_cast<double>(lag_us.Percentile(fraction)) / 1000;
}

const char* PhaseOf(const compute::ReaderStatus& status) {
  if (!status.is_open) return "recovering";
  return status.is_following ? "following" : "cut-off";
}

// No sample: unknown.
MetricFamily Lag(const compute::ReaderStatus& status) {
  MetricFamily family{"sextant_replica_lag_recent_seconds",
                      "From a commit's becoming durable to its being visible here, of the last ten "
                      "seconds; absent while cut off, or where nothing was committed",
                      MetricType::Gauge,
                      {}};
  if (!status.lag_us || status.lag_us->count() == 0) return family;
  for (const auto& [name, fraction] : {std::pair{"0.5", 0.5}, {"0.99", 0.99}, {"1", 1.0}}) {
    family.metric.push_back(MetricValue(
        MetricType::Gauge, MillisecondsAt(*status.lag_us, fraction) / 1000, {{"quantile", name}}));
  }
  return family;
}

}  // namespace

void FillReaderStatus(const compute::ReaderStatus& status, v1::ComputeStatus* out) {
  out->set_phase(PhaseOf(status));
  out->set_detail(status.detail);
  out->set_volume(status.volume.value());
  out->set_epoch(status.epoch.value());
  out->set_vdl(status.published.value());
  out->set_head(status.published.value());
  out->set_pgmrpl(status.lowest_read_point.value());
  out->set_page_bytes(status.geometry.page_bytes);
  out->set_segment_bytes(status.geometry.page_bytes * status.geometry.pages_per_pg);
  out->set_waits(status.waits);
  out->set_oldest_lsn(std::max(status.oldest.vdl, status.floor).value());
  v1::ReaderProgress* reader = out->mutable_reader();
  reader->set_is_connected(status.is_following);
  reader->set_published(status.published.value());
  reader->set_jumps(status.counters.jumps);
  if (!status.lag_us || status.lag_us->count() == 0) return;
  reader->set_lag_ms(absl::ToDoubleMilliseconds(status.last_lag));
  reader->set_lag_p50_ms(MillisecondsAt(*status.lag_us, 0.5));
  reader->set_lag_p99_ms(MillisecondsAt(*status.lag_us, 0.99));
  reader->set_lag_max_ms(MillisecondsAt(*status.lag_us, 1));
}

std::vector<MetricFamily> ReaderMetrics(const compute::ReaderVolume& volume) {
  const compute::ReaderStatus status = volume.status();
  std::vector<MetricFamily> families = {
      Gauge("sextant_replica_is_following", "1 while connected to the writer's redo stream",
            status.is_following),
      Gauge("sextant_volume_epoch", "Volume epoch of the writer that is followed",
            status.epoch.value()),
      Gauge("sextant_replica_published_lsn", "VDL that this reader shows",
            status.published.value()),
      Gauge("sextant_replica_read_point_lsn", "Lowest read point in use here",
            status.lowest_read_point.value()),
      Lag(status),
      Total("sextant_replica_jumps_total",
            "Fell behind or lost the stream, and went on at the writer's VDL",
            status.counters.jumps),
      Total("sextant_replica_streams_total", "Redo streams begun", status.counters.streams),
      Total("sextant_replica_mtrs_total", "Mini-transactions made visible", status.counters.mtrs),
      Total("sextant_replica_changes_applied_total", "Page changes applied to cached pages",
            status.applied_changes),
      Total("sextant_replica_changes_dropped_total", "Page changes of pages that are not cached",
            status.dropped_changes),
      Total("sextant_replica_pages_invalidated_total", "Cached pages dropped by a change",
            status.invalidated_changes),
      Gauge("sextant_replica_pending_bytes", "Redo that waits for its VDL", status.pending_bytes),
      Gauge("sextant_commits_waiting", "Requests that wait for an LSN token", status.waits),
  };
  AddPageMetrics(volume.cache_counters(), volume.fetch_counters(), &families);
  return families;
}

}  // namespace sextant::server
