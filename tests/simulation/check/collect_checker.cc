// See collect_checker.h.
#include "tests/simulation/check/collect_checker.h"

#include <algorithm>

#include "storage-node/store/store_codec.h"

namespace sextant::simulation {

void CollectChecker::BatchSent(ComputeNo compute, const log::EncodedBatch& batch,
                               Lsn lowest_point) {
  Lsn& lowest = lowest_read_[batch.header.pg];
  lowest = std::max(lowest, batch.header.pgmrpl);
}

void CollectChecker::Durable(NodeNo node, const storage::StoreWrite& write) {
  for (const SegmentId segment : write.dropped_segments) starts_.erase({node, segment.pg});
  for (const storage::SegmentState& state : write.states) {
    Lsn& start = starts_[{node, state.segment.pg}];
    if (state.log_start < start) {
      sim_.Violate("I9", "node ", node, " pg ", state.segment.pg, ": the log's start fell from ",
                   start, " to ", state.log_start);
    }
    if (state.log_start > start) CheckStart(node, state);
    start = state.log_start;
  }
}

void CollectChecker::CheckStart(NodeNo node, const storage::SegmentState& state) {
  const PgId pg = state.segment.pg;
  const bool is_rebuilt = state.read_floor >= state.log_start;
  if (!is_rebuilt && state.log_start > lowest_read_[pg]) {
    sim_.Violate("I9", "node ", node, " pg ", pg, ": log collected through ", state.log_start,
                 ", read points from ", lowest_read_[pg], " on may be open");
  }
  if (state.log_start > facts_.history.highest_vdl()) {
    sim_.Violate("I9", "node ", node, " pg ", pg, ": log collected through ", state.log_start,
                 ", above every VDL: ", facts_.history.highest_vdl());
  }
  const uint64_t first = uint64_t{pg.value()} * facts_.geometry.pages_per_pg;
  for (uint64_t i = 0; i < facts_.geometry.pages_per_pg; ++i) {
    CheckPage(node, state, PageNo(first + i));
  }
}

void CollectChecker::CheckPage(NodeNo node, const storage::SegmentState& state, PageNo page) {
  // Below a durable VDL all epochs see the same.
  const VolumeEpoch view(UINT64_MAX);
  const Lsn wanted = facts_.history.PageAt(page, view, state.log_start).lsn;
  if (wanted == Lsn()) return;
  const Lsn highest = std::max(state.log_start, state.read_floor);
  const SimDisk& disk = *facts_.disks[node];
  if (disk.HasFlushedVersion(state.segment, page, wanted, highest)) return;
  // What was damaged meanwhile, behind the node's back, is not its doing.
  if (disk.HasDamagedPage(state.segment)) return;
  sim_.Violate("I9", "node ", node, ": the log begins at ", state.log_start, ", and page ", page,
               " as of LSN ", wanted, " is in no version that is flushed");
}

void CollectChecker::CheckPagesAtRest(NodeNo node) {
  for (const auto& [segment, files] : facts_.disks[node]->image()) {
    for (const auto& [key, stored] : files.pages) {
      const auto& [page, lsn] = key;
      if (!storage::CheckPage(segment, page, lsn, stored.crc, stored.bytes).ok()) continue;
      const History::Record* record = facts_.history.Find(lsn);
      if (record != nullptr && record->page == page && record->image == stored.bytes) continue;
      sim_.Violate("I7", "node ", node, ": the stored version of page ", page, " at LSN ", lsn,
                   " is not what was written");
    }
  }
}

}  // namespace sextant::simulation
