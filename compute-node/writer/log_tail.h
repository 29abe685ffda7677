// LogTail: the volume's redo from an LSN on, whole mini-transactions in LSN order, durable ones
// only.
//
// Recent redo comes from the writer's memory, older redo from segments: the logs of the protection
// groups are read piece by piece and merged. The chain of back links is checked, so that a gap is
// an error and never skipped. One thread at a time.
#pragma once

#include <deque>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/log/record.h"
#include "compute-node/writer/writer_volume.h"

namespace sextant::compute {

class LogTail {
 public:
  // What lies above `after`. The volume outlives the tail.
  LogTail(WriterVolume* volume, Lsn after) : volume_(*volume), position_(after) {}

  // The next records, ending at a CPL; empty when there are none yet after `wait`. Blocks.
  // OUT_OF_RANGE: the log that far back is no longer held. DATA_LOSS: there is a gap in it.
  absl::StatusOr<std::vector<log::RedoRecord>> Next(absl::Duration wait);

  // Everything through here was returned.
  Lsn position() const { return position_; }

 private:
  // What was read of one protection group and not yet returned.
  struct Piece {
    std::deque<log::RedoRecord> records;
    Lsn read_through;  // nothing more at or below it
  };

  void WaitForMore(absl::Duration wait);
  absl::StatusOr<std::vector<log::RedoRecord>> FromSegments();
  absl::Status ReadMore(PgId pg, Lsn through);
  absl::Status CheckChain(const std::vector<log::RedoRecord>& records) const;

  WriterVolume& volume_;
  Lsn position_;
  std::vector<Piece> pieces_;  // by PG; empty while reading from memory
};

}  // namespace sextant::compute
