// The evening of a Day (day.h): faults end, and what must then come by itself is waited for; then
// everything that is left is compared.
#include <algorithm>
#include <set>

#include "tests/simulation/run/day.h"

namespace sextant::simulation {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);  // simulated

}  // namespace

void Day::Evening() {
  if (sim_.loop.is_stopped()) return;
  sim_.Tell("evening");
  EndFaults();
  keeper_ = computes_[sim_.rng.Below(computes_.size())].get();
  for (const auto& compute : computes_) {
    if (compute.get() != keeper_ && compute->is_up()) compute->Kill();
  }
  const uint64_t before = clients_->acked();
  const auto is_writing = [&] { return keeper_->is_open() && clients_->acked() >= before + 3; };
  if (plan_.is_beyond_budget) {  // "unavailable" and "reported loss" are legal ends
    for (int i = 0; i < 4 && !is_writing(); ++i) RunUntil(absl::Seconds(1), [] { return false; });
    return;
  }
  Await("a writer opens and commits", kPatience, is_writing);
  ConcludeChanges();
  Settle();
  Drill();
  // A segment that a succeeded writer's late request made where nobody counts it asks its peers
  // until its node connects again, and the writer has it dropped.
  for (NodeNo node = 0; node < static_cast<NodeNo>(nodes_.size()); ++node) {
    StopNode(node);
    StartNode(node);
  }
  Settle();
  CheckQuiet();
  CheckCopies();
  CheckPages();
}

// It may be fenced in the evening yet, by what a claimant that died told a single member (seed
// 13660).
void Day::KeepWriter() {
  if (keeper_->is_over()) keeper_->Kill();
  if (!keeper_->is_up()) keeper_->Start();
}

void Day::EndFaults() {
  injector_->Stop();
  network_.JoinAll();
  network_.Calm();
  streams_.plan.reset_one_in = streams_.plan.damage_one_in = 0;
  for (NodeNo node = 0; node < static_cast<NodeNo>(nodes_.size()); ++node) {
    DiskPlan& disk = nodes_[node]->disk().plan;
    disk = plan_.disk;  // none limps any more
    disk.fail_write_one_in = disk.fail_sync_one_in = disk.fill_one_in = 0;
    disk.lose_page_write_one_in = 0;
    StartNode(node);
  }
  for (const auto& reader : readers_) {
    if (!reader->is_up()) reader->Start();
  }
}

ComputeHost* Day::OpenHost() const {
  for (const auto& compute : computes_) {
    if (compute->is_open()) return compute.get();
  }
  return nullptr;
}

bool Day::IsLost(PgId pg, quorum::Slot slot) const {
  const volume::Membership& members = OpenHost()->writer()->MembershipOf(pg);
  const DurableIndex::Copy* copy = checks_.facts().index.CopyOf(pg, members, slot);
  if (copy == nullptr) return members.base.Contains(slot);  // never made: it counts as lost
  return copy->is_wiped;
}

std::vector<Day::MemberAt> Day::HealthyMembers() const {
  std::vector<MemberAt> healthy;
  const compute::Writer& writer = *OpenHost()->writer();
  for (PgId pg(0); pg.value() < writer.memberships().size(); pg = pg.Next()) {
    const volume::Membership& members = writer.MembershipOf(pg);
    for (const quorum::Slot slot : members.ActiveSlots()) {
      if (IsLost(pg, slot)) continue;
      healthy.push_back({pg, slot, checks_.facts().index.nodes.at(members.members[slot].node)});
    }
  }
  return healthy;
}

bool Day::IsMember(NodeNo node) const {
  for (const volume::Membership& members : OpenHost()->writer()->memberships()) {
    if (members.SlotOf(nodes_[node]->member().node)) return true;
  }
  return false;
}

bool Day::HasLostMember(NodeNo node) const {
  const compute::Writer& writer = *OpenHost()->writer();
  for (PgId pg(0); pg.value() < writer.memberships().size(); pg = pg.Next()) {
    const auto slot = writer.MembershipOf(pg).SlotOf(nodes_[node]->member().node);
    if (slot && IsLost(pg, *slot)) return true;
  }
  return false;
}

