// PageFetcher: pages as of a read point from one complete segment, hedged, retried on the others.
//
// Asks the best segment (segment_choice.h); when it is late a second one too, and the first answer
// wins. UNAVAILABLE, OUT_OF_RANGE, DATA_LOSS and the like move on to the next member, round after
// round, until the deadline. FAILED_PRECONDITION ends the fetch: a newer epoch fences this node, no
// member may be asked for another answer.
//
// Checks what a transport cannot: as many pages as were asked for, none newer than the read point,
// all of the right size. Thread-safety: all methods from any thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "common/base/prng.h"
#include "common/protocol/storage_messages.h"
#include "compute-node/net/segment_choice.h"
#include "compute-node/net/storage_peer.h"
#include "compute-node/net/timer_queue.h"

namespace sextant::compute {

struct PageFetch {
  protocol::ReadPagesRequest request;
  uint32_t page_bytes = 0;
  // The nodes whose segment is complete for the request, asked for again in every round.
  std::function<std::vector<NodeIndex>()> complete;
};

struct PageFetcherCounters {  // since start
  uint64_t fetches = 0, requests = 0, hedges = 0, hedge_wins = 0, retries = 0;
};

class PageFetcher {
 public:
  struct Options {
    absl::Duration deadline = absl::Seconds(10);        // of a fetch, all rounds together
    absl::Duration attempt_timeout = absl::Seconds(3);  // of one request
    absl::Duration round_pause = absl::Milliseconds(20);
    SegmentChoice::Options choice;
  };

  // `peers` by NodeIndex; they and `timers` outlive the fetcher. Stop both before destroying it.
  PageFetcher(std::vector<StoragePeer*> peers, TimerQueue* timers, Options options, uint64_t seed);

  // Calls `done` once. UNAVAILABLE: no complete segment answered in time. DATA_LOSS, OUT_OF_RANGE:
  // every member that answered said so. FAILED_PRECONDITION: fenced.
  void Fetch(PageFetch fetch, Done<protocol::ReadPagesReply> done);

  PageFetcherCounters counters() const;
  absl::Duration MeanLatency(NodeIndex node) const;

 private:
  class Run;  // one fetch under way

  std::vector<NodeIndex> Rank(std::vector<NodeIndex> complete);
  absl::Duration HedgeDelay(NodeIndex node) const;

  const std::vector<StoragePeer*> peers_;
  TimerQueue* const timers_;
  const Options options_;
  mutable std::mutex mutex_;  // of the two below
  SegmentChoice choice_;
  Prng prng_;
  std::atomic<uint64_t> fetches_{0}, requests_{0}, hedges_{0}, hedge_wins_{0}, retries_{0};
};

}  // namespace sextant::compute
