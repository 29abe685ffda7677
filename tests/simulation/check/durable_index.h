// DurableIndex: which records lie durably on which disk, learnt from the disks alone.
//
// Follows every durable write and every injury; asks no segment. A record that was injured counts
// as held until its node starts again (a running process does not know), and as "ever held" for
// good: damage is the disk's doing, not the protocol's.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "tests/simulation/check/history.h"

namespace sextant::simulation {

class DurableIndex final : public Observer {
 public:
  struct Held {
    VolumeEpoch epoch;
    Lsn prev_pg;
    int copies = 0;           // batches that hold it
    bool is_injured = false;  // none of them whole any more
  };
  // One node's image of one protection group.
  struct Copy {
    absl::btree_map<Lsn, Held> records;
    std::set<Lsn> lost;  // was durable and is damaged or gone
    // Lay in a position that was injured since the node started: a segment that looks there finds
    // it missing, even if another position holds it.
    std::set<Lsn> hurt;
    std::optional<storage::SegmentState> state;
    std::optional<quorum::Slot> slot;  // outlives a lost disk
    VolumeEpoch sealed;                // highest epoch ever durable
    bool is_wiped = false;
    uint64_t injuries = 0;
    bool is_unaware = false;  // injured since its node started

    // Records of the group at or below it are kept as page versions only.
    Lsn log_start() const { return state.has_value() ? state->log_start : Lsn(); }
    // As a record, as pages, or before its disk was injured.
    bool HasEverHeld(Lsn lsn) const {
      return records.contains(lsn) || lost.contains(lsn) || lsn <= log_start();
    }
  };

  DurableIndex(Sim* sim, History* history) : sim_(*sim), history_(*history) {}

  Copy& At(NodeNo node, PgId pg) { return copies_[{node, pg}]; }
  const std::map<std::pair<NodeNo, PgId>, Copy>& copies() const { return copies_; }

  // Members of the group that hold the record, or did before their disk was injured.
  int CountEver(PgId pg, Lsn lsn) const;
  int CountWhole(PgId pg, Lsn lsn) const;
  // Members with that much damage that they must not be injured further within the budget.
  bool IsInjured(NodeNo node, PgId pg);

  // --- Observer
  void Durable(NodeNo node, const storage::StoreWrite& write) override;
  void LogInjured(NodeNo node, SegmentId segment, storage::LogPosition position) override;
  void LogAppeared(NodeNo node, const storage::LogAppend& append) override;
  void DiskLost(NodeNo node) override;
  void NodeStarted(NodeNo node, const std::vector<protocol::SegmentStatus>& segments) override;

 private:
  struct Decoded {
    std::shared_ptr<const std::string> bytes;  // keeps the address taken
    std::vector<log::RecordHeader> headers;
  };
  const Decoded& Decode(const std::shared_ptr<const std::string>& batch);
  void Add(NodeNo node, const storage::LogAppend& append);
  void Drop(NodeNo node, const storage::LogDrop& drop);
  void Forget(NodeNo node, PgId pg);
  void CompareWithHistory(const log::RecordView& record);

  Sim& sim_;
  History& history_;
  std::map<std::pair<NodeNo, PgId>, Copy> copies_;
  std::map<std::tuple<NodeNo, PgId, storage::LogPosition>, const Decoded*> positions_;
  absl::flat_hash_map<const std::string*, std::unique_ptr<Decoded>> decoded_;
};

}  // namespace sextant::simulation