void Day::ConcludeChanges() {
  if (sim_.loop.is_stopped()) return;
  const bool is_replacing = sim_.rng.OneIn(2);
  const auto is_concluded = [&] {
    ComputeHost* host = OpenHost();
    if (host == nullptr) return false;
    bool is_all = !host->IsReplacing();  // the day's last wish may be under way
    const compute::WriterProgress progress = host->writer()->Progress();
    for (PgId pg(0); pg.value() < progress.pgs.size(); pg = pg.Next()) {
      const compute::PgProgress& group = progress.pgs[pg.value()];
      const auto& members = group.membership.members;
      for (const compute::ChangeProgress& change : group.changes) {
        is_all = false;
        const std::string& from = members[change.from].node;
        if (change.is_held && sim_.rng.OneIn(2)) {
          (void)host->UndoReplacement(pg, from);
        } else if (change.is_held) {
          host->ReplaceSegment(pg, from, members[change.to].node, /*hold=*/false, [](auto) {});
        }
      }
      for (const quorum::Slot slot : group.membership.ActiveSlots()) {
        if (!is_replacing || !group.changes.empty() || !IsLost(pg, slot)) continue;
        is_all = false;
        sim_.Count(Rare::kLostMemberReplaced);
        host->ReplaceSegment(pg, members[slot].node, members[slot].node, false, [](auto) {});
      }
    }
    RunUntil(absl::Milliseconds(20), [] { return false; });
    return is_all;
  };
  Await("every change of members ends", 3 * kPatience, is_concluded);
}

void Day::StopNode(NodeNo node) {
  if (nodes_[node]->is_up()) nodes_[node]->Kill(/*power_lost=*/false);
}

void Day::StartNode(NodeNo node) {
  if (!nodes_[node]->is_up()) nodes_[node]->Start();
}

// --- liveness

// Whether every group keeps so many healthy members when these and `next` are stopped.
bool Day::IsSpared(const std::vector<NodeNo>& stopped, size_t count, NodeNo next,
                   int members) const {
  std::map<PgId, int> left;
  for (const MemberAt& member : HealthyMembers()) {
    const auto end = stopped.begin() + static_cast<ptrdiff_t>(count);
    left[member.pg] += member.node != next && std::find(stopped.begin(), end, member.node) == end;
  }
  return std::ranges::all_of(left, [&](const auto& group) { return group.second >= members; });
}

// What is lost or stopped must not matter: commits with four, with a zone down; reads with a zone
// and one more down, and commits again as soon as the fourth is back.
void Day::Drill() {
  if (sim_.loop.is_stopped()) return;
  if (OpenHost() == nullptr) return;
  std::vector<NodeNo> order(nodes_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<NodeNo>(i);
  // Lost ones are down already; then a zone, or anybody.
  const bool is_zone = sim_.rng.OneIn(2);
  const std::string zone = nodes_[sim_.rng.Below(nodes_.size())]->member().zone;
  for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[sim_.rng.Below(i + 1)]);
  std::ranges::stable_sort(order, {}, [&](NodeNo node) {
    if (HasLostMember(node)) return 0;
    if (!IsMember(node)) return 3;
    return is_zone && nodes_[node]->member().zone == zone ? 1 : 2;
  });
  // Of groups that are not whole there must be four left, and then three.
  const auto take = [&](size_t place, int spared) {
    const auto node =
        std::find_if(order.begin() + static_cast<ptrdiff_t>(place), order.end(),
                     [&](NodeNo candidate) { return IsSpared(order, place, candidate, spared); });
    if (node == order.end()) return false;
    std::rotate(order.begin() + static_cast<ptrdiff_t>(place), node, node + 1);
    return true;
  };
  if (!take(0, 4) || !take(1, 4) || !take(2, 3)) return sim_.Count(Rare::kTooFewForDrill);
  clients_->ResumeWriting();
  StopNode(order[0]);
  StopNode(order[1]);
  uint64_t before = clients_->acked();
  const auto commits = [&] { return clients_->acked() >= before + 3; };
  if (Await("commits go on with four members", kPatience, commits)) {
    const bool is_zone_down = nodes_[order[0]]->member().zone == nodes_[order[1]]->member().zone;
    if (is_zone_down) sim_.Count(Rare::kCommitWithZoneDown);
  }
  StopNode(order[2]);
  RunUntil(absl::Milliseconds(400), [] { return false; });  // what was acknowledged is told
  // Some commits wait. Who only ever waited for more of them would ask for nothing else.
  clients_->StopWriting();
  const uint64_t reads = clients_->read();
  Await("reads go on with three members", kPatience, [&] { return clients_->read() >= reads + 3; });
  const uint64_t shown = clients_->shown();
  Await("reads are proven with three members", kPatience,
        [&] { return clients_->shown() >= shown + 3; });
  sim_.Count(Rare::kReadBelowQuorum);
  StartNode(order[2]);
  clients_->ResumeWriting();
  before = clients_->acked();
  Await("commits resume with the fourth member", kPatience, commits);
  for (const NodeNo node : order) StartNode(node);
}

