// The part of Injector (injector.h) that changes members, as people do: replaces some that are well
// and some that lost their disk, by spares and by themselves, holds changes and undoes them.
#include "tests/simulation/faults/injector.h"

namespace sextant::simulation {

void Injector::ChangeMembers() {
  std::vector<ComputeHost*> open;
  for (ComputeHost* host : world_.computes) {
    if (host->is_open() && !sim_.loop.IsPaused(host->process())) open.push_back(host);
  }
  if (open.empty()) return;
  ComputeHost* host = open[sim_.rng.Below(open.size())];
  const PgId pg(static_cast<uint32_t>(sim_.rng.Below(host->writer()->memberships().size())));
  const bool is_changing = !host->writer()->MembershipOf(pg).changes.empty();
  if (is_changing && sim_.rng.OneIn(2)) return Undo(host, pg);
  Replace(host, pg);
}

void Injector::Undo(ComputeHost* host, PgId pg) {
  const volume::Membership& members = host->writer()->MembershipOf(pg);
  const volume::MemberChange change = members.changes[sim_.rng.Below(members.changes.size())];
  bool is_hydrating = false;
  for (const compute::ChangeProgress& progress :
       host->writer()->Progress().pgs[pg.value()].changes) {
    is_hydrating |= progress.from == change.from && progress.scl < progress.target;
  }
  const std::string from = members.members[change.from].node;
  if (!host->UndoReplacement(pg, from).ok()) return;
  sim_.Tell("pg ", pg, ": the change of ", from, " is to be undone");
  if (is_hydrating) sim_.Count(Rare::kUndoneWhileHydrating);
}

void Injector::Replace(ComputeHost* host, PgId pg) {
  const volume::Membership& members = host->writer()->MembershipOf(pg);
  std::vector<quorum::Slot> slots, lost;
  for (const quorum::Slot slot : members.ActiveSlots()) {
    if (!members.base.Contains(slot)) continue;
    slots.push_back(slot);
    const DurableIndex::Copy* copy = world_.index->CopyOf(pg, members, slot);
    if (copy == nullptr || copy->is_wiped) lost.push_back(slot);
  }
  const bool is_lost = !lost.empty() && !sim_.rng.OneIn(3);
  if (is_lost) slots = lost;
  const quorum::Slot slot = slots[sim_.rng.Below(slots.size())];
  const volume::Member from = members.members[slot];
  std::vector<std::string> candidates;
  for (const StorageHost* node : world_.nodes) {
    if (node->member().zone == from.zone) candidates.push_back(node->member().node);
  }
  // Also ones that cannot be: they are refused.
  const std::string to = candidates[sim_.rng.Below(candidates.size())];
  const bool hold = sim_.rng.OneIn(4);
  // Until its segment is made the candidate is no witness, as if it were damaged.
  const auto next = volume::BeginChange(members, slot, {to, from.zone});
  if (next.ok() && HarmOf(pg, *next, std::nullopt, false).injured > plan_.max_injured) return;
  host->ReplaceSegment(pg, from.node, to, hold,
                       [this, pg, from = from.node, to, is_lost](const absl::Status& status) {
                         if (!status.ok()) return;
                         sim_.Tell("pg ", pg, ": ", from, " is being replaced by ", to);
                         if (is_lost) sim_.Count(Rare::kLostMemberReplaced);
                       });
}

}  // namespace sextant::simulation
