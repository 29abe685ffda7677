// Injector: strikes as the plan says, at random moments, until the evening.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "tests/simulation/check/durable_index.h"
#include "tests/simulation/compute/reader_host.h"
#include "tests/simulation/faults/plan.h"

namespace sextant::simulation {

class Injector {
 public:
  struct World {
    Sim* sim;
    const Plan* plan;
    Network* network;
    Streams* streams;
    std::vector<StorageHost*> nodes;
    std::vector<ComputeHost*> computes;
    std::vector<ReaderHost*> readers;
    DurableIndex* index;     // what damage there is already: the budget
    const History* history;  // for counting situations only
  };
  explicit Injector(World world) : sim_(*world.sim), plan_(*world.plan), world_(std::move(world)) {}

  // Claimants come and go from now on.
  void Start();
  // Nothing strikes any more; what is down stays down.
  void Stop() { is_over_ = true; }

 private:
  void Repeat(absl::Duration mean, void (Injector::*strike)());
  // --- processes
  void KillNode();
  void KillOne(size_t node) { KillOne(node, absl::ZeroDuration(), plan_.faults.node_down_high); }
  // It starts again after a time between `low` and `high`.
  void KillOne(size_t node, absl::Duration low, absl::Duration high);
  void PauseNode();
  void KillWriter();
  void PauseWriter();
  void StartRival();
  void Claim(ComputeHost* host);
  void KillReader();
  void PauseReader();
  void PromoteReader();
  // Once `claimant` is no writer any more, its process reads again.
  void ReturnReader(ReaderHost* reader, ComputeHost* claimant);
  void KeepOneClaimant();
  // --- links
  void CutSomething();
  void Cut(const std::vector<ProcessId>& some, const std::vector<ProcessId>& others);
  using Links = std::vector<std::pair<ProcessId, ProcessId>>;
  void Cut(const Links& links, absl::Duration time);
  void ResetStream() { world_.streams->ResetOne(); }
  // --- disks
  void InjureDisk();
  void LoseDisk();
  void StrikeEnds();
  void LoseEnds(const std::vector<NodeNo>& order);
  bool MayInjure(NodeNo node, bool for_good) const;
  struct Harm {  // members of a protection group, in that of its sets which has most
    int injured = 0, lost = 0;
  };
  // If the member of `node` is injured too.
  Harm HarmOf(PgId pg, const volume::Membership& members, std::optional<NodeNo> node,
              bool for_good) const;
  bool IsInjured(NodeNo node, PgId pg) const;

  // --- members (operator.cc)
  void ChangeMembers();
  void Undo(ComputeHost* host, PgId pg);
  void Replace(ComputeHost* host, PgId pg);

  std::vector<ProcessId> NodesOf(const std::string& zone) const;

  Sim& sim_;
  const Plan& plan_;
  const World world_;
  bool is_over_ = false;
};

}  // namespace sextant::simulation
