// Writer is a state machine: LSNs, batches to six members, acknowledgements, and what is durable.
// Core.
//
// It composes the parts, one file each, cut by watermark: LsnAllocator (LAL), LogBuffer (back
// links, boxcarring), Shipper (per member: what to send and resend), AckTracker (PGCL),
// DurabilityTracker (VCL, VDL), CommitQueue (who waits for which LSN), ReadPoints (PGMRPL),
// HeldByAll (for how long segments keep their log), EpochGuard (proof that this is still the
// writer), MembershipChanger (who the members are), Growth (more protection groups). It owns no
// thread, clock or socket; docs/PROTOCOL.md sections "Watermarks" and "Commit".
//
// Invariants: VDL never falls; VDL <= VCL <= head; head <= max(VDL, U) + LAL, U being the upper end
// of the truncation that opened this epoch; no wait is released with OK below its LSN; nothing but
// RaiseEpoch is sent to a member that has not answered for this epoch with the whole truncation
// list.
//
// Once fenced it stays so: nothing is sent, acknowledgements are ignored, VDL stays.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/instant.h"
#include "common/log/batch.h"
#include "common/page/delta.h"
#include "common/protocol/storage_messages.h"
#include "compute-node/volume/ack_tracker.h"
#include "compute-node/volume/commit_queue.h"
#include "compute-node/volume/durability_tracker.h"
#include "compute-node/volume/epoch_guard.h"
#include "compute-node/volume/growth.h"
#include "compute-node/volume/held_by_all.h"
#include "compute-node/volume/log_buffer.h"
#include "compute-node/volume/lsn_allocator.h"
#include "compute-node/volume/member_sessions.h"
#include "compute-node/volume/membership_changer.h"
#include "compute-node/volume/pg_tails.h"
#include "compute-node/volume/read_points.h"
#include "compute-node/volume/recovery.h"
#include "compute-node/volume/shipper.h"

namespace sextant::compute {

struct WriterOptions {
  // Redo bytes appended but not yet on a write quorum; above it appends are refused
  // (back-pressure).
  uint64_t max_unacked_bytes = 64ull << 20;
  // Redo bytes kept for members that are behind. One that falls behind more is sent what follows
  // and must get the rest from its peers.
  uint64_t max_retained_bytes = 256ull << 20;
  // Sent to one member and not yet acknowledged; a slow member's further batches wait in the
  // writer.
  uint64_t max_member_unacked_bytes = 16ull << 20;
  // A batch is sealed at once when none of its group awaits its quorum, and while fewer than this
  // many do, when it holds so many bytes (log_buffer.h).
  int max_batches_in_flight = 2;
  uint64_t min_overlap_bytes = 8 * 1024;
  uint64_t max_batch_bytes = 256 * 1024;
  // Largest mini-transaction, in bytes of redo.
  uint64_t max_mtr_bytes = 256ull << 20;
  // A group that was sent nothing for so long gets a heartbeat (a batch of no records) if VDL or
  // PGMRPL is news.
  absl::Duration heartbeat_interval = absl::Milliseconds(200);
  uint64_t max_waits = 65536;
  // Segments keep their log for a member that is away no longer than this; one that returns later
  // may have to be rebuilt from pages (held_by_all.h).
  absl::Duration max_member_absence = absl::Minutes(10);
  // A refusal that may pass (no room on disk, no answer to RaiseEpoch) is tried again after this
  // long, a batch that was damaged in flight after a tenth of it.
  absl::Duration retry_interval = absl::Seconds(1);
  GrowthOptions growth;
};

// A picture for status, metrics and segment choice.
struct MemberProgress {
  MemberState state = MemberState::kDown;
  Lsn scl;
};
// One member of a group on its way to being another.
struct ChangeProgress {
  quorum::Slot from = 0, to = 0;
  Lsn scl;     // of the candidate
  Lsn target;  // the candidate must have reached it before the change is finished
  bool is_held = false;
};
struct PgProgress {
  Lsn last_lsn;  // highest LSN allocated in this protection group
  Lsn pgcl;
  volume::Membership membership;  // the newest
  bool is_in_effect = true;       // a write quorum has answered for it
  // By slot, of those up to the last that counts; one that does not is kDown.
  std::vector<MemberProgress> members;
  std::vector<ChangeProgress> changes;
};
struct WriterProgress {
  Lsn head, vcl, vdl, pgmrpl;
  // Recovery left no LSN in between: (opened_at, first_lsn) was cut off.
  Lsn opened_at, first_lsn;
  VolumeEpoch epoch;
  uint64_t unacked_bytes = 0;
  uint64_t retained_bytes = 0;
  uint64_t waits = 0;
  bool is_fenced = false;
  std::string growth;            // what a growth waits for; empty when none is under way
  uint64_t missing_members = 0;  // of added groups: their segment is still to be made
  std::vector<PgProgress> pgs;

