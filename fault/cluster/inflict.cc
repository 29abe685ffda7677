// See inflict.h.
#include "fault/cluster/inflict.h"

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "fault/cluster/bit_flips.h"

namespace sextant::fault {
namespace {

constexpr absl::Duration kWholeTimeout = absl::Seconds(120);
constexpr absl::Duration kEndTimeout = absl::Seconds(120);
// Half of what a storage node keeps in reserve by default: it refuses batches, and RocksDB can
// still finish what it has begun.
constexpr uint64_t kLeftOnFullDisk = 32ull << 20;

LinkFault Stalled() {
  LinkFault fault;
  fault.there.is_stalled = fault.back.is_stalled = true;
  return fault;
}

absl::Status CutPower(const Step& step, FaultCluster* cluster) {
  // Stopped first: a sync that is under way when its file system shuts down may be told that it
  // succeeded, and a machine without power tells nobody.
  RETURN_IF_ERROR(cluster->Pause(step.targets));
  // All at the same moment, as far as system calls allow: what one of them still syncs later than
  // the others it would have had in a real outage, too.
  for (const std::string& node : step.targets) RETURN_IF_ERROR(cluster->disks().CutPower(node));
  return cluster->Kill(step.targets);
}

absl::Status RestorePower(const Step& step, FaultCluster* cluster) {
  for (const std::string& node : step.targets) {
    RETURN_IF_ERROR(cluster->disks().RestorePower(node));
  }
  return cluster->Start(step.targets);
}

absl::Status KillDisks(const Step& step, FaultCluster* cluster) {
  for (const std::string& node : step.targets) {
    cluster->ExpectEnd(node);
    RETURN_IF_ERROR(cluster->disks().CutPower(node));
  }
  return absl::OkStatus();
}

// They must end by themselves before they are started again.
absl::Status AwaitEnds(const Step& step, FaultCluster* cluster) {
  for (const std::string& node : step.targets) {
    RETURN_IF_ERROR(cluster->AwaitExit(node, kEndTimeout));
  }
  return absl::OkStatus();
}

absl::Status StartWithFailpoint(const Step& step, FaultCluster* cluster) {
  RETURN_IF_ERROR(cluster->Kill(step.targets));
  // It may end at its failpoint before its ports are open.
  (void)cluster->Start(step.targets, {"--failpoint", step.failpoint});
  for (const std::string& node : step.targets) cluster->ExpectEnd(node);
  return absl::OkStatus();
}

absl::Status FlipAndStart(const Step& step, FaultCluster* cluster) {
  RETURN_IF_ERROR(cluster->Kill(step.targets));
  Prng prng(step.seed);
  for (const std::string& node : step.targets) {
    RETURN_IF_ERROR(FlipBits(cluster->DataFolder(node), &prng).status());
  }
  return cluster->Start(step.targets);
}

absl::Status RestartInTurn(const Step& step, FaultCluster* cluster) {
  for (const std::string& node : step.targets) {
    RETURN_IF_ERROR(cluster->Stop(node));
    RETURN_IF_ERROR(cluster->Start({node}));
    RETURN_IF_ERROR(cluster->AwaitWhole(kWholeTimeout, /*idle=*/false));
  }
  return absl::OkStatus();
}

absl::Status TakeOver(const Step& step, FaultCluster* cluster) {
  RETURN_IF_ERROR(cluster->Pause(step.targets));
  return cluster->TakeOver();
}

absl::Status KillAndPromote(const Step& step, FaultCluster* cluster) {
  RETURN_IF_ERROR(cluster->Kill(step.targets));
  return cluster->Promote(step.others);
}

absl::Status Slow(const Step& step, absl::Duration delay, FaultCluster* cluster) {
  LinkFault fault;
  fault.there.delay = fault.back.delay = delay;
  return cluster->SetLinks(step.targets, step.others, fault);
}

absl::Status OneWay(const Step& step, FaultCluster* cluster) {
  LinkFault fault;
  fault.there.is_stalled = true;
  return cluster->SetLinks(step.targets, step.others, fault);
}

}  // namespace

absl::Status Inflict(const Step& step, FaultCluster* cluster) {
  switch (step.fault) {
    case Fault::kKill:
      return cluster->Kill(step.targets);
    case Fault::kRestart:
      return RestartInTurn(step, cluster);
    case Fault::kPause:
      return cluster->Pause(step.targets);
    case Fault::kTakeOver:
      return TakeOver(step, cluster);
    case Fault::kPromote:
      return KillAndPromote(step, cluster);
    case Fault::kPartition:
      return cluster->SetLinks(step.targets, step.others, Stalled());
    case Fault::kPartitionOneWay:
      return OneWay(step, cluster);
    case Fault::kCutLinks:
      return cluster->SetLinks(step.targets, step.others, {.is_cut = true});
    case Fault::kSlowLinks:
      return Slow(step, step.delay, cluster);
    case Fault::kFillDisk:
      for (const std::string& node : step.targets) {
        RETURN_IF_ERROR(cluster->disks().FillUp(node, kLeftOnFullDisk));
      }
      return absl::OkStatus();
    case Fault::kDiskDies:
      return KillDisks(step, cluster);
    case Fault::kPowerLoss:
      return CutPower(step, cluster);
    case Fault::kSlowDisk:
      RETURN_IF_ERROR(cluster->Kill(step.targets));
      return cluster->Start(step.targets, {"--failpoint", step.failpoint});
    case Fault::kFlipBits:
      return FlipAndStart(step, cluster);
    case Fault::kFailpoint:
      return StartWithFailpoint(step, cluster);
  }
  return absl::OkStatus();
}

absl::Status Mend(const Step& step, FaultCluster* cluster) {
  switch (step.fault) {
    case Fault::kKill:
    case Fault::kPromote:
      return cluster->Start(step.targets);
    case Fault::kPause:
    case Fault::kTakeOver:
      return cluster->Resume(step.targets);
    case Fault::kPartition:
    case Fault::kPartitionOneWay:
    case Fault::kCutLinks:
    case Fault::kSlowLinks:
      return cluster->SetLinks(step.targets, step.others, {});
    case Fault::kFillDisk:
      for (const std::string& node : step.targets) {
        RETURN_IF_ERROR(cluster->disks().GiveBack(node));
      }
      return absl::OkStatus();
    case Fault::kDiskDies:
      RETURN_IF_ERROR(AwaitEnds(step, cluster));
      return RestorePower(step, cluster);
    case Fault::kPowerLoss:
      return RestorePower(step, cluster);
    case Fault::kSlowDisk:
      RETURN_IF_ERROR(cluster->Kill(step.targets));
      return cluster->Start(step.targets);
    case Fault::kFailpoint:
      RETURN_IF_ERROR(AwaitEnds(step, cluster));
      return cluster->Start(step.targets);
    case Fault::kRestart:
    case Fault::kFlipBits:
      break;
  }
  return absl::OkStatus();
}

std::string Describe(const Step& step) {
  std::string text = Text(NameOf(step.fault), " ", std::string(absl::StrJoin(step.targets, " ")));
  const bool is_of_links = step.fault == Fault::kPartition ||
                           step.fault == Fault::kPartitionOneWay ||
                           step.fault == Fault::kCutLinks || step.fault == Fault::kSlowLinks;
  if (is_of_links) text += Text(" from ", std::string(absl::StrJoin(step.others, " ")));
  if (step.fault == Fault::kPromote) {
    text += Text(", promote ", std::string(absl::StrJoin(step.others, " or ")));
  }
  if (!step.failpoint.empty()) text += Text(" at ", step.failpoint);
  if (step.delay > absl::ZeroDuration()) text += Text(" by ", absl::FormatDuration(step.delay));
  return text;
}

}  // namespace sextant::fault
