// MemoryVolume: a PageVolume in memory, for tests of whatever sits on a volume.
//
// Pages have versions, collected below the oldest open view. Durability follows every append, or is
// moved by hand so that a test can hold VDL back; waits never expire by a clock but when told to.
// Proof of being the writer is given at once, or when and as a test says. It counts redo as the log
// would encode it. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "common/page/delta.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::sql {

struct MemoryVolumeOptions {
  uint32_t page_bytes = 4096;
  uint64_t pages = 16384;
  bool is_automatic = true;  // VDL follows head
  // Versions are kept for ever, so that every commit can be read as of its LSN, or as of its time:
  // the commit of LSN n is durable n microseconds after 1970.
  bool keeps_versions = false;
};

class MemoryVolume : public compute::PageVolume {
 public:
  using Options = MemoryVolumeOptions;

  explicit MemoryVolume(Options options = {});
  ~MemoryVolume() override;

  volume::Geometry geometry() const override;
  Lsn head() const override;
  Lsn vdl() const override;
  absl::StatusOr<std::unique_ptr<compute::ReadView>> OpenView(Lsn read_point) override;
  absl::StatusOr<Lsn> AsOfLsn(Lsn lsn) const override;
  absl::StatusOr<Lsn> AsOfTime(absl::Time time) const override;
  absl::StatusOr<compute::PageRef> ReadPage(const compute::ReadView& view, PageNo page) override;
  void Prefetch(const compute::ReadView& view, const std::vector<PageNo>& pages) override;
  absl::Status CheckAppend(uint64_t bytes, const std::vector<PageNo>& pages) const override;
  absl::StatusOr<Lsn> Append(std::vector<compute::PageWrite> writes) override;
  void WhenDurable(Lsn lsn, absl::Duration timeout, DurableCallback done) override;
  void WhenCurrent(absl::Duration timeout, DurableCallback done) override;

  // --- for tests
  // Off: VDL stays where it is until AdvanceVdl. On: it jumps to head and follows.
  void SetAutomatic(bool is_automatic);
  void AdvanceVdl(Lsn lsn);
  // Ends every wait with DEADLINE_EXCEEDED, as a timeout would.
  void ExpireWaits();
  // How many wait for durability.
  size_t waits() const;
  size_t open_views() const;
  // Whoever asks for proof of being the writer waits, until it is answered with `status`.
  void HoldProofs();
  void AnswerProofs(const absl::Status& status);
  // How often it was asked for.
  int proofs() const;
  // What the next calls answer until set to OK again.
  void FailChecks(absl::Status status);
  void FailAppends(absl::Status status);
  void FailReads(absl::Status status);
  // Forgets everything above VDL, as a crash and a recovery would.
  void Crash();

  struct Counters {
    uint64_t appends = 0, records = 0, redo_bytes = 0;
  };
  Counters counters() const;

 private:
  class View;
  struct Wait {
    Lsn lsn;
    DurableCallback done;
  };
  using Versions = std::map<Lsn, compute::PageRef>;

  void CloseView(Lsn read_point);
  void MoveVdl(std::unique_lock<std::mutex> lock, Lsn lsn);
  void CollectBelowOldestView(Versions* versions);
  void CountRedo(const compute::PageWrite& write, Lsn lsn);

  const Options options_;
  const compute::PageRef zeros_;
  mutable std::mutex mutex_;
  Lsn head_, vdl_;
  bool is_automatic_;
  std::map<PageNo, Versions> pages_;
  std::set<Lsn> commits_{Lsn(0)};
  std::multiset<Lsn> views_;
  std::vector<Wait> waits_;
  bool are_proofs_held_ = false;
  int proofs_ = 0;
  std::vector<DurableCallback> held_proofs_;
  absl::Status check_error_, append_error_, read_error_;
  Counters counters_;
};

}  // namespace sextant::sql
