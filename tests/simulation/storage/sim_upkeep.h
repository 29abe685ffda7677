// SimUpkeep: storage-node/server/upkeep_runner.h with its two tasks, collect_task.h and
// scrub_task.h, without their thread. A step of each at a time; in between it gives way.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "storage-node/segment/collect_round.h"
#include "storage-node/segment/page_repair.h"
#include "storage-node/segment/scrub.h"
#include "tests/simulation/disk/sim_disk.h"
#include "tests/simulation/storage/slot.h"

namespace sextant::simulation {

struct UpkeepPlan {
  storage::CollectOptions collect;
  storage::ScrubOptions scrub;
  absl::Duration interval = absl::Milliseconds(20);  // between looks when there is nothing to do
  absl::Duration pause = absl::Milliseconds(1);      // between steps: the byte budget
  absl::Duration rest_after_failure = absl::Milliseconds(200);
};

class SimUpkeep {
 public:
  struct Version {
    page::PageImage image;
    bool is_new = false;  // not stored yet, or only damaged
  };
  struct Node {  // what it uses of its node
    std::function<std::vector<Slot*>()> slots;
    std::function<bool()> is_busy;
    std::function<absl::StatusOr<Version>(Slot*, PageNo, Lsn)> make_version;
    std::function<void(Slot*, const storage::LogStart&, std::function<void(absl::Status)>)>
        move_log_start;
    std::function<absl::Status(absl::Status)> written;  // tells of errors that end the node
    std::function<void(Slot*, storage::LogPosition)> batch_damaged;
    std::function<void(SegmentId, const storage::DamagedPage&)> page_damaged;
  };
  SimUpkeep(Sim* sim, ProcessId process, const UpkeepPlan& plan, SimDisk* disk, Node node)
      : sim_(*sim), process_(process), plan_(plan), disk_(*disk), node_(std::move(node)) {}
  ~SimUpkeep();

  void Start() { After(plan_.interval); }

 private:
  void After(absl::Duration pause);
  // One step of every task.
  void Work();
  void Next();
  // --- the log's collection
  void Collect();
  void Begin();
  void Carry();
  absl::Status MakeVersion();
  // The step was carried out; an error ends the round.
  void Carried(const absl::Status& status);
  // --- scrubbing
  void ScrubNext();
  void VerifyLog(Slot* slot, storage::Scrub* scrub, const storage::Scrub::VerifyLog& step);
  void VerifyPages(Slot* slot, storage::Scrub* scrub, const storage::Scrub::VerifyPages& step);
  Instant now() const { return sim_.loop.LocalNow(process_); }

  Sim& sim_;
  const ProcessId process_;
  const UpkeepPlan plan_;
  SimDisk& disk_;
  const Node node_;
  bool has_worked_ = false;  // in this turn

  Slot* slot_ = nullptr;  // whose round it is
  std::optional<storage::CollectRound> round_;
  SegmentId last_;  // looked at last
  Instant rests_until_;

  std::map<SegmentId, storage::Scrub> scrubs_;
  size_t turn_ = 0;
};

}  // namespace sextant::simulation
