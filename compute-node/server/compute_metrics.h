// What every role of a compute node measures and shows at /metrics. Internal to server/.
#pragma once

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace sextant::server {

// One sample of a family.
prometheus::ClientMetric MetricValue(prometheus::MetricType type, double value,
                                     std::vector<prometheus::ClientMetric::Label> labels = {});
// Families of one sample without labels.
prometheus::MetricFamily Gauge(std::string name, std::string help, uint64_t value);
prometheus::MetricFamily Total(std::string name, std::string help, uint64_t value);

// sextant_commit_latency_seconds: append to durable. sextant_page_read_latency_seconds: a page from
// a segment. sextant_growth_seconds: adding protection groups, one step.
// sextant_replica_lag_seconds: commit to visible. They outlive roles, so that a node's history goes
// on when its role changes. Thread-safe.
class ComputeLatencies {
 public:
  explicit ComputeLatencies(prometheus::Registry* registry);
  void ObserveCommit(absl::Duration took) { commit_->Observe(absl::ToDoubleSeconds(took)); }
  void ObservePageRead(absl::Duration took) { page_read_->Observe(absl::ToDoubleSeconds(took)); }
  void ObserveGrowth(absl::Duration took) { growth_->Observe(absl::ToDoubleSeconds(took)); }
  void ObserveLag(absl::Duration lag, uint64_t commits) {
    for (; commits > 0; --commits) lag_->Observe(absl::ToDoubleSeconds(lag));
  }

 private:
  prometheus::Histogram* const commit_;
  prometheus::Histogram* const page_read_;
  prometheus::Histogram* const growth_;
  prometheus::Histogram* const lag_;
};

}  // namespace sextant::server
