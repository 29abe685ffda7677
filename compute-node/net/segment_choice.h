// SegmentChoice: which segment to read from, and when to ask a second one. Pure: time and chance go
// in.
//
// A page is read from one segment that is known to be complete (docs/PROTOCOL.md, "Reads"). Among
// those the one that answered fastest lately is asked; now and then another, so that its measure
// stays fresh; and when the first is late, a second one as well (SIGMOD'18, section 3.1). Latency
// belongs to the storage node, not to the protection group, so it is kept by node.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/base/prng.h"
#include "common/base/strong_int.h"

namespace sextant::compute {

// Index into the compute node's list of storage nodes.
using NodeIndex = StrongInt<struct NodeIndexTag, uint32_t>;

class SegmentChoice {
 public:
  struct Options {
    double weight = 0.2;         // of the newest measurement in the moving averages
    uint64_t probe_one_in = 64;  // reads that go to another node than the fastest
    // A second request goes out after the mean and this many mean deviations, within the bounds.
    double hedge_deviations = 4;
    absl::Duration min_hedge = absl::Milliseconds(2);
    absl::Duration max_hedge = absl::Milliseconds(100);
    // After an error a node is asked last for so long.
    absl::Duration failure_pause = absl::Seconds(1);
  };

  SegmentChoice(size_t nodes, Options options);

  // `complete`, in the order in which to ask. Nodes without a measure come first, failed ones last.
  std::vector<NodeIndex> Rank(std::vector<NodeIndex> complete, Instant now, Prng* prng) const;
  // How long to wait for `node` before asking another as well.
  absl::Duration HedgeDelay(NodeIndex node) const;

  void Answered(NodeIndex node, absl::Duration latency);
  // It has not answered for `elapsed` so far: at least that slow.
  void Late(NodeIndex node, absl::Duration elapsed);
  void Failed(NodeIndex node, Instant now);

  // Mean latency; zero before the first measurement.
  absl::Duration MeanLatency(NodeIndex node) const { return nodes_[node.value()].mean; }

 private:
  struct Node {
    absl::Duration mean;
    absl::Duration deviation;
    Instant failed_until;
  };
  void Measure(Node* node, absl::Duration latency);

  Options options_;
  std::vector<Node> nodes_;
};

}  // namespace sextant::compute
