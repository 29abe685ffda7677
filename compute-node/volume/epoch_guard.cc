// See epoch_guard.h.
#include "compute-node/volume/epoch_guard.h"

#include <algorithm>
#include <utility>

#include "common/base/text.h"

namespace sextant::compute {

EpochGuard::EpochGuard(VolumeEpoch epoch, quorum::QuorumSets sets, uint64_t max_waits)
    : epoch_(epoch), max_waits_(max_waits), sets_(std::move(sets)) {}

void EpochGuard::SetSets(quorum::QuorumSets sets) {
  sets_ = std::move(sets);
  if (IsUnderWay()) Ask();
}

absl::Status EpochGuard::Park(WaitToken wait, Instant deadline) {
  if (size() >= max_waits_) {
    return absl::ResourceExhaustedError(
        Text(size(), " replies wait for proof that this node is the writer: retry"));
  }
  parked_.push_back({wait, deadline});
  earliest_ = std::min(earliest_, deadline);
  if (!IsUnderWay()) BeginRound();
  return absl::OkStatus();
}

uint64_t EpochGuard::Request() {
  is_next_requested_ = true;
  ++requests_;
  if (!IsUnderWay()) BeginRound();
  return requests_;
}

void EpochGuard::BeginRound() {
  asked_.swap(parked_);
  is_requested_ = std::exchange(is_next_requested_, false);
  requested_ = requests_;
  Ask();
}

void EpochGuard::BeginRoundIfWanted() {
  if (!IsUnderWay() && (!parked_.empty() || is_next_requested_)) BeginRound();
}

// A new number: answers to what was asked before are of no use.
void EpochGuard::Ask() {
  ++round_;
  answered_ = {};
  to_ask_ = sets_.AllSlots();
}

void EpochGuard::Answered(quorum::Slot slot, const protocol::EpochAnswer& answer,
                          std::vector<WaitRelease>* released) {
  if (!IsUnderWay() || answer.round != round_ || answer.epoch != epoch_) return;
  answered_.Insert(slot);
  if (!sets_.IsReadQuorum(answered_)) return;
  for (const Wait& wait : asked_) released->push_back({wait.token, absl::OkStatus()});
  asked_.clear();
  is_requested_ = false;
  proven_ = requested_;
  to_ask_ = {};
  BeginRoundIfWanted();
}

void EpochGuard::AskAgain(quorum::Slot slot) {
  if (IsUnderWay() && !answered_.Contains(slot) && sets_.AllSlots().Contains(slot)) {
    to_ask_.Insert(slot);
  }
}

void EpochGuard::Expire(Instant now, std::vector<WaitRelease>* released) {
  if (now < earliest_) return;
  earliest_ = Instant::Max();
  const absl::Status late = absl::DeadlineExceededError(
      Text("could not make sure in time that this node is still the writer: of protection group 0 ",
           quorum::kReadQuorum, " segments must answer, ", answered_.size(),
           " have: retry when storage nodes are back"));
  for (std::vector<Wait>* waits : {&asked_, &parked_}) {
    std::erase_if(*waits, [&](const Wait& wait) {
      if (wait.deadline <= now) {
        released->push_back({wait.token, late});
        return true;
      }
      earliest_ = std::min(earliest_, wait.deadline);
      return false;
    });
  }
  BeginRoundIfWanted();
}

void EpochGuard::ReleaseAll(const absl::Status& status, std::vector<WaitRelease>* released) {
  for (std::vector<Wait>* waits : {&asked_, &parked_}) {
    for (const Wait& wait : *waits) released->push_back({wait.token, status});
    waits->clear();
  }
  is_requested_ = is_next_requested_ = false;
  to_ask_ = {};
}

quorum::SlotSet EpochGuard::TakeProbes() { return std::exchange(to_ask_, {}); }

}  // namespace sextant::compute