bool Day::AreMembersWhole() const {
  ComputeHost* host = OpenHost();
  if (host == nullptr || host->writer()->vdl() != host->writer()->head()) return false;
  const compute::WriterProgress progress = host->writer()->Progress();
  if (!progress.growth.empty() || progress.missing_members > 0) return false;
  for (const compute::PgProgress& pg : progress.pgs) {
    if (!pg.membership.changes.empty() || !pg.is_in_effect) return false;
  }
  return std::ranges::all_of(HealthyMembers(), [&](const MemberAt& at) {
    const compute::PgProgress& pg = progress.pgs[at.pg.value()];
    const compute::MemberProgress& member = pg.members[at.slot];
    return member.state == compute::MemberState::kStreaming && member.scl == pg.last_lsn;
  });
}

bool Day::IsVolumeWhole() const {
  if (!AreMembersWhole()) return false;
  std::set<NodeNo> nodes;
  for (const MemberAt& member : HealthyMembers()) nodes.insert(member.node);
  for (const NodeNo node : nodes) {
    for (const protocol::SegmentStatus& status : nodes_[node]->Statuses()) {
      if (status.is_damaged || checks_.facts().index.IsInjured(node, status.segment.pg) ||
          nodes_[node]->disk().HasDamagedPage(status.segment)) {
        return false;
      }
    }
  }
  return true;
}

bool Day::DoReadersShowAll() const {
  ComputeHost* host = OpenHost();
  if (host == nullptr) return false;
  return std::ranges::all_of(readers_, [host](const auto& reader) {
    return reader->is_open() && reader->published() == host->writer()->vdl();
  });
}

void Day::Settle() {
  if (sim_.loop.is_stopped()) return;
  clients_->StopWriting();
  const GossipPlan& gossip = plan_.gossip;
  const absl::Duration round = gossip.machine.grace + gossip.interval +
                               5 * (gossip.patience + gossip.peer_rest) +
                               gossip.machine.max_backoff;
  if (!Await("every member holds everything after ten gossip rounds", 10 * round + kPatience,
             [this] { return IsVolumeWhole(); })) {
    return TellWhoLacks();
  }
  Await("every reader shows what is durable", kPatience, [this] { return DoReadersShowAll(); });
}

void Day::TellWhoLacks() {
  ComputeHost* host = OpenHost();
  if (host == nullptr) return;
  const auto progress = host->writer()->Progress();
  for (uint32_t pg = 0; pg < progress.pgs.size(); ++pg) {
    const auto& members = progress.pgs[pg].members;
    for (size_t slot = 0; slot < members.size(); ++slot) {
      sim_.Tell("pg ", pg, " slot ", slot, ": state ", static_cast<int>(members[slot].state),
                ", SCL ", members[slot].scl, " of ", progress.pgs[pg].last_lsn);
    }
  }
  for (size_t node = 0; node < nodes_.size(); ++node) {
    if (!nodes_[node]->is_up()) continue;
    for (const protocol::SegmentStatus& status : nodes_[node]->Statuses()) {
      sim_.Tell("node ", node, " pg ", status.segment.pg, ": epoch ", status.epoch, ", SCL ",
                status.scl, ", group's last at VDL ", status.pg_lsn_at_vdl, ", ",
                status.records_ahead, " ahead, log from ", status.log_start,
                status.is_damaged ? ", damaged" : "");
    }
  }
}

