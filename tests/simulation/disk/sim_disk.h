// SimDisk: one storage node's disk, with its faults, as the SegmentStore that the node sees.
//
// Two layers, as in a real machine: what was written and not synced (lost when the power goes,
// kept when only the process dies), and the durable image, which is what checkers look at. A write
// is begun and ended apart, so that a node may die in between. After the first failed write or sync
// the store answers nothing but that error until the next Boot().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "storage-node/store/segment_store.h"
#include "tests/simulation/engine/sim.h"

namespace sextant::simulation {

// How a disk behaves; drawn per seed and disk. Chances are one in so many; 0 is never.
struct DiskPlan {
  absl::Duration sync_low = absl::Microseconds(50);
  absl::Duration sync_high = absl::Microseconds(500);
  absl::Duration read_low = absl::Microseconds(5);
  absl::Duration read_high = absl::Microseconds(100);
  uint64_t fail_write_one_in = 0;
  uint64_t fail_sync_one_in = 0;
  uint64_t fill_one_in = 0;
  uint64_t lose_page_write_one_in = 0;
  absl::Duration full_for = absl::Milliseconds(50);
};

class SimDisk final : public storage::SegmentStore {
 public:
  // What the store keeps of one segment.
  struct StoredPage {
    std::string bytes;
    uint32_t crc = 0;
  };
  using PageKey = std::pair<PageNo, Lsn>;
  struct Files {
    std::optional<storage::SegmentState> state;
    std::optional<storage::LogHighWater> high_water;
    std::map<storage::LogPosition, std::shared_ptr<const std::string>> log;
    absl::btree_map<PageKey, StoredPage> pages;
  };
  using Image = std::map<SegmentId, Files>;

  SimDisk(Sim* sim, NodeNo node) : sim_(*sim), node_(node) {}

  DiskPlan plan;

  // --- what time things take
  absl::Duration WriteTime() { return sim_.Between(plan.sync_low, plan.sync_high); }
  absl::Duration ReadTime() { return sim_.Between(plan.read_low, plan.read_high); }

  // --- writing in two steps: bytes first, their sync later. One at a time.
  void Begin(storage::StoreWrite write);
  absl::Status End();

  // --- the machine's life
  // The process died: what was written stays, but page versions live in its memory until they are
  // flushed: some of the last are gone. The power went: so is what was not synced, mostly.
  void ProcessDied();
  void PowerLost();
  // A process opens the store: what it reads is as good as synced from now on.
  void Boot();

  // --- damage at rest; false if there is nothing of that kind to damage
  bool FlipBit(SegmentId segment);
  bool LoseSuffix(SegmentId segment);
  bool LoseEnd(SegmentId segment, size_t batches);
  bool LoseMiddle(SegmentId segment);
  bool Misdirect(SegmentId segment);
  bool DamagePage(SegmentId segment);
  void LoseAll();

  const Image& image() const { return image_; }
  // Whether a version of the page in [from, through] is there, damaged or not, also after a crash.
  bool HasFlushedVersion(SegmentId segment, PageNo page, Lsn from, Lsn through) const;
  bool HasDamagedPage(SegmentId segment) const;
  bool IsEmpty() const { return image_.empty(); }
  // What lies at a position of the log, as it lies there; null: nothing.
  const std::string* Batch(SegmentId segment, storage::LogPosition position) const;

  // --- SegmentStore
  DirectoryId directory() const override { return directory_; }
  absl::Status Commit(const storage::StoreWrite& write) override;
  absl::StatusOr<std::vector<storage::SegmentState>> LoadStates() override;
  absl::StatusOr<std::optional<storage::LogHighWater>> LoadHighWater(SegmentId segment) override;
  absl::Status ScanLog(
      SegmentId segment, storage::LogPosition from,
      const std::function<void(storage::LogPosition, std::shared_ptr<const std::string>)>& visit)
      override;
  absl::StatusOr<std::string> ReadBatch(SegmentId segment, storage::LogPosition position) override;
  absl::StatusOr<std::string> ReadRecord(SegmentId segment, storage::LogPosition position,
                                         uint32_t offset, uint32_t size) override;
  absl::StatusOr<std::optional<page::PageImage>> ReadPage(SegmentId segment, PageNo page,
                                                          Lsn at_or_below) override;
  absl::Status WritePage(SegmentId segment, PageNo page, const page::PageImage& image) override;
  absl::Status FlushPages() override;
  absl::StatusOr<std::optional<page::PageImage>> ReadFlushedPage(SegmentId segment, PageNo page,
                                                                 Lsn lsn) override;
  absl::StatusOr<std::vector<PageNo>> ListPages(SegmentId segment, PageNo from,
                                                size_t limit) override;
  absl::StatusOr<std::optional<PageNo>> ScanPages(
      SegmentId segment, PageNo from, size_t limit,
      const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit)
      override;
  absl::Status DropPageVersions(SegmentId segment, PageNo page, Lsn below) override;
  absl::Status DropPageVersion(SegmentId segment, PageNo page, Lsn lsn) override;

 private:
  // A page version as it was before it was last written or dropped.
  struct PageUndo {
    SegmentId segment;
    PageKey key;
    std::optional<StoredPage> before;
  };
  void Remember(SegmentId segment, const PageKey& key);
  // Some page versions that were written since the last flush never get to the platter.
  void LosePageWrites();
  void MakeDurable(const storage::StoreWrite& write);
  absl::Status Fail(absl::Status error);
  absl::StatusOr<const std::string*> Find(SegmentId segment, storage::LogPosition position) const;
  // A stored position of the segment, drawn; nullopt where it has none.
  std::optional<storage::LogPosition> DrawPosition(SegmentId segment);
  void Injure(SegmentId segment, storage::LogPosition position);
  void LoseFrom(SegmentId segment, storage::LogPosition position);

  Sim& sim_;
  const NodeNo node_;
  Image image_;
  std::map<SegmentId, storage::SegmentState> remains_;  // of dropped segments
  DirectoryId directory_{1};                            // another one after each loss
  std::optional<storage::StoreWrite> unsynced_;
  std::vector<PageUndo> unflushed_;  // what was done to page versions, in order
  bool is_under_way_ = false;        // between Begin and End
  Instant full_until_;
  absl::Status failed_;
};

}  // namespace sextant::simulation
