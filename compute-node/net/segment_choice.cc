// See segment_choice.h.
#include "compute-node/net/segment_choice.h"

#include <algorithm>
#include <tuple>

#include "common/base/check.h"

namespace sextant::compute {

SegmentChoice::SegmentChoice(size_t nodes, Options options) : options_(options), nodes_(nodes) {}

std::vector<NodeIndex> SegmentChoice::Rank(std::vector<NodeIndex> complete, Instant now,
                                           Prng* prng) const {
  const auto key = [&](NodeIndex index) {
    SEXTANT_CHECK(index.value() < nodes_.size());
    const Node& node = nodes_[index.value()];
    return std::tuple(node.failed_until > now, node.mean, index);
  };
  std::sort(complete.begin(), complete.end(),
            [&](NodeIndex a, NodeIndex b) { return key(a) < key(b); });
  const auto healthy = std::count_if(complete.begin(), complete.end(), [&](NodeIndex index) {
    return nodes_[index.value()].failed_until <= now;
  });
  if (healthy > 1 && prng->OneIn(options_.probe_one_in)) {
    std::swap(complete[0], complete[prng->Between(1, static_cast<uint64_t>(healthy) - 1)]);
  }
  return complete;
}

absl::Duration SegmentChoice::HedgeDelay(NodeIndex index) const {
  const Node& node = nodes_[index.value()];
  if (node.mean == absl::ZeroDuration()) return options_.max_hedge;
  return std::clamp(node.mean + options_.hedge_deviations * node.deviation, options_.min_hedge,
                    options_.max_hedge);
}

void SegmentChoice::Answered(NodeIndex node, absl::Duration latency) {
  nodes_[node.value()].failed_until = Instant();
  Measure(&nodes_[node.value()], latency);
}

void SegmentChoice::Late(NodeIndex node, absl::Duration elapsed) {
  // Twice what it has taken so far: enough to lose its first place if it does this again.
  Measure(&nodes_[node.value()], 2 * elapsed);
}

void SegmentChoice::Failed(NodeIndex node, Instant now) {
  nodes_[node.value()].failed_until = now + options_.failure_pause;
}

void SegmentChoice::Measure(Node* node, absl::Duration latency) {
  if (node->mean == absl::ZeroDuration()) {
    node->mean = std::max(latency, absl::Nanoseconds(1));
    node->deviation = latency / 2;
    return;
  }
  const absl::Duration error = latency - node->mean;
  node->mean = std::max(node->mean + options_.weight * error, absl::Nanoseconds(1));
  node->deviation += options_.weight * (absl::AbsDuration(error) - node->deviation);
}

}  // namespace sextant::compute
