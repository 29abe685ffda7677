// SimCommitter: storage-node/server/committer.h without its thread. Group commit, in events.
//
// A round gathers what all queued segments want persisted, delivers what depends on nothing, lets
// the disk work for a while, tells the segments and delivers the answers that this sets free; in
// exactly the order of the real one. What arrives while the disk works makes the next round.
#pragma once

#include <functional>
#include <optional>
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
    std::function<void(storage::SegmentOutput::LogStartReply)> log_start_reply;
    std::function<void()> gap;                       // some segment lacks records
    std::function<void(const absl::Status&)> fatal;  // the process must end
  };
  SimCommitter(Sim* sim, ProcessId process, SimDisk* disk, Out out)
      : sim_(*sim), process_(process), disk_(*disk), out_(std::move(out)) {}

  void Enqueue(Slot* slot);
  void Create(storage::SegmentState state, std::function<void(absl::Status)> done);
  // The segment's slot is_dropped.
  void Drop(storage::SegmentState remains, std::function<void(absl::Status)> done);
  // A write elsewhere failed: the process ends.
  void ReportFatal(const absl::Status& error);
  bool is_busy() const { return is_busy_; }

 private:
  struct Creation {
    storage::SegmentState state;  // is_dropped: what remains
    std::function<void(absl::Status)> done;
  };
  using Tickets = std::vector<std::pair<Slot*, storage::PersistTicket>>;
  struct Round {
    // What only makes room goes first and by itself: a full disk refuses the rest, not this.
    storage::StoreWrite room;
    Tickets room_tickets;
    storage::StoreWrite write;
    Tickets tickets;
    std::vector<Creation> creations;
    bool has_gap = false;
    std::vector<storage::SegmentOutput::Ack> acks;
    std::vector<storage::SegmentOutput::EpochReply> epoch_replies;
    std::vector<storage::SegmentOutput::LogStartReply> log_start_replies;

    bool HoldsSomethingOf(SegmentId segment) const;
  };
  void Wake();
  void RunRound();
  void Gather();
  void CommitRest(const absl::Status& room);
  void Committed(const absl::Status& room, const absl::Status& status);
  void Take(Slot* slot, Round* round);
  void Settle(const absl::Status& room, const absl::Status& status);
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
