// BinlogReplicaRole's part in promotions: pledging to others, being promoted itself.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/failpoint/failpoint.h"
#include "common/rpc/logging.h"
#include "compute-node/server/binlog_replica_role.h"

namespace sextant::server {
namespace {

using binlog::Candidate;
using binlog::NodeState;

// Its tenure is begun durably, and nobody was told yet: crash and delay.
Failpoint binlog_promoted("binlog-promoted");

// A pledge is synced before it is answered.
constexpr absl::Duration kPledgePatience = absl::Seconds(3);

absl::Status NoCopy() {
  return absl::UnavailableError("this copy is being rewound or seeded: not now");
}

}  // namespace

absl::Status BinlogReplicaRole::Pledge(const binlog::Pledge& asked) {
  std::lock_guard lock(mutex_);
  if (copy_ == nullptr) return NoCopy();
  if (promoted_ != 0) {
    return absl::FailedPreconditionError(
        Text("this node is about to begin tenure ", promoted_, ": ask again"));
  }
  const NodeState state = copy_->data->state();
  RETURN_IF_ERROR(binlog::CheckPledge(state.pledges, state.tenure, asked));
  RETURN_IF_ERROR(
      copy_->data->UpdateState([&asked](NodeState* now) { Give(asked, &now->pledges); }));
  // Whoever pledges to another one claims nothing itself.
  if (asked.candidate != context_.flags.node) claim_ = 0;
  // From here on nothing is received or acknowledged; that the stream ends comes later.
  copy_->engine->Disconnected();
  if (call_ != nullptr) call_->TryCancel();
  spdlog::info("pledged to follow no source of a lower tenure{}",
               rpc::Fields("tenure", asked.tenure, "candidate", asked.candidate));
  return absl::OkStatus();
}

absl::Status BinlogReplicaRole::Release(const binlog::Pledges& pledges,
                                        const std::vector<BinlogPeer>& others) {
  std::lock_guard lock(mutex_);
  if (copy_ == nullptr) return absl::OkStatus();
  const uint64_t own_tenure = copy_->data->state().tenure;
  const auto state_of = [&](const std::string& name) -> std::optional<binlog::CandidateState> {
    if (name == context_.flags.node) return binlog::CandidateState{claim_, own_tenure};
    for (const BinlogPeer& peer : others) {
      // While it has no copy it does not say which tenure it knows of.
      if (peer.address.node == name && peer.is_reachable() && peer.status.tenure() > 0) {
        return binlog::CandidateState{peer.status.claim(), peer.status.tenure()};
      }
    }
    return std::nullopt;
  };
  std::vector<uint64_t> given_up;
  for (const auto& [tenure, candidate] : pledges.binding) {
    const std::optional<binlog::CandidateState> now = state_of(candidate);
    if (!now.has_value() || !binlog::IsGivenUp({tenure, candidate}, *now)) continue;
    spdlog::info("a promotion was given up{}",
                 rpc::Fields("tenure", tenure, "candidate", candidate));
    given_up.push_back(tenure);
  }
  if (given_up.empty()) return absl::OkStatus();
  return copy_->data->UpdateState([&given_up](NodeState* now) {
    for (const uint64_t tenure : given_up) now->pledges.binding.erase(tenure);
  });
}

absl::StatusOr<binlog::Pledge> BinlogReplicaRole::Claim() {
  const std::vector<BinlogPeer> others = peers_.Ask();
  binlog::Pledge pledge{.candidate = context_.flags.node};
  {
    std::lock_guard lock(mutex_);
    if (copy_ == nullptr) return NoCopy();
    if (claim_ != 0) return absl::FailedPreconditionError("this node is being promoted already");
    const NodeState state = copy_->data->state();
    pledge.tenure =
        1 + std::max({state.tenure, state.pledges.highest, BinlogPeers::HighestTenure(others),
                      BinlogPeers::HighestPledge(others)});
    claim_ = pledge.tenure;
  }
  if (absl::Status status = Pledge(pledge); !status.ok()) {
    std::lock_guard lock(mutex_);
    if (claim_ == pledge.tenure) claim_ = 0;
    return status;
  }
  return pledge;
}

absl::StatusOr<std::vector<Candidate>> BinlogReplicaRole::Collect(const binlog::Pledge& pledge) {
  const std::vector<BinlogPeer> others = peers_.AskToPledge(pledge, kPledgePatience);
  const std::shared_ptr<Copy> now = copy();
  if (now == nullptr) return NoCopy();
  const NodeState own = now->data->state();
  std::vector<Candidate> candidates = {
      {context_.flags.node, now->engine->received(), own.tenure, own.held, own.is_whole}};
  for (const BinlogPeer& peer : others) {
    if (absl::IsFailedPrecondition(peer.answer)) return peer.answer;
    if (!peer.is_reachable()) {
      spdlog::warn("a node does not take part in this promotion{}",
                   rpc::Fields("node", peer.address.node, "why", peer.answer));
      continue;
    }
    if (peer.status.role() != RoleName(RoleKind::kBinlogReplica)) continue;  // the old source
    ASSIGN_OR_RETURN(binlog::GtidSet received, binlog::GtidSet::Parse(peer.status.history()));
    candidates.push_back({peer.address.node, std::move(received), peer.status.tenure(),
                          peer.status.held(), peer.status.is_whole()});
  }
  return candidates;
}

absl::StatusOr<PromotionAnswer> BinlogReplicaRole::Lead(const binlog::Pledge& pledge,
                                                        bool is_forced) {
  binlog::FailoverQuestion question{.replicas = peers_.size(),
                                    .acks = context_.flags.binlog.semi_sync_acks,
                                    .wanted = context_.flags.node,
                                    .is_forced = is_forced};
  ASSIGN_OR_RETURN(question.reachable, Collect(pledge));
  ASSIGN_OR_RETURN(const binlog::FailoverChoice choice, binlog::ChooseSource(question));
  PromotionAnswer answer{RoleKind::kBinlogSource};
  if (choice.may_lose_acknowledged) {
    answer.warning =
        Text("transactions after ", choice.history.last(),
             " may have been answered to clients, and are lost with this promotion: ",
             question.replicas + 1 - question.reachable.size(), " nodes were not counted");
    spdlog::error("promoted by force{}", rpc::Fields("loss", answer.warning));
  }
  for (const std::string& name : choice.must_rewind) {
    spdlog::warn("a replica holds more than the new source and will rewind it{}",
                 rpc::Fields("node", name));
  }
  std::lock_guard lock(mutex_);
  if (claim_ != pledge.tenure) {
    return absl::FailedPreconditionError("another node is being promoted: ask again");
  }
  promoted_ = pledge.tenure;  // from here on it pledges to nobody
  return answer;
}

absl::StatusOr<PromotionAnswer> BinlogReplicaRole::Promotion(bool is_forced) {
  const std::shared_ptr<Copy> now = copy();
  if (now == nullptr) return NoCopy();
  if (const absl::Status broken = now->engine->status().broken; !broken.ok()) {
    return absl::FailedPreconditionError(
        Text("this replica has stopped applying: ", broken.message()));
  }
  {
    std::lock_guard lock(mutex_);
    if (promoted_ != 0) return PromotionAnswer{RoleKind::kBinlogSource};
  }
  ASSIGN_OR_RETURN(const binlog::Pledge pledge, Claim());
  absl::StatusOr<PromotionAnswer> answer = Lead(pledge, is_forced);
  if (answer.ok()) return answer;
  std::lock_guard lock(mutex_);
  if (claim_ == pledge.tenure) claim_ = 0;  // those that pledged see it, and follow as before
  return answer;
}

void BinlogReplicaRole::SavePromotion() {
  const std::shared_ptr<Copy> now = copy();
  uint64_t tenure = 0;
  {
    std::lock_guard lock(mutex_);
    tenure = promoted_;
  }
  if (now == nullptr || tenure == 0) return;
  // What the tenure begins with must not be lost again.
  absl::Status saved = now->data->store().Sync();
  const binlog::TxnSeq begun = now->data->store().history().last();
  if (saved.ok()) {
    saved = now->data->UpdateState([tenure, begun](NodeState* state) {
      state->tenure = state->held = tenure;
      state->source = binlog::SourceId(DrawId());
      state->begun = begun;
      state->is_whole = true;
    });
  }
  if (!saved.ok()) return context_.host.Fail(saved);
  binlog_promoted.Hit().IgnoreError();
}

}  // namespace sextant::server
