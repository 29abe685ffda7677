// See binlog_catalogue.h. A source is the topology's writer, its replicas are the readers.
#include "fault/scenario/binlog_catalogue.h"

#include "fault/scenario/draw.h"

namespace sextant::fault {
namespace {

using Names = std::vector<std::string>;

// Each commit waits for one of two, so one may be away.
constexpr Needs kSourceAndTwo = {.replicas = 2, .semi_sync_acks = 1};
// Clients look for the source among all of them.
constexpr Needs kAnyMayLead = {.promotes = true, .replicas = 2, .semi_sync_acks = 1};

// Whoever holds most leads then; the old source comes back and follows.
Plan SourceKill(const Topology& topology, absl::Duration span, Prng* prng) {
  return {{.fault = Fault::kPromote,
           .targets = {topology.writer},
           .others = topology.readers,
           .lasting = Share(span, 10, 60, prng)}};
}

Plan SourceReturn(const Topology& topology, absl::Duration span, Prng* prng) {
  return {
      {.fault = Fault::kKill, .targets = {topology.writer}, .lasting = Share(span, 1, 50, prng)}};
}

// One after the other, never two at a time.
Plan ReplicaKill(const Topology& topology, absl::Duration span, Prng* prng) {
  constexpr int kCount = 4;
  Plan plan;
  for (size_t i = 0; i < kCount; ++i) {
    plan.push_back({.at = span * static_cast<int>(i) / kCount,
                    .fault = Fault::kKill,
                    .targets = {topology.readers[i % topology.readers.size()]},
                    .lasting = Share(span, 2, 22, prng)});
  }
  return plan;
}

Plan ReplicasGone(const Topology& topology, absl::Duration span, Prng* prng) {
  return {
      {.fault = Fault::kKill, .targets = topology.readers, .lasting = Share(span, 10, 60, prng)}};
}

Plan Pause(const Topology& topology, absl::Duration span, Prng* prng) {
  return AtRandom(topology, span, prng, {Fault::kPause}, 20);
}

Plan PowerLoss(const Topology& topology, absl::Duration span, Prng* prng) {
  Names targets = topology.readers;
  targets.push_back(topology.writer);
  return {{.at = span / 10,
           .fault = Fault::kPowerLoss,
           .targets = std::move(targets),
           .lasting = Share(span, 10, 50, prng)}};
}

}  // namespace

std::vector<Scenario> BinlogScenarios() {
  return {
      {"binlog-source-kill",
       "Binlog: the source dies and the replica that holds most is promoted; the old one rewinds "
       "and follows.",
       kAnyMayLead,
       {},
       {},
       SourceKill},
      {"binlog-source-return",
       "Binlog: the source dies and comes back as the source.",
       kSourceAndTwo,
       {},
       {},
       SourceReturn},
      {"binlog-replica-kill",
       "Binlog: one replica after the other dies and comes back; commits go on with the other.",
       kSourceAndTwo,
       {true, true},
       {},
       ReplicaKill},
      {"binlog-replicas-gone",
       "Binlog: all replicas die; commits wait, and go on when these are back.",
       kSourceAndTwo,
       {.commits_wait = true},
       {},
       ReplicasGone},
      {"binlog-pause",
       "Binlog: SIGSTOP and SIGCONT of the source and of replicas.",
       kSourceAndTwo,
       {},
       {},
       Pause},
      {"binlog-power-loss",
       "Binlog: source and replicas lose power, and all that was not synced.",
       {.disks = true, .replicas = 2, .semi_sync_acks = 1},
       {},
       {},
       PowerLoss},
  };
}

}  // namespace sextant::fault
