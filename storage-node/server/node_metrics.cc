// See node_metrics.h.
#include "storage-node/server/node_metrics.h"

#include <string>
#include <utility>

#include "common/base/ids.h"

namespace sextant::storage {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

ClientMetric Value(MetricType type, uint64_t value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
      static_cast<double>(value);
  return metric;
}

MetricFamily Total(std::string name, std::string help, uint64_t value) {
  return {
      std::move(name), std::move(help), MetricType::Counter, {Value(MetricType::Counter, value)}};
}

MetricFamily PerSegment(const protocol::NodeStatus& status, std::string name, std::string help,
                        uint64_t (*read)(const protocol::SegmentStatus&)) {
  MetricFamily family{std::move(name), std::move(help), MetricType::Gauge, {}};
  for (const protocol::SegmentStatus& segment : status.segments) {
    family.metric.push_back(Value(MetricType::Gauge, read(segment),
                                  {{"volume", FormatVolumeId(segment.segment.volume)},
                                   {"pg", ToString(segment.segment.pg)}}));
  }
  return family;
}

MetricFamily Refusals(const StorageNodeCounters& counters) {
  const auto one = [](std::string reason, uint64_t value) {
    return Value(MetricType::Counter, value, {{"reason", std::move(reason)}});
  };
  return {"sextant_storage_batches_refused_total",
          "Batches refused, by reason",
          MetricType::Counter,
          {one("fenced", counters.refused_fenced), one("damaged", counters.refused_damaged),
           one("no_space", counters.refused_no_space), one("backlog", counters.refused_backlog)}};
}

}  // namespace

std::vector<MetricFamily> NodeMetrics::Collect() const {
  const StorageNodeCounters c = node_->counters();
  const protocol::NodeStatus status = node_->Status();
  using Segment = protocol::SegmentStatus;
  return {
      Total("sextant_storage_batches_total", "Batches received whole", c.batches),
      Total("sextant_storage_records_total", "Redo records in them", c.records),
      Total("sextant_storage_batch_bytes_total", "Bytes of them", c.batch_bytes),
      Total("sextant_storage_commits_total", "Syncs of the store", c.commits),
      Total("sextant_storage_page_reads_total", "Pages served", c.page_reads),
      Total("sextant_storage_page_read_errors_total", "Page reads refused or failed",
            c.page_read_errors),
      Total("sextant_storage_records_applied_total", "Records applied to make pages",
            c.records_applied),
      Total("sextant_storage_pages_stored_total", "Page versions kept", c.pages_stored),
      Total("sextant_storage_damaged_pages_total",
            "Times that a stored page version failed its checksum", c.damaged_pages),
      Total("sextant_storage_damaged_batches_total",
            "Stored log batches that could not be read any more", c.damaged_batches),
      Total("sextant_storage_scrub_passes_total", "Times that a whole segment was verified",
            c.scrub_passes),
      Total("sextant_storage_scrub_bytes_total", "Bytes at rest read and verified", c.scrub_bytes),
      Total("sextant_storage_pages_copied_total", "Pages given to peers that are rebuilt",
            c.pages_copied),
      Total("sextant_storage_collect_rounds_total", "Rounds of log collection finished",
            c.collect_rounds),
      Total("sextant_storage_collect_failures_total", "Rounds of log collection that failed",
            c.collect_failures),
      Refusals(c),
      PerSegment(status, "sextant_storage_segment_scl", "Segment complete LSN",
                 [](const Segment& s) { return s.scl.value(); }),
      PerSegment(status, "sextant_storage_segment_epoch", "Volume epoch answered for",
                 [](const Segment& s) { return s.epoch.value(); }),
      PerSegment(status, "sextant_storage_segment_log_bytes", "Bytes of log held",
                 [](const Segment& s) { return s.log_bytes; }),
      PerSegment(status, "sextant_storage_segment_log_start",
                 "LSN at or below which the log is not kept any more",
                 [](const Segment& s) { return s.log_start.value(); }),
      PerSegment(status, "sextant_storage_segment_records_ahead", "Records held above a gap",
                 [](const Segment& s) { return s.records_ahead; }),
      PerSegment(status, "sextant_storage_segment_damaged", "1: part of the log is damaged or lost",
                 [](const Segment& s) { return uint64_t{s.is_damaged}; }),
  };
}

std::vector<MetricFamily> GossipMetrics::Collect() const {
  const GossipCounters c = gossip_->counters();
  return {
      Total("sextant_storage_gossip_requests_total", "Requests to peers for missing log records",
            c.requests),
      Total("sextant_storage_gossip_failures_total", "Of them unanswered, refused or damaged",
            c.failures),
      Total("sextant_storage_gossip_records_total", "Log records fetched from peers", c.records),
      Total("sextant_storage_rebuild_pages_total", "Pages copied from peers", c.pages),
      Total("sextant_storage_rebuilds_total", "Passes of copying pages that came to their end",
            c.rebuilds),
      Total("sextant_storage_repaired_pages_total", "Damaged page versions replaced",
            c.repaired_pages),
  };
}

CommitLatency::CommitLatency(prometheus::Registry* registry)
    : histogram_(&prometheus::BuildHistogram()
                      .Name("sextant_storage_commit_latency_seconds")
                      .Help("Time of one commit of the store, its sync included")
                      .Register(*registry)
                      .Add({}, prometheus::Histogram::BucketBoundaries{
                                   50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.6e-3, 3.2e-3, 6.4e-3,
                                   12.8e-3, 25.6e-3, 51.2e-3, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2})) {}

}  // namespace sextant::storage
