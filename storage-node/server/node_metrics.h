// NodeMetrics: what a storage node shows at /metrics. Internal to server/.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "storage-node/server/gossip_runner.h"
#include "storage-node/server/storage_node.h"

namespace sextant::storage {

// Counters and segments, read from the node whenever somebody asks. The node outlives it.
class NodeMetrics : public prometheus::Collectable {
 public:
  explicit NodeMetrics(const StorageNode* node) : node_(node) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const StorageNode* const node_;
};

// What the node fetched from its peers. The runner outlives it.
class GossipMetrics : public prometheus::Collectable {
 public:
  explicit GossipMetrics(const GossipRunner* gossip) : gossip_(gossip) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const GossipRunner* const gossip_;
};

// sextant_storage_commit_latency_seconds. Thread-safe.
class CommitLatency {
 public:
  explicit CommitLatency(prometheus::Registry* registry);
  void Observe(absl::Duration took) { histogram_->Observe(absl::ToDoubleSeconds(took)); }

 private:
  prometheus::Histogram* const histogram_;
};

}  // namespace sextant::storage
