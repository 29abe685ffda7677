// SegmentDriver: one segment, its disk and its model, and the steps that fuzz bytes may take.
//
// Each step takes its arguments from the input (fuzz_input.h) and is followed by Check. A new input
// of Segment is a new method here and a line in segment_target.cc; what it must obey goes into
// SegmentModel.
#pragma once

#include <optional>
#include <vector>

#include "storage-node/segment/segment_testing.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/segment_model.h"

namespace sextant::fuzz {

class SegmentDriver {
 public:
  // --- what peers send: nothing of it may stop the process
  void Append(FuzzInput* in);
  void RaiseEpoch(FuzzInput* in);
  void ReadPages(FuzzInput* in);
  void ReadLog(FuzzInput* in);
  // A peer's answer to a gossip request of this segment.
  void GossipReply(FuzzInput* in);

  // --- what the shell does
  void TakeOutput();
  void SyncOldest();
  void SyncAll();  // reported with the last ticket only
  void Refuse(FuzzInput* in);
  void Crash();

  // --- what the disk does: a batch is damaged or gone, or the high-water mark is; then a restart
  void Damage(FuzzInput* in);

  // What holds after every step.
  void Check();

 private:
  log::RedoRecord SomeRecord(FuzzInput* in, Lsn after, VolumeEpoch epoch) const;
  std::vector<log::RedoRecord> SomeRecords(FuzzInput* in, VolumeEpoch epoch) const;
  std::vector<volume::Truncation> SomeTruncations(FuzzInput* in) const;
  void Receive(const log::EncodedBatch& batch, uint64_t from);
  void CheckDamage();

  storage::testing::Rig rig_;
  SegmentModel model_{rig_.disk};
  bool was_damaged_ = false;
  Lsn acked_scl_;  // the highest, while no truncation was taken in
  bool saw_truncation_ = false;
};

}  // namespace sextant::fuzz
