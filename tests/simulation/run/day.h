// Day: one seed. Morning (founding), day (faults), evening (faults end, liveness, the last look).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/check/check_suite.h"
#include "tests/simulation/clients/clients.h"
#include "tests/simulation/clients/reader_clients.h"
#include "tests/simulation/compute/compute_host.h"
#include "tests/simulation/compute/reader_host.h"
#include "tests/simulation/faults/injector.h"
#include "tests/simulation/faults/plan.h"
#include "tests/simulation/network/network.h"
#include "tests/simulation/network/streams.h"
#include "tests/simulation/storage/storage_host.h"

namespace sextant::simulation {

class Day {
 public:
  Day(uint64_t seed, bool is_verbose);

  // Whole; the report says what came of it.
  Report Run();

 private:
  // --- building (day.cc)
  void BuildNodes();
  void BuildComputes();
  void Morning();
  // --- the end (evening.cc)
  void Evening();
  void EndFaults();
  void Drill();
  void Settle();
  void TellWhoLacks();
  void CheckQuiet();
  void CheckCopies();
  void CheckPages();
  // Runs until `is_done`, which must come within `limit` of simulated time: a liveness rule.
  bool Await(std::string_view rule, absl::Duration limit, const std::function<bool()>& is_done);
  // Whatever comes of it.
  bool RunUntil(absl::Duration limit, const std::function<bool()>& is_done);
  // Starts the evening's writer where it ended or was fenced, as whoever watches it does.
  void KeepWriter();
  ComputeHost* OpenHost() const;
  bool IsLost(PgId pg, quorum::Slot slot) const;
  bool HasLostMember(NodeNo node) const;
  bool IsSpared(const std::vector<NodeNo>& stopped, size_t count, NodeNo next, int members) const;
  void StopNode(NodeNo node);
  void StartNode(NodeNo node);
  struct MemberAt {
    PgId pg;
    quorum::Slot slot = 0;
    NodeNo node = 0;
  };
  // Of every group, by the newest memberships of the open writer, but for those that are lost.
  std::vector<MemberAt> HealthyMembers() const;
  bool IsMember(NodeNo node) const;
  // Changes that somebody holds are let go or undone; lost members are replaced, or are not.
  void ConcludeChanges();
  bool AreMembersWhole() const;
  bool DoReadersShowAll() const;
  bool IsVolumeWhole() const;
  void TellOfMembers();

  Sim sim_;
  Plan plan_;
  mutable CheckSuite checks_;
  Network network_;
  Streams streams_;
  std::vector<std::unique_ptr<StorageHost>> nodes_;
  std::vector<std::unique_ptr<ComputeHost>> computes_;
  ComputeHost* keeper_ = nullptr;  // the one that writes in the evening
  std::vector<std::unique_ptr<ReaderHost>> readers_;
  std::unique_ptr<Clients> clients_;
  std::unique_ptr<ReaderClients> reader_clients_;
  std::unique_ptr<Injector> injector_;
};

}  // namespace sextant::simulation
