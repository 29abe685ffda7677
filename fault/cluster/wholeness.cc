// FaultCluster: whether the leader serves, and everybody has what there is. See fault_cluster.h.
#include "absl/time/clock.h"
#include "cli/client/status_client.h"
#include "cli/cluster/local_cluster.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "fault/cluster/fault_cluster.h"

namespace sextant::fault {

absl::Status FaultCluster::AwaitServing(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const absl::StatusOr<bool> is_serving = cli::IsServing(Find(leader_)->listen);
    if (is_serving.ok() && *is_serving) {
      state_.is_volume_created = true;
      return cli::SaveState(options_.directory, state_);
    }
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          Text(leader_, " does not serve:\n", cli::LogTail(options_.directory, leader_)));
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

std::string FaultCluster::WhatIsMissing(bool idle) {
  const auto answer = cli::AskComputeNodes({Find(leader_)->listen})[0];
  if (!answer.ok()) return Text(leader_, ": ", std::string(View(answer.status().message())));
  if (answer->phase() != "open") {
    return Text(leader_, " is ", answer->phase(), ": ", answer->detail());
  }
  if (is_binlog()) return WhatReplicasLack(*answer, idle);
  for (const v1::PgProgress& pg : answer->pgs()) {
    for (const v1::MemberProgress& member : pg.members()) {
      const bool has_all = !idle || member.scl() >= pg.last_lsn();
      if (member.state() == "streaming" && has_all) continue;
      return Text("pg ", pg.pg(), " on ", member.node(), " is ", member.state(), ", SCL ",
                  member.scl(), " of ", pg.last_lsn());
    }
  }
  return "";
}

std::string FaultCluster::WhatReplicasLack(const v1::ComputeStatus& source, bool idle) const {
  const auto answers = cli::AskComputeNodes(ComputeEndpoints());
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string& name = state_.nodes[i].name;
    if (name == leader_) continue;
    if (!answers[i].ok()) return Text(name, ": ", View(answers[i].status().message()));
    const v1::ComputeStatus& status = *answers[i];
    if (status.role() != "binlog-replica" || status.phase() != "following") {
      return Text(name, " is ", status.role(), ", ", status.phase(), ": ", status.detail());
    }
    const bool has_all = status.epoch() == source.epoch() && status.vdl() == source.head();
    if (!has_all && idle) {
      return Text(name, " shows transaction ", status.vdl(), " of ", source.head(), ", tenure ",
                  status.epoch(), " of ", source.epoch());
    }
  }
  return "";
}

absl::Status FaultCluster::AwaitWhole(absl::Duration timeout, bool idle) {
  RETURN_IF_ERROR(AwaitServing(timeout));
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    const std::string missing = WhatIsMissing(idle);
    if (missing.empty()) return absl::OkStatus();
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(Text("the cluster does not become whole: ", missing));
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
}

}  // namespace sextant::fault
