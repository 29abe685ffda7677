// The scenarios, and how each draws its plan; those of the traditional path: binlog_catalogue.cc.
#include <algorithm>
#include <utility>

#include "common/base/text.h"
#include "fault/scenario/binlog_catalogue.h"
#include "fault/scenario/draw.h"
#include "fault/scenario/scenario.h"

namespace sextant::fault {
namespace {

using Names = std::vector<std::string>;

const Topology::Zone& PickZone(const Topology& topology, Prng* prng) {
  return topology.zones[prng->Below(topology.zones.size())];
}

Plan AzOutage(const Topology& topology, absl::Duration span, Prng* prng) {
  return Throughout(span, {.fault = Fault::kKill, .targets = PickZone(topology, prng).nodes});
}

Plan AzPlusOne(const Topology& topology, absl::Duration span, Prng* prng) {
  Names targets = PickZone(topology, prng).nodes;
  Names left = topology.StorageNodes();
  std::erase_if(left, [&](const std::string& node) {
    return std::find(targets.begin(), targets.end(), node) != targets.end();
  });
  targets.push_back(PickOf(left, prng));
  return Throughout(span, {.fault = Fault::kKill, .targets = std::move(targets)});
}

Plan AllSix(const Topology& topology, absl::Duration span, Prng* prng) {
  Names targets = topology.StorageNodes();
  if (prng->OneIn(2)) targets.push_back(topology.writer);
  return Throughout(span, {.fault = Fault::kKill, .targets = std::move(targets)});
}

Plan KillRandom(const Topology& topology, absl::Duration span, Prng* prng) {
  return AtRandom(topology, span, prng, {Fault::kKill}, 20);
}
Plan PauseRandom(const Topology& topology, absl::Duration span, Prng* prng) {
  return AtRandom(topology, span, prng, {Fault::kPause}, 20);
}
Plan Storm(const Topology& topology, absl::Duration span, Prng* prng) {
  return AtRandom(topology, span, prng,
                  {Fault::kKill, Fault::kPause, Fault::kPartition, Fault::kPartitionOneWay,
                   Fault::kCutLinks, Fault::kSlowLinks},
                  50);
}

Plan WriterKill(const Topology& topology, absl::Duration span, Prng* prng) {
  return {
      {.fault = Fault::kKill, .targets = {topology.writer}, .lasting = Share(span, 1, 50, prng)}};
}

Plan ZombieWriter(const Topology& topology, absl::Duration span, Prng* prng) {
  return {{.fault = Fault::kTakeOver,
           .targets = {topology.writer},
           .lasting = Share(span, 10, 60, prng)}};
}

// Readers die or sleep; both at once now and then.
Plan ReaderKill(const Topology& topology, absl::Duration span, Prng* prng) {
  constexpr int kCount = 6;
  Plan plan;
  for (size_t i = 0; i < kCount; ++i) {
    plan.push_back({.at = span * static_cast<int>(i) / kCount,
                    .fault = prng->OneIn(2) ? Fault::kKill : Fault::kPause,
                    .targets = {topology.readers[i % topology.readers.size()]},
                    .lasting = Share(span, 2, 30, prng)});
  }
  return plan;
}

Plan Promotion(const Topology& topology, absl::Duration span, Prng* prng) {
  return {{.fault = Fault::kPromote,
           .targets = {topology.writer},
           .others = {PickOf(topology.readers, prng)},
           .lasting = Share(span, 10, 60, prng)}};
}

Plan PartitionNode(const Topology& topology, absl::Duration span, Prng* prng) {
  const Names targets = {PickOf(topology.StorageNodes(), prng)};
  return Throughout(
      span, {.fault = Fault::kPartition, .targets = targets, .others = topology.AllBut(targets)});
}

// Two that cannot hear each other, while everybody else hears both.
Plan PartitionPair(const Topology& topology, absl::Duration span, Prng* prng) {
  Names pair = PickSome(topology.StorageNodes(), 2, prng);
  if (prng->OneIn(2)) pair[1] = topology.writer;
  return Throughout(span, {.fault = Fault::kPartition, .targets = {pair[0]}, .others = {pair[1]}});
}

// It hears, and is not heard; or is heard, and hears nothing.
Plan PartitionOneWay(const Topology& topology, absl::Duration span, Prng* prng) {
  Names deaf = {PickOf(topology.StorageNodes(), prng)};
  Names others = topology.AllBut(deaf);
  if (prng->OneIn(2)) std::swap(deaf, others);
  return Throughout(
      span,
      {.fault = Fault::kPartitionOneWay, .targets = std::move(deaf), .others = std::move(others)});
}

Plan PartitionAz(const Topology& topology, absl::Duration span, Prng* prng) {
  const Names targets = PickZone(topology, prng).nodes;
  return Throughout(
      span, {.fault = Fault::kPartition, .targets = targets, .others = topology.AllBut(targets)});
}

Plan SlowNode(const Topology& topology, absl::Duration span, Prng* prng) {
  const Names targets = {PickOf(topology.StorageNodes(), prng)};
  return Throughout(span, {.fault = Fault::kSlowLinks,
                           .targets = targets,
                           .others = topology.AllBut(targets),
                           .delay = absl::Milliseconds(prng->Between(20, 300))});
}

// One node after the other, ten times; nobody else has trouble meanwhile.
Plan ConnectionResets(const Topology& topology, absl::Duration span, Prng* prng) {
  constexpr int kCount = 10;
  Plan plan;
  for (int i = 0; i < kCount; ++i) {
    const Names targets = {PickOf(topology.StorageNodes(), prng)};
    plan.push_back({.at = span * i / kCount,
                    .fault = Fault::kCutLinks,
                    .targets = targets,
                    .others = topology.AllBut(targets),
                    .lasting = Share(span, 0, 9, prng)});
  }
  return plan;
}

// Two nodes whose disk reports an error at some commit.
Plan DiskError(const Topology& topology, absl::Duration span, Prng* prng) {
  Plan plan;
  for (const std::string& node : PickSome(topology.StorageNodes(), 2, prng)) {
    plan.push_back({.at = Share(span, 0, 30, prng),
                    .fault = Fault::kFailpoint,
                    .targets = {node},
                    .lasting = span / 2,
                    .failpoint = Text("store-sync=error@", prng->Between(1, 60))});
  }
  return plan;
}

Plan SlowDisk(const Topology& topology, absl::Duration span, Prng* prng) {
  return Throughout(span, {.fault = Fault::kSlowDisk,
                           .targets = PickSome(topology.StorageNodes(), 2, prng),
                           .failpoint = Text("store-sync=delay:", prng->Between(50, 500))});
}

Plan DiskDead(const Topology& topology, absl::Duration span, Prng* prng) {
  return Throughout(
      span, {.fault = Fault::kDiskDies, .targets = PickSome(topology.StorageNodes(), 2, prng)});
}

Plan DiskFull(const Topology& topology, absl::Duration span, Prng* prng) {
  return Throughout(
      span, {.fault = Fault::kFillDisk, .targets = PickSome(topology.StorageNodes(), 2, prng)});
}

// All six, half of the time the writer, too.
Plan PowerLoss(const Topology& topology, absl::Duration span, Prng* prng) {
  Plan plan = {{.at = span / 10,
                .fault = Fault::kPowerLoss,
                .targets = topology.StorageNodes(),
                .lasting = Share(span, 10, 50, prng)}};
  if (prng->OneIn(2)) {
    plan.push_back({.at = plan[0].at,
                    .fault = Fault::kKill,
                    .targets = {topology.writer},
                    .lasting = plan[0].lasting});
  }
  return plan;
}

Plan BitFlips(const Topology& topology, absl::Duration span, Prng* prng) {
  Plan plan = Throughout(span, {.fault = Fault::kFlipBits,
                                .targets = PickSome(topology.StorageNodes(), 2, prng),
                                .seed = prng->Next()});
  return plan;
}

// A storage node, or the writer, ends itself at a named place; then another one.
Plan CrashPoints(const Topology& topology, absl::Duration span, Prng* prng) {
  const Names storage_places = {"store-sync", "store-synced"};
  const Names writer_places = {"writer-open", "writer-send", "writer-acknowledge"};
  Plan plan;
  for (int i = 0; i < 3; ++i) {
    const bool is_writer = i == 1;
    const std::string& place = PickOf(is_writer ? writer_places : storage_places, prng);
    const uint64_t turn = place == "writer-open" ? 1 : prng->Between(1, 40);
    plan.push_back(
        {.at = span * i / 3,
         .fault = Fault::kFailpoint,
         .targets = {is_writer ? topology.writer : PickOf(topology.StorageNodes(), prng)},
         .lasting = span / 4,
         .failpoint = Text(place, "=crash@", turn)});
  }
  return plan;
}

// So that there are tables and pages in them soon, and all of it is looked at again soon.
const Names kSmallTables = {"--collect-log",      "256KiB", "--log-memtable", "256KiB",
                            "--page-memtable",    "256KiB", "--scrub-rate",   "256MiB",
                            "--scrub-interval-s", "1"};

// So that what was left behind is let go of at once, and what is flipped is no garbage by then.
const Names kKeepNoHistory = {"--retain-s", "0", "--reader-hold-s", "0"};

// Each in turn, compute node last, the next one only when the one before is up.
Plan RollingRestart(const Topology& topology, absl::Duration span, Prng* prng) {
  Names targets = topology.StorageNodes();
  targets.push_back(topology.writer);
  return Throughout(span, {.fault = Fault::kRestart, .targets = std::move(targets)});
}

// That end, sleep and come back.
std::vector<Scenario> ScenariosOfProcesses() {
  return {
      {"az-outage", "An AZ dies: commits go on, on four of six.", {}, {true, true}, {}, AzOutage},
      {"az-plus-one",
       "An AZ and one node more die: reads go on; commits resume by themselves.",
       {},
       {false, true},
       {},
       AzPlusOne},
      {"all-six",
       "All storage nodes die at once, sometimes the writer too: all acknowledged is there.",
       {},
       {},
       {},
       AllSix},
      {"kill-random",
       "kill -9 of ten random processes, the writer among them.",
       {},
       {},
       {},
       KillRandom},
      {"pause-random", "SIGSTOP and SIGCONT of random processes.", {}, {}, {}, PauseRandom},
      {"storm",
       "Kills, pauses, partitions, resets and slow links at random, half of them at the same time.",
       {.links = true},
       {},
       {},
       Storm},
      {"writer-kill",
       "The writer dies and comes back: recovery loses nothing.",
       {},
       {},
       {},
       WriterKill},
      {"zombie-writer",
       "The writer sleeps, another takes over, the old one wakes: it answers nobody.",
       {.standby = true},
       {},
       {},
       ZombieWriter},
      {"reader-kill",
       "Readers die, sleep and come back while clients read there what they wrote.",
       {.readers = 2},
       {true, true},
       {},
       ReaderKill},
      {"promotion",
       "The writer dies and a reader is promoted; the old writer comes back and reads.",
       {.readers = 2, .promotes = true},
       {},
       {},
       Promotion},
      {"crash-points",
       "Processes end at the worst places: before a sync, after it, while opening.",
       {},
       {},
       {},
       CrashPoints},
      {"rolling-restart",
       "Every process is restarted, one after the other.",
       {},
       {},
       {},
       RollingRestart},
  };
}

// That are cut, one-way, reset or slow.
std::vector<Scenario> ScenariosOfLinks() {
  return {
      {"partition-node",
       "A storage node hears nobody and is not heard.",
       {.links = true},
       {true, true},
       {},
       PartitionNode},
      {"partition-pair",
       "Two nodes do not hear each other; everybody else hears both.",
       {.links = true},
       {true, true},
       {},
       PartitionPair},
      {"partition-one-way",
       "A node hears and is not heard, or the other way round.",
       {.links = true},
       {true, true},
       {},
       PartitionOneWay},
      {"partition-az",
       "An AZ is cut off from the others.",
       {.links = true},
       {true, true},
       {},
       PartitionAz},
      {"slow-node",
       "The links of one node are 20 to 300 ms late: the fastest four decide.",
       {.links = true},
       {true, true},
       {},
       SlowNode},
      {"connection-resets",
       "The connections of one node after the other are reset, ten times: what comes twice counts "
       "once.",
       {.links = true},
       {true, true},
       {},
       ConnectionResets},
  };
}

// That fail, fill up, limp, lose power, or lie.
std::vector<Scenario> ScenariosOfDisks() {
  return {
      {"disk-error",
       "The disks of two nodes report an error: these end, and read back what is there.",
       {},
       {true, true},
       {},
       DiskError},
      {"slow-disk",
       "Every sync of two nodes takes 50 to 500 ms: the fastest four decide.",
       {},
       {true, true},
       {},
       SlowDisk},
      {"disk-dead",
       "Every write and sync of two nodes fails with EIO.",
       {.disks = true},
       {true, true},
       {},
       DiskDead},
      {"disk-full",
       "The disks of two nodes are full: they refuse, and go on when there is room.",
       {.disks = true},
       {true, true},
       {},
       DiskFull},
      {"power-loss",
       "All storage nodes lose power, and all that was not synced.",
       {.disks = true},
       {},
       {},
       PowerLoss},
      {"bit-flips",
       "Bits flip in the files of two nodes: they notice, and mend it from their peers.",
       {},
       {true, true},
       kSmallTables,
       BitFlips,
       kKeepNoHistory},
  };
}

}  // namespace

const std::vector<Scenario>& Scenarios() {
  static const auto* const scenarios = [] {
    auto* const all = new std::vector<Scenario>(ScenariosOfProcesses());
    for (const auto& more : {ScenariosOfLinks(), ScenariosOfDisks(), BinlogScenarios()}) {
      all->insert(all->end(), more.begin(), more.end());
    }
    return all;
  }();
  return *scenarios;
}

}  // namespace sextant::fault
