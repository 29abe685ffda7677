// See injector.h. Processes and links; disks are in injuries.cc.
#include "tests/simulation/faults/injector.h"

#include <algorithm>
#include <cmath>

namespace sextant::simulation {

void Injector::Start() {
  const FaultRates& rates = plan_.faults;
  Repeat(rates.node_kill, &Injector::KillNode);
  Repeat(rates.node_pause, &Injector::PauseNode);
  Repeat(rates.writer_kill, &Injector::KillWriter);
  Repeat(rates.writer_pause, &Injector::PauseWriter);
  Repeat(rates.rival, &Injector::StartRival);
  Repeat(rates.reader_kill, &Injector::KillReader);
  Repeat(rates.reader_pause, &Injector::PauseReader);
  Repeat(rates.promotion, &Injector::PromoteReader);
  Repeat(rates.partition, &Injector::CutSomething);
  Repeat(rates.reset, &Injector::ResetStream);
  Repeat(rates.injury, &Injector::InjureDisk);
  Repeat(rates.disk_loss, &Injector::LoseDisk);
  Repeat(rates.change, &Injector::ChangeMembers);
  Repeat(rates.ends, &Injector::StrikeEnds);
  Repeat(absl::Milliseconds(20), &Injector::KeepOneClaimant);
}

// Strikes, on average once in `mean`.
void Injector::Repeat(absl::Duration mean, void (Injector::*strike)()) {
  if (mean <= absl::ZeroDuration()) return;
  const absl::Duration pause = sim_.Between(absl::ZeroDuration(), 2 * mean);
  sim_.loop.After(pause, kWorld, [this, mean, strike] {
    if (is_over_) return;
    (this->*strike)();
    Repeat(mean, strike);
  });
}

// --- storage nodes

void Injector::KillNode() {
  if (sim_.Happens(plan_.faults.all_nodes_one_in)) {
    for (size_t node = 0; node < world_.nodes.size(); ++node) KillOne(node);
  } else {
    KillOne(sim_.rng.Below(world_.nodes.size()));
  }
}

void Injector::KillOne(size_t node, absl::Duration low, absl::Duration high) {
  StorageHost* host = world_.nodes[node];
  if (host->is_up()) {
    const bool is_power = sim_.rng.OneIn(plan_.faults.power_one_in);
    sim_.Count(Fault::kNodeKilled);
    sim_.Tell(host->member().node, is_power ? " loses power" : " is killed");
    host->Kill(is_power);
  }
  // Also one that ended by itself, for a failed disk.
  sim_.loop.After(sim_.Between(low, high), kWorld, [this, host] {
    if (is_over_ || host->is_up()) return;
    sim_.Tell(host->member().node, " starts");
    host->Start();
  });
}

void Injector::PauseNode() {
  StorageHost* host = world_.nodes[sim_.rng.Below(world_.nodes.size())];
  if (!host->is_up())
    return KillOne(
        static_cast<size_t>(std::ranges::find(world_.nodes, host) - world_.nodes.begin()));
  sim_.Count(Fault::kNodePaused);
  sim_.loop.Pause(host->process(), sim_.Between(absl::ZeroDuration(), plan_.faults.pause_high));
}

// --- compute nodes

void Injector::KillWriter() {
  ComputeHost* host = world_.computes[sim_.rng.Below(world_.computes.size())];
  if (!host->is_up()) return;
  sim_.Count(Fault::kWriterKilled);
  host->Kill();
}

void Injector::PauseWriter() {
  ComputeHost* host = world_.computes[sim_.rng.Below(world_.computes.size())];
  if (!host->is_up()) return;
  const absl::Duration time = sim_.Between(absl::ZeroDuration(), plan_.faults.pause_high);
  sim_.Count(Fault::kWriterPaused);
  sim_.Tell("writer pauses for ", absl::ToDoubleMilliseconds(time), " ms, ", host->Describe());
  sim_.loop.Pause(host->process(), time);
  sim_.loop.After(time, host->process(), [this, host] {
    const auto& openings = world_.history->openings();
    if (host->is_open() && openings.rbegin()->first > host->epoch()) {
      sim_.Count(Rare::kFencedWriterWoke);
    }
  });
}

void Injector::StartRival() {
  ComputeHost* host = world_.computes[sim_.rng.Below(world_.computes.size())];
  if (host->is_up()) {
    if (!host->is_over()) return;
    host->Kill();
  }
  sim_.Count(Fault::kRivalStarted);
  Claim(host);
}

void Injector::Claim(ComputeHost* host) {
  if (sim_.Happens(plan_.faults.kill_in_recovery_one_in)) {
    const auto drawn = static_cast<compute::Recovery::Phase>(sim_.rng.Below(5));
    const bool is_late = plan_.faults.kills_while_truncating;
    host->KillIn(is_late ? compute::Recovery::Phase::kTruncate : drawn, 1 << sim_.rng.Below(5));
  }
  host->Start();
}

void Injector::KeepOneClaimant() {
  for (ComputeHost* host : world_.computes) {
    if (host->is_up() && !host->is_over()) return;
  }
  StartRival();
}

void Injector::KillReader() {
  ReaderHost* host = world_.readers[sim_.rng.Below(world_.readers.size())];
  if (!host->is_up()) return;
  sim_.Count(Fault::kReaderKilled);
  host->Kill();
  sim_.loop.After(sim_.Between(absl::ZeroDuration(), plan_.faults.node_down_high), kWorld,
                  [this, host] {
                    if (!is_over_ && !host->is_up()) host->Start();
                  });
}

void Injector::PauseReader() {
  ReaderHost* host = world_.readers[sim_.rng.Below(world_.readers.size())];
  if (!host->is_up()) return;
  sim_.Count(Fault::kReaderPaused);
  sim_.loop.Pause(host->process(), sim_.Between(absl::ZeroDuration(), plan_.faults.pause_high));
}

// As compute-node/server/node.cc does it: the reader's role ends, then the writer's begins with
// nothing in memory. The process is a ReaderHost before and a ComputeHost after.
void Injector::PromoteReader() {
  ReaderHost* reader = world_.readers[sim_.rng.Below(world_.readers.size())];
  if (!reader->is_up()) return;
  const auto idle = std::ranges::find_if(
      world_.computes, [](const ComputeHost* host) { return !host->is_up() || host->is_over(); });
  if (idle == world_.computes.end()) return;
  if ((*idle)->is_up()) (*idle)->Kill();
  sim_.Count(Fault::kReaderPromoted);
  sim_.Tell("a reader is promoted, ", reader->Describe());
  reader->Kill();
  Claim(*idle);
  ReturnReader(reader, *idle);
}

void Injector::ReturnReader(ReaderHost* reader, ComputeHost* claimant) {
  sim_.loop.After(absl::Milliseconds(20), kWorld, [this, reader, claimant] {
    if (is_over_ || reader->is_up()) return;
    if (claimant->is_up() && !claimant->is_over()) return ReturnReader(reader, claimant);
    reader->Start();
  });
}

// --- links

std::vector<ProcessId> Injector::NodesOf(const std::string& zone) const {
  std::vector<ProcessId> processes;
  for (StorageHost* host : world_.nodes) {
    if (zone.empty() || host->member().zone == zone) processes.push_back(host->process());
  }
  return processes;
}

void Injector::CutSomething() {
  std::vector<ProcessId> nodes = NodesOf("");
  std::vector<ProcessId> computes;
  for (ComputeHost* host : world_.computes) computes.push_back(host->process());
  for (ReaderHost* host : world_.readers) computes.push_back(host->process());
  std::vector<ProcessId> all = nodes;
  all.insert(all.end(), computes.begin(), computes.end());
  const auto one_of = [this](const std::vector<ProcessId>& set) {
    return std::vector<ProcessId>{set[sim_.rng.Below(set.size())]};
  };
  const auto some_of = [this](const std::vector<ProcessId>& set) {
    std::vector<ProcessId> some;
    for (const ProcessId process : set) {
      if (sim_.rng.OneIn(2)) some.push_back(process);
    }
    return some;
  };
  const std::string zone = world_.nodes[sim_.rng.Below(world_.nodes.size())]->member().zone;
  switch (sim_.rng.Below(6)) {
    case 0:
      return Cut(one_of(all), one_of(all));  // a pair
    case 1:
      return Cut(one_of(nodes), all);  // a node from everybody
    case 2:
      return Cut(NodesOf(zone), all);  // a zone, its own links too
    case 3:
      return Cut(one_of(computes), NodesOf(zone));
    case 4:
      return Cut(one_of(computes), some_of(nodes));
    default:
      return Cut(some_of(all), some_of(all));
  }
}

void Injector::Cut(const std::vector<ProcessId>& some, const std::vector<ProcessId>& others) {
  sim_.Count(Fault::kPartition);
  const uint64_t direction = sim_.rng.Below(3);  // there, back, or both
  Links links;
  for (const ProcessId a : some) {
    for (const ProcessId b : others) {
      if (a == b) continue;
      if (direction != 1) links.emplace_back(a, b);
      if (direction != 0) links.emplace_back(b, a);
    }
  }
  Cut(links, sim_.Between(absl::ZeroDuration(), plan_.faults.partition_high));
}

void Injector::Cut(const Links& links, absl::Duration time) {
  sim_.Tell("cut ", links.size(), " links");
  for (const auto& [from, to] : links) world_.network->Cut(from, to, true);
  sim_.loop.After(time, kWorld, [this, links] {
    for (const auto& [from, to] : links) world_.network->Cut(from, to, false);
  });
}

}  // namespace sextant::simulation
