// See day.h. The world is built, founded and struck; evening.cc has the end.
#include "tests/simulation/run/day.h"

#include <utility>

namespace sextant::simulation {
namespace {

constexpr VolumeId kVolume{7};
constexpr ComputeNo kComputes = 3;
constexpr ReaderNo kReaders = 2;
constexpr size_t kMaxProcesses = 16;

// Two in each of three zones: the six that a volume is founded on.
std::vector<volume::Member> Members() {
  std::vector<volume::Member> members;
  for (const char* zone : {"az1", "az2", "az3"}) {
    for (const char* node : {"a", "b"}) members.push_back({Text(zone, "-", node), zone});
  }
  return members;
}

// And a spare in each.
std::vector<volume::Member> AllNodes() {
  std::vector<volume::Member> nodes = Members();
  for (const char* zone : {"az1", "az2", "az3"}) nodes.push_back({Text(zone, "-c"), zone});
  return nodes;
}

}  // namespace

Day::Day(uint64_t seed, bool is_verbose)
    : sim_(seed),
      plan_(DrawPlan(&sim_.rng)),
      checks_(&sim_),
      network_(&sim_, kMaxProcesses),
      streams_(&sim_, &network_) {
  sim_.is_verbose = is_verbose;
  sim_.observer = &checks_;
  Facts& facts = checks_.facts();
  facts.geometry = plan_.geometry;
  facts.lal = plan_.compute.recovery.lal;
  facts.is_beyond_budget = plan_.is_beyond_budget;
  streams_.plan = plan_.stream;
  BuildNodes();
  BuildComputes();
  std::vector<StorageHost*> nodes;
  for (const auto& node : nodes_) {
    nodes.push_back(node.get());
    facts.disks.push_back(&node->disk());
  }
  std::vector<ComputeHost*> computes;
  for (const auto& compute : computes_) computes.push_back(compute.get());
  clients_ =
      std::make_unique<Clients>(&sim_, plan_.clients, plan_.geometry, &facts.history, computes);
  std::vector<ReaderHost*> readers;
  for (const auto& reader : readers_) readers.push_back(reader.get());
  reader_clients_ = std::make_unique<ReaderClients>(&sim_, plan_.clients, plan_.geometry, readers);
  injector_ = std::make_unique<Injector>(Injector::World{.sim = &sim_,
                                                         .plan = &plan_,
                                                         .network = &network_,
                                                         .streams = &streams_,
                                                         .nodes = nodes,
                                                         .computes = computes,
                                                         .readers = readers,
                                                         .index = &facts.index,
                                                         .history = &facts.history});
}

void Day::BuildNodes() {
  for (const volume::Member& member : AllNodes()) {
    const auto node = static_cast<NodeNo>(nodes_.size());
    checks_.facts().index.nodes[member.node] = node;
    const auto find = [this](const std::string& name) -> StorageHost* {
      for (const auto& host : nodes_) {
        if (host->member().node == name) return host.get();
      }
      return nullptr;
    };
    nodes_.push_back(std::make_unique<StorageHost>(
        StorageHost::World{&sim_, &network_, &streams_, &plan_.gossip, &plan_.upkeep, find}, node,
        member));
    DiskPlan disk = plan_.disk;
    if (node == plan_.limping_node) {
      sim_.Count(Fault::kDiskLimping);
      disk.sync_low *= 50;
      disk.sync_high *= 50;
      disk.read_high *= 50;
    }
    nodes_.back()->disk().plan = disk;
  }
}

void Day::BuildComputes() {
  volume::Membership membership;
  membership.members = Members();
  for (ComputeNo compute = 0; compute < kComputes; ++compute) {
    ComputeHost::World world{.sim = &sim_,
                             .network = &network_,
                             .streams = &streams_,
                             .plan = &plan_.compute,
                             .membership = membership,
                             .fresh = volume::Descriptor{kVolume, plan_.geometry}};
    for (const auto& node : nodes_) world.nodes.push_back(node.get());
    computes_.push_back(std::make_unique<ComputeHost>(std::move(world), compute));
  }
  for (ReaderNo reader = 0; reader < kReaders; ++reader) {
    ReaderHost::World world{.sim = &sim_, .network = &network_, .plan = &plan_.compute};
    for (const auto& node : nodes_) world.nodes.push_back(node.get());
    for (const auto& compute : computes_) world.computes.push_back(compute.get());
    readers_.push_back(std::make_unique<ReaderHost>(std::move(world), reader));
  }
  const size_t processes = nodes_.size() + computes_.size() + readers_.size();
  for (uint32_t from = 1; from <= processes; ++from) {
    for (uint32_t to = 1; to <= processes; ++to) {
      network_.plan(ProcessId(from), ProcessId(to)) = plan_.link;
    }
  }
}

// A volume is founded, on a good morning or on a bad one.
void Day::Morning() {
  for (const auto& node : nodes_) node->Start();
  clients_->Start();
  reader_clients_->Start();
  computes_[0]->Start();
  for (const auto& reader : readers_) reader->Start();
  if (plan_.is_founding_faulty) {
    RunUntil(sim_.Between(absl::ZeroDuration(), absl::Milliseconds(30)), [] { return false; });
    if (OpenHost() == nullptr) {
      sim_.Count(Rare::kFoundingInterrupted);
      computes_[0]->Kill();
      StopNode(static_cast<NodeNo>(sim_.rng.Below(quorum::kMembers)));
      RunUntil(absl::Milliseconds(20), [] { return false; });
      for (NodeNo node = 0; node < static_cast<NodeNo>(nodes_.size()); ++node) StartNode(node);
      computes_[1]->Start();
    }
  }
  Await("the volume is founded", absl::Seconds(10), [this] { return OpenHost() != nullptr; });
}

Report Day::Run() {
  Morning();
  injector_->Start();
  RunUntil(plan_.day, [] { return false; });
  Evening();
  Report& report = sim_.report;
  report.seeds = 1;
  report.events = sim_.loop.events();
  report.simulated_nanos = sim_.loop.now().nanos();
  report.beyond_budget = plan_.is_beyond_budget;
  sim_.loop.Mix(report.commits_acked);
  sim_.loop.Mix(checks_.facts().history.highest_vdl().value());
  report.trace_hash = sim_.loop.hash();
  return report;
}

bool Day::RunUntil(absl::Duration limit, const std::function<bool()>& is_done) {
  const Instant end = sim_.loop.now() + limit;
  while (!sim_.loop.is_stopped() && sim_.loop.now() < end) {
    if (keeper_ != nullptr) KeepWriter();
    if (is_done()) return true;
    sim_.loop.RunUntil(std::min(end, sim_.loop.now() + absl::Milliseconds(5)));
  }
  return is_done();
}

// For whoever looks into a day that did not end well.
void Day::TellOfMembers() {
  ComputeHost* host = OpenHost();
  if (host == nullptr || !sim_.is_verbose) return;
  const compute::WriterProgress progress = host->writer()->Progress();
  sim_.Tell("growth: ", progress.growth);
  for (size_t pg = 0; pg < progress.pgs.size(); ++pg) {
    const compute::PgProgress& group = progress.pgs[pg];
    sim_.Tell("pg ", pg, ": membership ", volume::FormatMembershipEpoch(group.membership.epoch),
              group.is_in_effect ? "" : ", not in effect", ", last LSN ", group.last_lsn, ", ",
              group.changes.size(), " changes");
    for (size_t slot = 0; slot < group.members.size(); ++slot) {
      sim_.Tell("  slot ", slot, " ", group.membership.members[slot].node, ": state ",
                static_cast<int>(group.members[slot].state), ", SCL ", group.members[slot].scl);
    }
  }
  for (const auto& node : nodes_) {
    if (!node->is_up()) continue;
    for (const protocol::SegmentStatus& status : node->Statuses()) {
      sim_.Tell(node->member().node, " pg ", status.segment.pg, ": slot ", int{status.slot},
                ", epoch ", status.epoch, ", membership ",
                volume::FormatMembershipEpoch(status.membership.epoch),
                status.is_damaged ? ", damaged" : "");
    }
  }
}

bool Day::Await(std::string_view rule, absl::Duration limit, const std::function<bool()>& is_done) {
  if (sim_.loop.is_stopped()) return false;
  if (RunUntil(limit, is_done)) return true;
  if (sim_.loop.is_stopped() || plan_.is_beyond_budget) return false;
  TellOfMembers();
  std::string who;
  for (const auto& compute : computes_) who += Text("; writer: ", compute->Describe());
  sim_.Violate("liveness", rule, " not within ", absl::ToDoubleSeconds(limit), " s", who);
  return false;
}

}  // namespace sextant::simulation
