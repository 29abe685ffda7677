// See compute_metrics.h.
#include "compute-node/server/compute_metrics.h"

#include <utility>

namespace sextant::server {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

namespace {

MetricFamily One(MetricType type, std::string name, std::string help, uint64_t value) {
  return {std::move(name), std::move(help), type, {MetricValue(type, static_cast<double>(value))}};
}

prometheus::Histogram::BucketBoundaries LatencyBuckets() {
  return {0.0001, 0.0002, 0.0004, 0.0006, 0.0008, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075,
          0.01,   0.015,  0.025,  0.05,   0.1,    0.25,  0.5,    1,     2.5,   10};
}

prometheus::Histogram* MakeHistogram(prometheus::Registry* registry, const std::string& name,
                                     const std::string& help) {
  return &prometheus::BuildHistogram().Name(name).Help(help).Register(*registry).Add(
      {}, LatencyBuckets());
}

}  // namespace

ClientMetric MetricValue(MetricType type, double value, std::vector<ClientMetric::Label> labels) {
  ClientMetric metric;
  metric.label = std::move(labels);
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  return metric;
}

MetricFamily Gauge(std::string name, std::string help, uint64_t value) {
  return One(MetricType::Gauge, std::move(name), std::move(help), value);
}

MetricFamily Total(std::string name, std::string help, uint64_t value) {
  return One(MetricType::Counter, std::move(name), std::move(help), value);
}

ComputeLatencies::ComputeLatencies(prometheus::Registry* registry)
    : commit_(MakeHistogram(registry, "sextant_commit_latency_seconds",
                            "From append to durable on a write quorum")),
      page_read_(MakeHistogram(registry, "sextant_page_read_latency_seconds",
                               "Page reads from segments, retries included")),
      growth_(
          MakeHistogram(registry, "sextant_growth_seconds", "Adding protection groups, one step")),
      lag_(MakeHistogram(registry, "sextant_replica_lag_seconds",
                         "On a reader, from a commit's becoming durable to its being visible")) {}

}  // namespace sextant::server
