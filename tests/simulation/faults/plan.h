// Plan: what kind of day it will be. Drawn once from the seed, then only obeyed.
//
// Each class of fault is on or off, and its rate is drawn over orders of magnitude, so that days
// differ in kind and not only in detail. The fault budget: at most AZ+1, three, members of a
// protection group are damaged at a time (one of them or two lost for good, so that a write quorum
// remains); one day in twenty goes beyond, up to the last disk but one.
#pragma once

#include "common/base/prng.h"
#include "common/volume/geometry.h"
#include "tests/simulation/clients/clients.h"
#include "tests/simulation/compute/compute_host.h"
#include "tests/simulation/disk/sim_disk.h"
#include "tests/simulation/network/network.h"
#include "tests/simulation/network/streams.h"
#include "tests/simulation/storage/sim_gossip.h"
#include "tests/simulation/storage/sim_upkeep.h"

namespace sextant::simulation {

// Mean times between strikes; zero is never.
struct FaultRates {
  absl::Duration node_kill, node_pause, writer_kill, writer_pause, rival, partition, reset;
  absl::Duration reader_kill, reader_pause, promotion;
  absl::Duration injury;                 // damage at rest
  absl::Duration disk_loss;              // total
  absl::Duration change;                 // wishes about members
  absl::Duration ends;                   // of logs, lost where nobody else is there who has them
  uint64_t power_one_in = 2;             // of node kills
  uint64_t all_nodes_one_in = 0;         // of node kills: every node at once
  uint64_t kill_in_recovery_one_in = 0;  // of claimants
  bool kills_while_truncating = false;   // those, and in no other phase
  absl::Duration node_down_high = absl::Milliseconds(300);
  absl::Duration pause_high = absl::Milliseconds(400);
  absl::Duration partition_high = absl::Milliseconds(400);
};

struct Plan {
  volume::Geometry geometry;
  bool is_beyond_budget = false;
  bool is_founding_faulty = false;
  int max_injured = 3;  // members of a protection group at a time
  int max_lost = 2;     // of them with a lost disk
  absl::Duration day;
  LinkPlan link;
  StreamPlan stream;
  DiskPlan disk;
  int limping_node = -1;
  GossipPlan gossip;
  UpkeepPlan upkeep;
  ComputePlan compute;
  ClientPlan clients;
  FaultRates faults;
};

Plan DrawPlan(Prng* rng);

}  // namespace sextant::simulation