// --- the last look

void Day::CheckQuiet() {
  if (sim_.loop.is_stopped()) return;
  clients_->StopReading();
  reader_clients_->Stop();
  RunUntil(absl::Seconds(4), [] { return false; });  // the last views close, heartbeats tell
  ComputeHost* host = OpenHost();
  const auto noise = [&] {
    uint64_t sum = host->writer()->counters().heartbeats;
    for (const auto& node : nodes_) sum += node->is_up() ? node->gossip_requests() : 0;
    return sum;
  };
  const uint64_t before = noise();
  std::string before_of_each;
  for (const auto& node : nodes_)
    before_of_each += Text(" ", node->is_up() ? node->gossip_requests() : 0);
  RunUntil(absl::Seconds(2), [] { return false; });
  if (noise() != before) {
    std::string who;
    for (const auto& node : nodes_) who += Text(" ", node->is_up() ? node->gossip_requests() : 0);
    sim_.Violate("I16", noise() - before, " heartbeats and gossip requests in two idle seconds; ",
                 host->writer()->counters().heartbeats, " heartbeats, gossip", who, "; at first ",
                 before_of_each);
  }
}

// I15: every record that counts is on every member that is not lost, and all SCLs are equal. I1:
// nothing acknowledged is missing.
void Day::CheckCopies() {
  if (sim_.loop.is_stopped()) return;
  Facts& facts = checks_.facts();
  const Lsn vdl = OpenHost()->writer()->vdl();
  const std::vector<MemberAt> members = HealthyMembers();
  std::map<PgId, Lsn> last;
  for (const auto& [lsn, record] : facts.history.records()) {
    if (lsn > vdl || facts.history.IsAnnulled(lsn, record.epoch)) continue;
    const PgId pg = plan_.geometry.PgOf(record.page);
    last[pg] = lsn;
    for (const MemberAt& member : members) {
      if (member.pg != pg) continue;
      const auto& records = facts.index.At(member.node, pg).records;
      const auto held = records.find(lsn);
      if (held != records.end() && !held->second.is_injured) continue;
      if (lsn <= facts.index.At(member.node, pg).log_start()) continue;  // its pages hold it
      sim_.Violate("I15", "LSN ", lsn, " of pg ", pg, " is not on node ", member.node, "'s disk");
    }
  }
  for (const MemberAt& member : members) {
    for (const protocol::SegmentStatus& status : nodes_[member.node]->Statuses()) {
      if (status.segment.pg != member.pg || status.scl == last[member.pg]) continue;
      sim_.Violate("I15", "node ", member.node, " pg ", member.pg, " has SCL ", status.scl,
                   ", the last LSN is ", last[member.pg]);
    }
  }
}

// Every page of every member, read at VDL.
void Day::CheckPages() {
  if (sim_.loop.is_stopped()) return;
  for (NodeNo node = 0; node < static_cast<NodeNo>(nodes_.size()); ++node) {
    checks_.collections().CheckPagesAtRest(node);
  }
  ComputeHost* host = OpenHost();
  compute::Writer& writer = *host->writer();
  const Lsn vdl = writer.vdl();
  for (const auto& [pg, slot, node] : HealthyMembers()) {
    protocol::ReadPagesRequest request{.segment = {host->recovered().descriptor.volume, pg},
                                       .epoch = host->epoch(),
                                       .read_point = vdl,
                                       .pg_lsn = (*writer.DurableTails())[pg.value()]};
    for (uint64_t i = 0; i < plan_.geometry.pages_per_pg; ++i) {
      request.pages.push_back(PageNo(pg.value() * plan_.geometry.pages_per_pg + i));
    }
    nodes_[node]->ReadPages(request, [this, host, request, node = node](const auto& reply) {
      if (!reply.ok()) {
        return sim_.Violate("I7", "node ", node, ": ", View(reply.status().message()));
      }
      for (size_t i = 0; i < request.pages.size(); ++i) {
        sim_.observer->PageRead(0, host->epoch(), request.pages[i], request.read_point,
                                reply->pages[i]);
      }
    });
  }
  RunUntil(absl::Milliseconds(100), [] { return false; });
}

}  // namespace sextant::simulation
