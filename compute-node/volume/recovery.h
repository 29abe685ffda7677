// Recovery is a state machine: from six nodes' answers to an open volume under a new epoch. Core.
//
// The normal start-up of a writer, and the promotion of a reader. No redo is replayed: recovery
// fences, finds how far the volume is durable, makes that safe, cuts off the rest, and opens
// (SIGMOD'17 section 4.3, SIGMOD'18 section 2.4; docs/PROTOCOL.md, "Recovery"). Restartable at
// every step: whatever a crashed recovery left is either invisible or repeated by the next, under a
// higher epoch.
//
//   - kDiscover: nodes say which segments they hold, their epochs, truncations; a read quorum a PG.
//   - kFence: new epoch = highest seen + 1, claimed on a write quorum of every PG.
//   - kReadTail: SCLs and the records above the highest known VDL, from a read quorum of every PG,
//     all of it from fenced members that know every truncation.
//   - kWriteBack: PGCL -> VCL by the volume chain -> VDL; the tail goes to a write quorum.
//   - kTruncate: (VDL, U] annulled for older epochs on a write quorum of every PG, where U = LAL +
//     max(VDL, U of every earlier truncation): as far as any writer may have got; and every PG's
//     membership taken over under this epoch, which overrules what a dead writer told a few.
//   - kOpen: result() is set.
//   - kFailed: error() says why. FAILED_PRECONDITION: another claimant won; DATA_LOSS: only damaged
//     copies of a needed record were found (never taken for absent).
//
// Too few members is no failure: recovery waits, and repeats unanswered duties when Tick says so. A
// refusal, or a truncation list newer than the one known, sends it back a phase or to the beginning
// under a higher epoch, a bounded number of times. Answers may come late, twice or out of phase.
//
// The phases' parts have a file each: Discovery, RecoveryQuorum, TailReader, AnalyzeTail,
// WriteBack.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/instant.h"
#include "common/log/batch.h"
#include "common/protocol/storage_messages.h"
#include "common/volume/descriptor.h"
#include "compute-node/volume/discovery.h"
#include "compute-node/volume/duty_book.h"
#include "compute-node/volume/member_address.h"
#include "compute-node/volume/recovery_quorum.h"
#include "compute-node/volume/tail_analysis.h"
#include "compute-node/volume/tail_reader.h"
#include "compute-node/volume/write_back.h"

namespace sextant::compute {

inline constexpr uint64_t kDefaultLal =
    10'000'000;  // LSN allocation limit, SIGMOD'17 section 4.2.1

// What the writer starts from.
struct RecoveredVolume {
  volume::Descriptor descriptor;
  std::vector<volume::Membership> memberships;  // by PG
  VolumeEpoch epoch;
  WriterId writer;
  std::vector<volume::Truncation> truncations;  // whole list, this recovery's last
  Lsn vdl;                                      // VCL too: nothing lies above it
  Lsn pgmrpl;                                   // the highest that a member was told; at most vdl
  Lsn next_lsn;                                 // first to allocate
  uint64_t lal = kDefaultLal;                   // that the truncation was made with
  std::vector<Lsn> pg_tails;                    // by PG: its last LSN at or below vdl
};

class Recovery {
 public:
  struct Options {
    uint64_t lal = kDefaultLal;
    absl::Duration retry_interval = absl::Milliseconds(500);
    int max_attempts = 16;  // claims made before another claimant is left to win
  };
  enum class Phase { kDiscover, kFence, kReadTail, kWriteBack, kTruncate, kOpen, kFailed };

  // Duties, each to be carried out and answered with the input of the same name; a duty that cannot
  // be carried out is answered with its error (UNAVAILABLE where the member does not answer).
  struct AskNode {
    std::string node;
  };
  struct RaiseEpoch {
    MemberAddress member;
    protocol::RaiseEpochRequest request;
  };
  struct ReadLog {
    MemberAddress member;
    protocol::ReadLogRequest request;
  };
  struct SendBatch {
    MemberAddress member;
    log::EncodedBatch batch;
  };
  using Duty = std::variant<AskNode, RaiseEpoch, ReadLog, SendBatch>;

