// CollectChecker: I9 (the log is dropped only below what is read, and only where page versions hold
// its effect), I7 of pages at rest. Judged on the disks at the moment at which a log's start is
// durable, and once more at the end of the day.
#pragma once

#include <map>
#include <utility>

#include "tests/simulation/check/facts.h"

namespace sextant::simulation {

class CollectChecker final : public Checker {
 public:
  using Checker::Checker;

  void BatchSent(ComputeNo compute, const log::EncodedBatch& batch, Lsn lowest_point) override;
  void Durable(NodeNo node, const storage::StoreWrite& write) override;
  void DiskLost(NodeNo node) override {
    std::erase_if(starts_, [node](const auto& entry) { return entry.first.first == node; });
  }
  // Every stored version of every page is what the client wrote, or shows that it is damaged.
  void CheckPagesAtRest(NodeNo node);

 private:
  void CheckStart(NodeNo node, const storage::SegmentState& state);
  // Some version of the page holds everything through the log's start, and will survive.
  void CheckPage(NodeNo node, const storage::SegmentState& state, PageNo page);

  std::map<std::pair<NodeNo, PgId>, Lsn> starts_;
  std::map<PgId, Lsn> lowest_read_;  // the highest PGMRPL that any writer sent
};

}  // namespace sextant::simulation
