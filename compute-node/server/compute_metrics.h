// What a compute node shows at /metrics. Internal to server/.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <vector>

#include "absl/time/time.h"
#include "compute-node/writer/writer_volume.h"

namespace sextant::server {

// Watermarks, members and counters, read from the volume whenever somebody asks. It outlives them.
class ComputeMetrics : public prometheus::Collectable {
 public:
  explicit ComputeMetrics(const compute::WriterVolume* volume) : volume_(*volume) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const compute::WriterVolume& volume_;
};

// sextant_commit_latency_seconds: append to durable. sextant_page_read_latency_seconds: a page from
// a segment. sextant_growth_seconds: adding protection groups, one step. Thread-safe.
class ComputeLatencies {
 public:
  explicit ComputeLatencies(prometheus::Registry* registry);
  void ObserveCommit(absl::Duration took) { commit_->Observe(absl::ToDoubleSeconds(took)); }
  void ObservePageRead(absl::Duration took) { page_read_->Observe(absl::ToDoubleSeconds(took)); }
  void ObserveGrowth(absl::Duration took) { growth_->Observe(absl::ToDoubleSeconds(took)); }

 private:
  prometheus::Histogram* const commit_;
  prometheus::Histogram* const page_read_;
  prometheus::Histogram* const growth_;
};

}  // namespace sextant::server
