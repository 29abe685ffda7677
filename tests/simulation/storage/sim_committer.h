// SimCommitter: storage-node/server/committer.h without its thread. Group commit, in events.
//
// A round gathers what all queued segments want persisted, delivers what depends on nothing, lets
// the disk work for a while, tells the segments and delivers the answers that this sets free; in
// exactly the order of the real one. What arrives while the disk works makes the next round.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "tests/simulation/disk/sim_disk.h"
#include "tests/simulation/storage/slot.h"

namespace sextant::simulation {

class SimCommitter {
 public:
  struct Out {
    std::function<void(const storage::SegmentOutput::Ack&)> ack;
    std::function<void(storage::SegmentOutput::EpochReply)> epoch_reply;
    std::function<void()> gap;                       // some segment lacks records
    std::function<void(const absl::Status&)> fatal;  // the process must end
  };
  SimCommitter(Sim* sim, ProcessId process, SimDisk* disk, Out out)
      : sim_(*sim), process_(process), disk_(*disk), out_(std::move(out)) {}

  void Enqueue(Slot* slot);
  void Create(storage::SegmentState state, std::function<void(absl::Status)> done);

 private:
  struct Creation {
    storage::SegmentState state;
    std::function<void(absl::Status)> done;
  };
  struct Round {
    storage::StoreWrite write;
    std::vector<std::pair<Slot*, storage::PersistTicket>> tickets;
    std::vector<Creation> creations;
    bool has_gap = false;
    std::vector<storage::SegmentOutput::Ack> acks;
    std::vector<storage::SegmentOutput::EpochReply> epoch_replies;
  };
  void Wake();
  void RunRound();
  void Committed(const absl::Status& status);
  void Take(Slot* slot, Round* round);
  void Settle(const absl::Status& status);
  void Deliver();

  Sim& sim_;
  const ProcessId process_;
  SimDisk& disk_;
  const Out out_;
  std::vector<Slot*> queue_;
  std::vector<Creation> creations_;
  Round round_;
  bool is_busy_ = false;
  bool has_failed_ = false;
};

}  // namespace sextant::simulation
