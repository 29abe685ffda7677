// The part of Injector (injector.h) that damages disks, within the fault budget.
#include <algorithm>

#include "tests/simulation/faults/injector.h"

namespace sextant::simulation {

// Whether one more injury of this node leaves every protection group what it must have. A member
// counts until everything that it lost was stored again.
bool Injector::MayInjure(NodeNo node, bool for_good) const {
  for (uint32_t pg = 0; pg < plan_.geometry.pg_count; ++pg) {
    int injured = 0, lost = 0;
    for (NodeNo other = 0; other < static_cast<NodeNo>(world_.nodes.size()); ++other) {
      const bool is_own = other == node;
      injured += is_own || IsInjured(other, PgId(pg));
      lost += (is_own && for_good) || world_.index->At(other, PgId(pg)).is_wiped;
    }
    if (injured > plan_.max_injured || lost > plan_.max_lost) return false;
  }
  return true;
}

bool Injector::IsInjured(NodeNo node, PgId pg) const {
  if (world_.index->IsInjured(node, pg)) return true;
  for (const auto& [segment, files] : world_.nodes[node]->disk().image()) {
    if (segment.pg == pg && world_.nodes[node]->disk().HasDamagedPage(segment)) return true;
  }
  // It may hold everything again and not know it, or not have looked yet.
  const DurableIndex::Copy& copy = world_.index->At(node, pg);
  const StorageHost* host = world_.nodes[node];
  if (copy.is_unaware || !host->is_up()) return copy.injuries > 0;
  for (const protocol::SegmentStatus& status : host->Statuses()) {
    if (status.segment.pg == pg && status.is_damaged) return true;
  }
  return false;
}

void Injector::InjureDisk() {
  const auto node = static_cast<NodeNo>(sim_.rng.Below(world_.nodes.size()));
  SimDisk& disk = world_.nodes[node]->disk();
  if (disk.IsEmpty()) return;
  auto segment = disk.image().begin();
  std::advance(segment, static_cast<ptrdiff_t>(sim_.rng.Below(disk.image().size())));
  const uint64_t kind = sim_.rng.Below(5);
  if (!MayInjure(node, /*for_good=*/false)) return;
  switch (kind) {
    case 0:
      disk.DamagePage(segment->first);
      return;
    case 1:
      disk.FlipBit(segment->first);
      break;
    case 2:
      disk.LoseSuffix(segment->first);
      break;
    case 3:
      disk.LoseMiddle(segment->first);
      break;
    default:
      disk.Misdirect(segment->first);
  }
  // Damage is found when the log is read again.
  if (sim_.rng.OneIn(2)) KillOne(static_cast<size_t>(node));
}

void Injector::LoseDisk() {
  const auto node = static_cast<NodeNo>(sim_.rng.Below(world_.nodes.size()));
  StorageHost* host = world_.nodes[node];
  if (host->disk().IsEmpty() || !MayInjure(node, /*for_good=*/true)) return;
  if (host->is_up()) host->Kill(/*power_lost=*/true);
  host->disk().LoseAll();
  KillOne(static_cast<size_t>(node));
}

}  // namespace sextant::simulation
