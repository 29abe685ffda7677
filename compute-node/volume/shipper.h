// Shipper: which batch goes to which member next, and which are kept to be sent again. Core.
//
// Per protection group it keeps the sealed batches that some member may still need; per member, how
// far it has been sent and how far it holds. A member is sent batches in order, always; after a
// reconnection, a refusal or damage in flight it is sent again from the first batch that it lacks,
// in order. A batch is dropped once every member holds it, or when more than `max_retained_bytes`
// are kept and it is on a write quorum: members that lack it are "behind", are sent what follows,
// and get what they miss from elsewhere.
//
// It does not decide who may be sent to (MemberSessions) nor what is durable (AckTracker).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "common/base/ids.h"
#include "common/log/batch.h"
#include "common/log/lsn.h"
#include "common/quorum/quorum.h"
#include "compute-node/volume/member_address.h"

namespace sextant::compute {

// A batch to send. Order: to one member in the order given.
struct BatchSend {
  MemberAddress member;
  log::EncodedBatch batch;
};

class Shipper {
 public:
  struct Options {
    uint64_t max_retained_bytes = 256ull << 20;
    // Sent to one member and not yet acknowledged; more waits here, not in the transport.
    uint64_t max_member_unacked_bytes = 16ull << 20;
  };
  explicit Shipper(Options options) : options_(options) {}

  // The group's next batch, in LSN order.
  void Push(PgId pg, log::EncodedBatch batch);
  // A batch without records, to every member that is being sent to and has been sent everything.
  // False: some member still has batches to come before it, and did not get it.
  bool Heartbeat(PgId pg, const log::EncodedBatch& batch);
  // The same to one member, whatever is on its way to it; nothing if it is not being sent to.
  void HeartbeatTo(MemberAddress member, const log::EncodedBatch& batch);

  // The member may be sent to from now on, and holds everything through `scl`.
  void Start(MemberAddress member, Lsn scl);
  void Stop(MemberAddress member);
  // Sends again from the first batch that the member lacks; one batch at first, the rest once it is
  // acknowledged.
  void Resend(MemberAddress member);
  // An OK acknowledgement.
  void Acked(MemberAddress member, Lsn scl);
  // The member will never need a kept batch: its durable state is another, or it counts no more.
  void Abandon(MemberAddress member);
  // Another member has come to this slot: batches are kept for it from now on.
  void Join(MemberAddress member);
  // The group is on a write quorum through `pgcl`: batches through there may be dropped.
  void PgclRose(PgId pg, Lsn pgcl);

  // The member lacks batches that are no longer kept.
  bool IsBehind(MemberAddress member) const;
  // Batches were sent to it that it has not acknowledged.
  bool IsAwaiting(MemberAddress member) const {
    return At(member).is_sending && At(member).next > At(member).acked;
  }
  bool IsSending(MemberAddress member) const { return At(member).is_sending; }
  Lsn scl(MemberAddress member) const { return At(member).scl; }
  uint64_t retained_bytes() const { return retained_bytes_; }

  // The next protection group, without members until they Join. Its batches through `tail` are not
  // kept here.
  void AddGroup(Lsn tail);

  std::vector<BatchSend> TakeSends();

 private:
  struct Kept {
    log::EncodedBatch batch;
    uint64_t end_bytes;  // of all batches of the group so far, this one included
  };
  struct Member {
    bool is_sending = false;
    bool is_probing = false;  // one batch, then wait for its acknowledgement
    bool is_behind = false;
    bool is_abandoned = false;
    uint64_t next = 0;   // number of the batch to send next
    uint64_t acked = 0;  // number of the first batch that it lacks
    Lsn scl;
  };
  struct Group {
    std::deque<Kept> kept;
    uint64_t first = 0;  // number of kept.front()
    uint64_t end_bytes = 0;
    Lsn dropped_through;
    Lsn pgcl;
    std::vector<Member> members;

    uint64_t end() const { return first + kept.size(); }
    // Bytes of all batches with a number below `number`.
    uint64_t BytesBefore(uint64_t number) const;
    // Number of the first kept batch with records above `scl`.
    uint64_t FirstAbove(Lsn scl) const;
  };
  Group& GroupOf(MemberAddress member) { return groups_[member.pg.value()]; }
  Member& At(MemberAddress member) { return GroupOf(member).members[member.slot]; }
  const Member& At(MemberAddress member) const {
    return groups_[member.pg.value()].members[member.slot];
  }
  void Pump(MemberAddress member);
  void DropFront(Group* group);
  void DropHeldByAll(Group* group);
  void DropExcess(Group* group);

  Options options_;
  std::vector<Group> groups_;
  uint64_t retained_bytes_ = 0;
  std::vector<BatchSend> sends_;
};

}  // namespace sextant::compute