  // LSNs that lie between a segment's SCL and `last_lsn` of its protection group, the gap that
  // recovery left not counted.
  uint64_t Lag(Lsn scl, Lsn last_lsn) const;
};
struct WriterCounters {                            // since start
  uint64_t mtrs = 0, records = 0, redo_bytes = 0;  // redo_bytes: encoded records, one copy
  uint64_t batches = 0, heartbeats = 0;            // sealed, once for all members
  uint64_t sends = 0, sent_bytes = 0;              // to members
  uint64_t proofs = 0, proof_rounds = 0;           // WhenCurrent asked for; rounds of probes
  uint64_t growths = 0, added_groups = 0;          // steps, and what they added
};

// Duties. Order: send to one member in the order given.
struct WriterOutput {
  using Send = BatchSend;
  // Answered with EpochRaised. The member may be of a group that is only being added: `node` says
  // where it lives.
  struct RaiseEpoch {
    MemberAddress member;
    std::string node;
    protocol::RaiseEpochRequest request;
  };
  struct Probe {
    MemberAddress member;
    protocol::EpochProbe probe;
  };
  // The segment of a candidate, or of a group's first members: SegmentCreated tells what came of
  // it.
  using CreateSegment = Growth::CreateSegment;
  // A segment that counts no more is to be dropped: SegmentDropped tells what came of it.
  struct DropSegment {
    std::string node;
    protocol::DropSegmentRequest request;
  };
  using Release = WaitRelease;
  std::vector<RaiseEpoch> raise_epochs;
  std::vector<Probe> probes;
  std::vector<CreateSegment> creates;
  std::vector<DropSegment> drops;
  std::vector<Send> sends;
  std::vector<Release> releases;
};

class Writer {
 public:
  // The LSN allocation limit is the one that recovery ran with: `volume` carries it.
  Writer(RecoveredVolume volume, WriterOptions options);

  // --- appending
  // See PageVolume::CheckAppend. A page beyond the end makes the volume grow.
  absl::Status CheckAppend(uint64_t bytes, const std::vector<PageNo>& pages);
  // Whether the volume holds the page, as CheckAppend says it, and nothing else.
  absl::Status CheckPage(PageNo page) const { return growth_.Check(page, geometry()); }
  bool grows() const { return growth_.phase() != Growth::Phase::kIdle; }
  struct Appended {
    Lsn first_lsn;
    Lsn commit_lsn;  // the i-th change got LSN first_lsn + i; the last is the CPL
  };
  // One mini-transaction, at most one change a page, in the order given; never empty. The caller
  // has passed CheckAppend in the same step. Batches are sealed by TakeOutput: mini-transactions
  // that are appended before one call of it share them.
  Appended Append(const std::vector<page::PageChange>& changes);

  // --- waiting for durability
  // RESOURCE_EXHAUSTED at once when max_waits are parked already.
  void WaitDurable(Lsn lsn, WaitToken wait, Instant deadline);

