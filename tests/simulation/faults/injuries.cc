// The part of Injector (injector.h) that damages disks, within the fault budget.
#include <algorithm>

#include "tests/simulation/faults/injector.h"

namespace sextant::simulation {

// Whether one more injury of this node leaves every protection group what it must have. A member
// counts until everything that it lost was stored again.
bool Injector::MayInjure(NodeNo node, bool for_good) const {
  for (PgId pg(0); world_.index->HasMembers(pg); pg = pg.Next()) {
    for (const volume::Membership* members :
         {&world_.index->InEffect(pg), &world_.index->Newest(pg)}) {
      const Harm harm = HarmOf(pg, *members, node, for_good);
      if (harm.injured > plan_.max_injured || harm.lost > plan_.max_lost) return false;
    }
  }
  return true;
}

// Recovery reads three undamaged members of every set. A candidate that was not made yet has lost
// nothing, but it is none of them (docs/decisions/2026-11-22-reads-need-every-set.md, "Price").
Injector::Harm Injector::HarmOf(PgId pg, const volume::Membership& members,
                                std::optional<NodeNo> node, bool for_good) const {
  Harm most;
  const quorum::QuorumSets sets = members.Sets();
  for (const quorum::SlotSet set : sets.sets()) {
    Harm harm;
    for (const quorum::Slot slot : members.ActiveSlots()) {
      if (!set.Contains(slot)) continue;
      const NodeNo other = world_.index->nodes.at(members.members[slot].node);
      const DurableIndex::Copy* copy = world_.index->CopyOf(pg, members, slot);
      const bool is_lost = copy == nullptr ? members.base.Contains(slot) : copy->is_wiped;
      const bool is_own = other == node;
      harm.injured += is_own || copy == nullptr || is_lost || IsInjured(other, pg);
      harm.lost += (is_own && for_good) || is_lost;
    }
    most = {std::max(most.injured, harm.injured), std::max(most.lost, harm.lost)};
  }
  return most;
}

bool Injector::IsInjured(NodeNo node, PgId pg) const {
  if (world_.index->IsInjured(node, pg)) return true;
  for (const auto& [segment, files] : world_.nodes[node]->disk().image()) {
    if (segment.pg == pg && world_.nodes[node]->disk().HasDamagedPage(segment)) return true;
  }
  // It may hold everything again and its disk not know it, or not have looked yet.
  const StorageHost* host = world_.nodes[node];
  const DurableIndex::Copy& copy = world_.index->At(node, pg);
  if (!copy.holes.empty() || !copy.hurt.empty()) return true;
  if (!host->is_up()) return false;
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
  for (PgId pg(0); world_.index->HasMembers(pg); pg = pg.Next()) {
    const volume::Membership& members = world_.index->Newest(pg);
    const auto slot = members.SlotOf(host->member().node);
    if (slot && !members.base.Contains(*slot)) sim_.Count(Rare::kCandidateLost);
  }
  host->disk().LoseAll();
  KillOne(static_cast<size_t>(node));
}

// What is damaged matters most where nobody else has it. Two members fall behind for a while; then
// the writer dies, and of the others, which hold what was acknowledged meanwhile, two lose the end
// of their log and two stay away. Those that answer are a write quorum, and none of it holds that
// any more: whoever takes damage for absence annuls it.
void Injector::StrikeEnds() {
  std::vector<NodeNo> order(world_.nodes.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<NodeNo>(i);
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[sim_.rng.Below(i + 1)]);
  Links links;
  for (const size_t behind : {0, 1}) {
    for (const ComputeHost* compute : world_.computes) {
      links.emplace_back(compute->process(), world_.nodes[order[behind]]->process());
    }
  }
  const absl::Duration time = sim_.Between(absl::Milliseconds(5), absl::Milliseconds(60));
  Cut(links, time);
  sim_.loop.After(time, kWorld, [this, order] {
    if (!is_over_) LoseEnds(order);
  });
}

void Injector::LoseEnds(const std::vector<NodeNo>& order) {
  for (ComputeHost* host : world_.computes) {
    if (!host->is_up()) continue;
    sim_.Count(Fault::kWriterKilled);
    host->Kill();
  }
  for (const size_t damaged : {2, 3}) {
    SimDisk& disk = world_.nodes[order[damaged]]->disk();
    if (!MayInjure(order[damaged], /*for_good=*/false)) continue;
    for (const auto& [segment, files] : disk.image()) {
      disk.LoseEnd(segment, 1 + sim_.rng.Below(3));
    }
  }
  const Lsn durable = world_.history->highest_vdl();
  const History::Record* last = world_.history->Find(durable);
  if (last != nullptr && world_.index->CountWhole(plan_.geometry.PgOf(last->page), durable) <= 2) {
    sim_.Count(Rare::kDurableOnTwoOnly);
  }
  const absl::Duration moment = absl::Milliseconds(5);
  for (const size_t damaged : {2, 3}) KillOne(order[damaged], absl::ZeroDuration(), moment);
  const absl::Duration high = plan_.faults.node_down_high;
  for (size_t away = 4; away < order.size(); ++away) KillOne(order[away], high / 3, high);
}

}  // namespace sextant::simulation
