// Scenario: a bad day for a cluster, what it shows, and its plan drawn from a seed. Core.
//
// A plan is a list of steps: at an offset, one fault on some nodes, mended after a time. The runner
// (fault/run) carries them out in order; what a step took and when goes into its journal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "common/base/prng.h"

namespace sextant::fault {

enum class Fault {
  kKill,       // SIGKILL; mended by a start
  kRestart,    // SIGTERM and a start, each awaited, one node after the other; mends itself
  kPause,      // SIGSTOP; mended by SIGCONT
  kTakeOver,   // pauses the writer, another one takes over; mended by waking the old one
  kPromote,    // SIGKILL, and that of `others` is promoted which holds most; mended by a start
  kPartition,  // nothing passes between `targets` and `others`, nobody is told
  kPartitionOneWay,  // nothing of what `targets` send to `others` arrives
  kCutLinks,         // their connections are reset, and new ones as soon as they are made
  kSlowLinks,        // each message between them is `delay` late
  kFillDisk,         // no room but a part of the reserve; mended by giving it back
  kDiskDies,         // every write and sync fails with EIO: the process must end by itself
  kPowerLoss,        // processes killed, what was not synced is gone; mended by power and a start
  kFlipBits,         // killed, bits of its files flipped, started; mends itself
  kSlowDisk,         // killed and started with `failpoint`, which delays; mended by a start without
  kFailpoint,  // killed and started with `failpoint`, which ends it; mended by a start without
};
std::string_view NameOf(Fault fault);  // "power loss"

struct Step {
  absl::Duration at;  // since the faults of the round began
  Fault fault = Fault::kKill;
  std::vector<std::string> targets;
  std::vector<std::string> others;  // of links: whom they cannot reach; of kPromote: who may lead
  absl::Duration lasting;           // then it is mended
  std::string failpoint;            // common/failpoint
  absl::Duration delay;             // of kSlowLinks
  uint64_t seed = 0;                // of what the runner draws itself: which bits
};
using Plan = std::vector<Step>;

// The nodes that a plan may name.
struct Topology {
  struct Zone {
    std::string name;
    std::vector<std::string> nodes;
  };
  std::vector<Zone> zones;
  std::string writer;                // or source, that leads when the round begins
  std::vector<std::string> readers;  // or replicas: compute nodes that may be promoted

  std::vector<std::string> StorageNodes() const;
  std::vector<std::string> AllBut(const std::vector<std::string>& nodes) const;
};

// What a scenario needs of the cluster, beyond processes.
struct Needs {
  bool links = false;     // every link through a relay (fault/relay)
  bool disks = false;     // a file system for each node that keeps data, which takes root
  bool standby = false;   // a second compute node that may take over
  int readers = 0;        // compute nodes that read, while clients read from them
  bool promotes = false;  // one of them: clients look for the writer among all compute nodes
  // Not 0: the traditional path instead, a source and so many replicas, and no storage nodes.
  int replicas = 0;
  int semi_sync_acks = 0;  // replicas that a commit there waits for
  bool is_binlog() const { return replicas > 0; }
};

// What must hold while the faults last; that nothing is lost and all returns holds for every one.
struct Promises {
  bool commits_go_on = false;
  bool reads_go_on = false;
  bool commits_wait = false;  // none is answered between a fault and its mending
};

struct Scenario {
  std::string name;
  std::string shows;  // one line for people
  Needs needs;
  Promises promises;
  std::vector<std::string> storage_flags;  // what its storage nodes are started with
  // The steps of one round, within `span`.
  Plan (*plan)(const Topology& topology, absl::Duration span, Prng* prng) = nullptr;
  std::vector<std::string> compute_flags = {};  // what its compute nodes are started with
};

const std::vector<Scenario>& Scenarios();
// nullptr: there is none of that name.
const Scenario* FindScenario(std::string_view name);

// Moments at which something begins to happen or ends, in order; what the runner walks through.
struct Moment {
  absl::Duration at;
  size_t step = 0;
  bool is_mend = false;
};
std::vector<Moment> MomentsOf(const Plan& plan);

}  // namespace sextant::fault
