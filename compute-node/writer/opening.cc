// See opening.h.
#include "compute-node/writer/opening.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::compute {

Opening::Opening(OpeningOptions options) : options_(std::move(options)) {
  SEXTANT_CHECK(options_.membership.members.size() == quorum::kMembers);
}

void Opening::Start(Instant now) { AskAll(now); }

void Opening::AskAll(Instant now) {
  next_ask_ = now + options_.retry_interval;
  for (const std::string& node : Nodes()) {
    if (asked_.insert(node).second) duties_.push_back(AskNode{node});
  }
}

std::vector<std::string> Opening::Nodes() const {
  std::vector<std::string> nodes = options_.spares;
  for (const volume::Member& member : options_.membership.members) nodes.push_back(member.node);
  return nodes;
}

void Opening::NodeAnswered(const std::string& node,
                           const absl::StatusOr<protocol::NodeStatus>& reply, Instant now) {
  asked_.erase(node);
  if (reply.ok()) {
    answers_[node] = *reply;
  } else {
    answers_.erase(node);
  }
  if (recovery_) {
    recovery_->NodeAnswered(node, reply, now);
    FollowRecovery();
  } else if (phase_ == Phase::kWaiting) {
    Decide(now);
  }
}

void Opening::Decide(Instant now) {
  FoundingVerdict verdict = DecideFounding(options_.membership, answers_, options_.fresh);
  why_ = std::move(verdict.why);
  switch (verdict.kind) {
    case FoundingVerdict::Kind::kWait:
      return;
    case FoundingVerdict::Kind::kRefuse:
      return Fail(std::move(verdict.error));
    case FoundingVerdict::Kind::kRecover:
      // A few answers more, so that a node with another volume's directory is noticed now.
      if (answers_.size() < quorum::kWriteQuorum && !asked_.empty()) return;
      volume_ = verdict.volume;
      return StartRecovery(now);
    case FoundingVerdict::Kind::kCreate:
      volume_ = verdict.volume;
      phase_ = Phase::kCreating;
      creating_ = static_cast<int>(verdict.requests.size());
      creation_failed_ = false;
      for (NodeCreateRequest& request : verdict.requests) {
        duties_.push_back(CreateSegment{std::move(request.node), std::move(request.request)});
      }
  }
}

void Opening::SegmentCreated(const std::string& node,
                             const absl::StatusOr<protocol::SegmentStatus>& reply, Instant now) {
  if (phase_ != Phase::kCreating) return;
  --creating_;
  if (!reply.ok()) {
    if (reply.status().code() == absl::StatusCode::kAborted) {
      return Fail(absl::FailedPreconditionError(
          Text("storage node ", node,
               " refuses the new volume's segment: ", View(reply.status().message()))));
    }
    creation_failed_ = true;
    why_ = Text("storage node ", node,
                " has not created its segment: ", View(reply.status().message()));
  }
  if (creating_ > 0) return;
  if (!creation_failed_) return StartRecovery(now);
  // Whatever was created is found again by asking: the next verdict asks for the rest.
  phase_ = Phase::kWaiting;
  answers_.clear();
  next_ask_ = now + options_.retry_interval;
}

void Opening::StartRecovery(Instant now) {
  phase_ = Phase::kRecovering;
  recovery_ = std::make_unique<Recovery>(volume_, options_.writer, Nodes(), options_.recovery);
  recovery_->Start(now);
  FollowRecovery();
}

void Opening::EpochRaised(MemberAddress member,
                          const absl::StatusOr<protocol::SegmentStatus>& reply, Instant now) {
  if (!recovery_) return;
  recovery_->EpochRaised(member, reply, now);
  FollowRecovery();
}

void Opening::LogRead(MemberAddress member, const absl::StatusOr<protocol::ReadLogReply>& reply,
                      Instant now) {
  if (!recovery_) return;
  recovery_->LogRead(member, reply, now);
  FollowRecovery();
}

void Opening::BatchAcked(MemberAddress member, const protocol::AppendAck& ack, Instant now) {
  if (!recovery_) return;
  recovery_->BatchAcked(member, ack, now);
  FollowRecovery();
}

void Opening::Tick(Instant now) {
  if (recovery_) {
    recovery_->Tick(now);
    FollowRecovery();
  } else if (phase_ == Phase::kWaiting && now >= next_ask_) {
    AskAll(now);
  }
}

void Opening::FollowRecovery() {
  for (Recovery::Duty& duty : recovery_->TakeDuties()) {
    if (auto* ask = std::get_if<Recovery::AskNode>(&duty)) {
      duties_.push_back(AskNode{std::move(ask->node)});
    } else if (auto* raise = std::get_if<Recovery::RaiseEpoch>(&duty)) {
      duties_.push_back(RaiseEpoch{recovery_->NodeOf(raise->member), std::move(*raise)});
    } else if (auto* read = std::get_if<Recovery::ReadLog>(&duty)) {
      duties_.push_back(ReadLog{recovery_->NodeOf(read->member), std::move(*read)});
    } else if (auto* send = std::get_if<Recovery::SendBatch>(&duty)) {
      duties_.push_back(SendBatch{recovery_->NodeOf(send->member), std::move(*send)});
    }
  }
  if (phase_ != Phase::kRecovering) return;
  if (recovery_->phase() == Recovery::Phase::kOpen) phase_ = Phase::kOpen;
  if (recovery_->phase() == Recovery::Phase::kFailed) Fail(recovery_->error());
}

void Opening::Fail(absl::Status error) {
  phase_ = Phase::kFailed;
  error_ = std::move(error);
}

std::vector<Opening::Duty> Opening::TakeDuties() { return std::exchange(duties_, {}); }

std::string Opening::Describe() const {
  switch (phase_) {
    case Phase::kWaiting:
      return why_.empty() ? "asking the storage nodes what they hold" : why_;
    case Phase::kCreating:
      return Text("creating volume ", FormatVolumeId(volume_), ": ", creating_, " segments to go");
    case Phase::kRecovering:
      return recovery_->Describe();
    case Phase::kOpen:
      return "open";
    case Phase::kFailed:
      return std::string(error_.message());
  }
  return "";
}

const RecoveredVolume& Opening::result() const {
  SEXTANT_CHECK(phase_ == Phase::kOpen);
  return recovery_->result();
}

std::optional<quorum::Slot> Opening::SlotOf(const std::string& node, PgId pg) const {
  return recovery_ ? recovery_->SlotOf(node, pg) : std::nullopt;
}

}  // namespace sextant::compute
