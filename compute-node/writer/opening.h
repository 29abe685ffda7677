// Opening is a state machine: from six storage nodes to a volume that may be written. Core.
//
// Asks the nodes what they hold, founds the volume where there is none (founding.h), then runs
// Recovery (volume/recovery.h), whose duties it passes on with the nodes' names put in. Owns no
// thread, clock or socket. Never gives up on nodes that are away: it waits, and Describe() says for
// whom.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "common/base/instant.h"
#include "compute-node/volume/recovery.h"
#include "compute-node/writer/founding.h"

namespace sextant::compute {

struct OpeningOptions {
  volume::Membership membership;            // MembershipOf(the nodes to found a volume on)
  std::vector<std::string> spares;          // other nodes, which may have come to hold segments
  std::optional<volume::Descriptor> fresh;  // to found, if there is no volume yet
  WriterId writer;                          // random, of this process
  absl::Duration retry_interval = absl::Milliseconds(500);
  Recovery::Options recovery;
};

class Opening {
 public:
  enum class Phase { kWaiting, kCreating, kRecovering, kOpen, kFailed };

  // Duties, each answered with the input that names it.
  struct AskNode {  // NodeAnswered
    std::string node;
  };
  struct CreateSegment {  // SegmentCreated
    std::string node;
    protocol::CreateSegmentRequest request;
  };
  struct RaiseEpoch {  // EpochRaised
    std::string node;
    Recovery::RaiseEpoch duty;
  };
  struct ReadLog {  // LogRead
    std::string node;
    Recovery::ReadLog duty;
  };
  struct SendBatch {  // BatchAcked, over the node's append stream
    std::string node;
    Recovery::SendBatch duty;
  };
  using Duty = std::variant<AskNode, CreateSegment, RaiseEpoch, ReadLog, SendBatch>;

  explicit Opening(OpeningOptions options);

  void Start(Instant now);
  void NodeAnswered(const std::string& node, const absl::StatusOr<protocol::NodeStatus>& reply,
                    Instant now);
  void SegmentCreated(const std::string& node, const absl::StatusOr<protocol::SegmentStatus>& reply,
                      Instant now);
  void EpochRaised(MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply,
                   Instant now);
  void LogRead(MemberAddress member, const absl::StatusOr<protocol::ReadLogReply>& reply,
               Instant now);
  void BatchAcked(MemberAddress member, const protocol::AppendAck& ack, Instant now);
  void Tick(Instant now);

  std::vector<Duty> TakeDuties();

  Phase phase() const { return phase_; }
  // A node's place in a protection group, as far as known.
  std::optional<quorum::Slot> SlotOf(const std::string& node, PgId pg) const;
  std::string Describe() const;                                 // one line for people
  VolumeId volume() const { return volume_; }                   // VolumeId{0} while unknown
  const Recovery* recovery() const { return recovery_.get(); }  // null before kRecovering
  const RecoveredVolume& result() const;                        // when kOpen
  const absl::Status& error() const { return error_; }          // when kFailed

 private:
  void AskAll(Instant now);
  void Decide(Instant now);
  void StartRecovery(Instant now);
  void FollowRecovery();
  void Fail(absl::Status error);
  std::vector<std::string> Nodes() const;

  const OpeningOptions options_;
  Phase phase_ = Phase::kWaiting;
  VolumeId volume_;
  std::string why_;
  absl::Status error_;
  NodeAnswers answers_;
  std::set<std::string> asked_;  // under way
  int creating_ = 0;             // segments asked for and not yet answered
  bool creation_failed_ = false;
  Instant next_ask_;
  std::unique_ptr<Recovery> recovery_;
  std::vector<Duty> duties_;
};

}  // namespace sextant::compute