  // --- being the one writer. Released with OK once it is proven that at some moment after this
  // call no newer epoch was open; FAILED_PRECONDITION: fenced; DEADLINE_EXCEEDED: too few members
  // answered. RESOURCE_EXHAUSTED at once when max_waits are parked.
  void WhenCurrent(WaitToken wait, Instant deadline);
  // A member's answer to a probe.
  void EpochAnswered(MemberAddress member, const protocol::EpochAnswer& answer);
  // A segment refused a read of this epoch, for it has promised a newer one.
  void ReadFenced();

  // --- members. What a node's status says of its data directory, whenever it is answered: nothing
  // is made on a node that was not heard.
  void NodeSeen(const std::string& node, DirectoryId directory);
  // `status` is what the segment said when its node's stream came up; SegmentSeen
  // finds out whose it is, and has it dropped if it counts no more.
  void SegmentSeen(const std::string& node, const protocol::SegmentStatus& status);
  void MemberUp(MemberAddress member, const protocol::SegmentStatus& status);
  void MemberDown(MemberAddress member);
  void EpochRaised(MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply);
  void Acked(MemberAddress member, const protocol::AppendAck& ack);
  void SegmentCreated(MemberAddress member, const absl::StatusOr<protocol::SegmentStatus>& reply);
  // The member's node lacks the segment. `is_well`: it shows others of this volume. True: nothing
  // was acknowledged (this writer added the group, or the candidate is new), it is made. False: it
  // may be lost, a person must look, and it is asked for now and then; the change of a candidate is
  // undone. On a node that shows nothing only candidates are made: its directory may be a wrong
  // one.
  bool SegmentMissing(MemberAddress member, bool is_well = true);

  // --- members that change (membership_changer.h has the errors)
  // `to`: what the candidate's node says of itself. UNAVAILABLE too while it has to drop a segment
  // that counts no more, or too few of those that would be left are known to have a segment;
  // FAILED_PRECONDITION too while it holds the very segment to be replaced.
  absl::Status ReplaceMember(PgId pg, const std::string& from, const protocol::NodeStatus& to,
                             bool hold);
  absl::Status UndoReplacement(PgId pg, const std::string& from);
  void SegmentDropped(const std::string& node, SegmentId segment, const absl::Status& outcome);
  // The newest membership, in effect or not.
  const volume::Membership& MembershipOf(PgId pg) const { return changers_[pg.value()].newest(); }
  // Where the node's segment counts, as last seen; a node that replaces itself is the newcomer.
  std::optional<quorum::Slot> SlotOf(const std::string& node, PgId pg) const;
  // Empty: nobody counts there.
  const std::string& NodeAt(MemberAddress member) const;

  // --- read points. Every open one holds PGMRPL at or below it.
  void OpenReadPoint(Lsn lsn);
  void CloseReadPoint(Lsn lsn);
  // Below it pages may have been collected.
  Lsn pgmrpl() const { return read_points_.pgmrpl(); }

  void Tick(Instant now);
  WriterOutput TakeOutput();

  // --- queries
  // Both grow: a call of any input may add groups, whose members count from then on. Members that
  // answered meanwhile are taken for up; the driver says MemberDown of those that are not.
  const volume::Geometry& geometry() const { return volume_.descriptor.geometry; }
  const std::vector<volume::Membership>& memberships() const {
    return volume_.memberships;
  }  // by PG
  Lsn head() const;
  Lsn vdl() const;
  bool is_fenced() const;
  VolumeEpoch epoch() const;
  // By PG: its last LSN at or below head() and at or below vdl(); shared, not copied, while
  // unchanged.
  std::shared_ptr<const std::vector<Lsn>> HeadTails();
  std::shared_ptr<const std::vector<Lsn>> DurableTails();
  MemberProgress Member(MemberAddress member) const;
  WriterProgress Progress() const;
  const WriterCounters& counters() const;

