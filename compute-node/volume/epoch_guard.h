// EpochGuard proves, when asked, that this node is still the one writer. Core.
//
// A writer that was paused does not know that it was succeeded, and would answer reads from its
// cache for as long as nobody tells it. So whoever is about to answer asks here first, and is
// parked. One round at a time asks the members of protection group 0 which epoch they have
// promised; once a read quorum has answered with this writer's, everything that was parked before
// the round began is released. What comes meanwhile shares the next round (boxcarring).
//
// Why that is proof: a newer epoch opens only after a write quorum of every protection group has
// promised it, hence of group 0 too, and a promise is never taken back. Every read quorum meets
// that write quorum. So if each of a read quorum still keeps to this epoch at some moment after the
// question was asked, no newer epoch was open when it was asked: nothing that a newer writer
// acknowledged can be missing from what was read since. The members may have been exchanged since
// by newer writers only, the first of which had to win a write quorum of the sets that this one
// knows. No clock takes part: an answer may be as late as it likes, it is held against the round
// that it answers. (The read index of Raft, section 6.4 of Ongaro's thesis, without a lease.)
//
// The epoch alone is compared: a member whose promise may belong to somebody else, or who may have
// lost one, must be kept away by the caller (writer.h: only members that answered for its claim).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "common/base/instant.h"
#include "common/protocol/storage_messages.h"
#include "common/quorum/quorum.h"
#include "compute-node/volume/commit_queue.h"

namespace sextant::compute {

// Who is asked. Any group would do; this one every volume has.
inline constexpr PgId kGuardPg{0};

class EpochGuard {
 public:
  EpochGuard(VolumeEpoch epoch, quorum::QuorumSets sets, uint64_t max_waits);

  // The members that count have changed: a round under way starts over.
  void SetSets(quorum::QuorumSets sets);

  // Released with OK when proven, with DEADLINE_EXCEEDED when `deadline` comes first.
  // RESOURCE_EXHAUSTED: max_waits are parked.
  absl::Status Park(WaitToken wait, Instant deadline);
  // For a caller that looks instead of waiting: no newer epoch was open at the time of this call
  // once proven() has reached the number that it gives.
  uint64_t Request();
  uint64_t proven() const { return proven_; }
  // One that counts only if it says this epoch, to the round under way.
  void Answered(quorum::Slot slot, const protocol::EpochAnswer& answer,
                std::vector<WaitRelease>* released);
  // The member can be reached again: what it was asked may be lost.
  void AskAgain(quorum::Slot slot);
  void Expire(Instant now, std::vector<WaitRelease>* released);
  // `status` for everything parked.
  void ReleaseAll(const absl::Status& status, std::vector<WaitRelease>* released);

  // Whom to ask now, with round().
  quorum::SlotSet TakeProbes();
  uint64_t round() const { return round_; }
  uint64_t size() const { return asked_.size() + parked_.size(); }

 private:
  struct Wait {
    WaitToken token;
    Instant deadline;
  };
  bool IsUnderWay() const { return !asked_.empty() || is_requested_; }
  void BeginRound();
  void BeginRoundIfWanted();
  void Ask();

  const VolumeEpoch epoch_;
  const uint64_t max_waits_;
  quorum::QuorumSets sets_;
  std::vector<Wait> asked_;            // for whom the round is
  std::vector<Wait> parked_;           // for the next one
  bool is_requested_ = false;          // the round is for a Request, too
  bool is_next_requested_ = false;     // so is the next one
  Instant earliest_ = Instant::Max();  // no deadline of either is before it
  uint64_t round_ = 0;
  uint64_t requests_ = 0;   // their numbers
  uint64_t requested_ = 0;  // through this one, by the round under way
  uint64_t proven_ = 0;
  quorum::SlotSet answered_;  // in this round
  quorum::SlotSet to_ask_;
};

}  // namespace sextant::compute