  // `nodes`: the names of every storage node that may hold a member. `volume`: which volume to
  // open.
  Recovery(VolumeId volume, WriterId writer, std::vector<std::string> nodes, Options options);

  void Start(Instant now);
  void NodeAnswered(const std::string& node, const absl::StatusOr<protocol::NodeStatus>& reply,
                    Instant now);
  void EpochRaised(MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply,
                   Instant now);
  void LogRead(MemberAddress member, const absl::StatusOr<protocol::ReadLogReply>& reply,
               Instant now);
  void BatchAcked(MemberAddress member, const protocol::AppendAck& ack, Instant now);
  void Tick(Instant now);

  std::vector<Duty> TakeDuties();

  Phase phase() const { return phase_; }
  // The storage node that a duty's member lives on.
  const std::string& NodeOf(MemberAddress member) const;
  // The node's place in a protection group, as far as known.
  std::optional<quorum::Slot> SlotOf(const std::string& node, PgId pg) const;
  // One line for people: what recovery waits for ("fence: 3 of 4 members of pg 0; az3-a, az3-b
  // silent").
  std::string Describe() const;
  const RecoveredVolume& result() const;  // when kOpen
  const absl::Status& error() const;      // when kFailed

 private:
  size_t pg_count() const { return found_.memberships.size(); }
  bool IsMember(MemberAddress member) const;
  // Whether the reply is a member's answer to this very claim; a rival's claim restarts recovery.
  bool IsOurs(MemberAddress member, const protocol::SegmentStatus& status, Instant now);

  void BeginFence();
  void Fenced(MemberAddress member, const protocol::SegmentStatus& status);
  void BeginReadTail();
  void BeginWriteBack();
  void BeginTruncate();
  void Open();
  // Goes on to the next phase when this one is complete, or fails.
  bool IsWordOf(MemberAddress member, IncarnationId incarnation) const;
  void Advance();
  void AdvanceReadTail();
  void AdvanceWriteBack();
  bool IsEveryMemberFenced(PgId pg) const;
  void Restart(const std::string& why, Instant now);
  // Looks again, for a volume that is larger than was found.
  void Rediscover(const volume::Descriptor& larger);
  void AskAnew();
  void Fail(absl::Status error);

  // Issues what the phase wants and is not under way.
  void Pursue(Instant now);
  void PursueNodes(Instant now);
  void PursueEpoch(const RecoveryQuorum& done, const std::vector<volume::Truncation>& truncations,
                   const std::vector<volume::Membership>& memberships, Instant now);
  RecoveryQuorum WithoutLeftToPeers(const RecoveryQuorum& fenced) const;
  void PursueReads(Instant now);
  void PursueWriteBack(Instant now);
  void TellLeftToPeers(PgId pg, Instant now);
  void IssueRead(MemberAddress member, Lsn after, Lsn through, Instant now);

  VolumeId volume_;
  WriterId writer_;
  std::vector<std::string> nodes_;
  Options options_;
  Phase phase_ = Phase::kDiscover;
  int attempts_ = 1;
  Instant quiet_until_;  // no asking before
  DutyBook book_;
  std::vector<Duty> duties_;

  std::optional<volume::Descriptor> known_;  // the largest geometry that was met in a fence
  Discovery discovery_;
  Discovery::Found found_;
  VolumeEpoch epoch_;
  RecoveryQuorum fenced_;
  std::map<MemberAddress, protocol::SegmentStatus> fenced_statuses_;
  Lsn known_vdl_;
  std::vector<TailReader> tails_;  // by PG
  // Members were asked anew before a loss is reported: of witnesses, of what is to be written back.
  bool is_loss_doubted_ = false, is_tail_loss_doubted_ = false;
  TailAnalysis analysis_;
  std::vector<WriteBack> write_backs_;  // by PG
  std::vector<volume::Truncation> final_truncations_;
  std::vector<volume::Membership> final_memberships_;  // by PG
  RecoveryQuorum truncated_;
  std::optional<RecoveredVolume> result_;
  absl::Status error_;
};

}  // namespace sextant::compute