 private:
  struct Silence {  // of a member that owes acknowledgements
    Lsn scl;
    int rounds = 0;  // of questions, in which its SCL has not moved
  };
  struct LastSent {  // to one protection group, with a batch or a heartbeat
    Lsn vdl, pgmrpl, held_by_all;
    Instant at;
    Instant question_at;
    std::array<Silence, quorum::kMaxSlots> silences;  // by slot
    bool is_owed = false;                             // a member came up and may not have heard
  };

  struct MembershipDuties {  // what is under way about a protection group's members
    std::map<quorum::Slot, std::string> counted;  // nodes of the slots that count
    std::map<std::string, quorum::Slot> seen;     // what their segments said
    std::set<std::string> orphans;                // nodes with a segment that counts no more
    // In which of their nodes' directories candidates are made; in no later one (growth.h).
    std::map<quorum::Slot, HeardDirectory> pinned;
    Instant tell_at, create_at, drop_at;  // not before
  };

  log::BatchHeader HeaderOf(PgId pg) const;
  void SealReady(PgId pg);
  void SealAppended();
  void Obey(MemberAddress member, MemberSessions::Verdict verdict,
            const protocol::SegmentStatus* status);
  void Stream(MemberAddress member, Lsn scl);
  void AckedOk(MemberAddress member, Lsn scl);
  void CountScl(MemberAddress member, Lsn scl);
  void PgclRose(PgId pg);
  void Refused(MemberAddress member, const protocol::AppendAck& ack);
  void UndoReplacementByItself(MemberAddress member);
  void RaiseEpochOf(MemberAddress member);
  void SendClaim(MemberAddress member);
  void LoseMember(MemberAddress member);
  bool IsCandidate(MemberAddress member) const;
  // writer_membership.cc
  absl::Status CheckWhoIsLeft(PgId pg, quorum::Slot from, volume::Member to) const;
  bool IsKnownToExist(MemberAddress member) const;
  void Told(MemberAddress member, const protocol::SegmentStatus& status);
  void AdvanceMembership(PgId pg);
  void CreateProven();
  void CountByNewSets(PgId pg);
  void AddOrphan(PgId pg, const std::string& node);
  void TellMembers(PgId pg);
  void CreateCandidates(PgId pg);
  void DropOrphans(PgId pg);
  void TickMemberships();
  std::vector<ChangeProgress> Changes(PgId pg) const;
  void Fence();
  void UpdateHeldByAll();
  void SendHeartbeats();
  void AskMembersBehind();
  void ResendToSilent(MemberAddress member, Silence* silence);
  void TakeProbes();
  bool MayProve(MemberAddress member) const;
  void HearOfGroups(MemberAddress member, const protocol::SegmentStatus& status);
  void PursueGrowth();
  void AddGroup(const volume::Membership& membership, Lsn tail);
  void AddGroups(Growth::Done done);

  RecoveredVolume volume_;
  const uint32_t recovered_groups_;  // later ones were added by this writer
  WriterOptions options_;
  Instant now_;
  bool is_fenced_ = false;

  LsnAllocator lsns_;
  LogBuffer buffer_;
  Shipper shipper_;
  Growth growth_;
  MemberSessions sessions_;
  std::vector<AckTracker> acks_;                     // by PG
  std::vector<HeldByAll> held_by_all_;               // by PG
  std::vector<MembershipChanger> changers_;          // by PG
  std::vector<MembershipDuties> membership_duties_;  // by PG
  HeardDirectories directories_;                     // as last heard
  DurabilityTracker durability_;
  CommitQueue commits_;
  EpochGuard guard_;
  ReadPoints read_points_;
  PgTails head_tails_;
  PgTails durable_tails_;

  Lsn head_;
  std::vector<LastSent> last_sent_;  // by PG
  std::vector<PgRun> passed_;        // scratch, kept for its memory
  std::vector<PgId> appended_;       // groups with new records since the last TakeOutput
  WriterCounters counters_;
  WriterOutput output_;
};

}  // namespace sextant::compute
