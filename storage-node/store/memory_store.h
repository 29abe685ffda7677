// MemoryStore: a SegmentStore without a disk, whose crash drops what was not synced.
//
// For tests, the in-process cluster and the simulator. The bytes live in a MemoryDisk that outlives
// the store, as a real directory outlives a process: open a second MemoryStore on it to restart a
// node. Faults are switched on the disk: a failing write, a failing sync, no room, damaged bytes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "storage-node/store/segment_store.h"

namespace sextant::storage {

// What a store left behind. Thread-safety: all methods from any thread.
class MemoryDisk {
 public:
  // --- faults
  // The next Commit fails before anything is kept.
  void FailNextWrite(absl::Status error);
  // The next Commit fails after its bytes were written: a restart finds them, unless Crash() came
  // first.
  void FailNextSync(absl::Status error);
  // While true Commit is refused with RESOURCE_EXHAUSTED.
  void SetFull(bool is_full);
  // Called at the start of every Commit with no lock held; it may block. Empty: none.
  void SetCommitHook(std::function<void(const StoreWrite&)> hook);
  // Flips one bit of a stored batch or page version; false if there is none.
  bool DamageBatch(SegmentId segment, LogPosition position, size_t byte);
  bool DamagePage(SegmentId segment, PageNo page, Lsn lsn, size_t byte);
  // Drops a stored batch or page version without a trace.
  bool LoseBatch(SegmentId segment, LogPosition position);
  bool LosePage(SegmentId segment, PageNo page, Lsn lsn);
  // The next WritePage reports success, but its bytes land where that LSN of page `to` of the same
  // segment lies, and over what is there.
  void MisdirectNextPage(PageNo to);
  // The next FlushPages fails; what was to be flushed is lost at a crash.
  void FailNextFlush(absl::Status error);

  // Power loss: everything not synced is gone, page versions not flushed among it. The store that
  // was open answers nothing but errors.
  void Crash();

 private:
  friend class MemoryStore;

  struct StoredPage {
    std::string bytes;
    uint32_t crc = 0;
  };
  // Of one segment; ordered by position, and by page and LSN.
  struct SegmentFiles {
    std::optional<SegmentState> state;
    std::optional<LogHighWater> high_water;
    std::map<LogPosition, std::shared_ptr<const std::string>> log;
  };
  using Files = std::map<SegmentId, SegmentFiles>;
  using PageKey = std::pair<SegmentId, PageNo>;
  using Versions = std::map<Lsn, StoredPage>;
  using Pages = std::map<PageKey, Versions>;

  // With mutex_ held.
  void Apply(const StoreWrite& write);
  void DropSegment(SegmentId segment);
  void FlushPages();
  StoredPage* FindPage(Pages* pages, SegmentId segment, PageNo page, Lsn lsn);
  uint64_t Boot();

  std::mutex mutex_;
  Files files_;
  Pages pages_;                       // as a reader sees them
  Pages flushed_pages_;               // as a crash leaves them
  std::set<PageKey> dirty_pages_;     // where the two differ
  std::vector<StoreWrite> unsynced_;  // written, but their sync failed
  uint64_t boots_ = 0;                // the store of an earlier boot is dead
  absl::Status write_error_, sync_error_, flush_error_;
  std::optional<PageNo> misdirect_to_;
  bool is_full_ = false;
  std::function<void(const StoreWrite&)> hook_;
};

class MemoryStore : public SegmentStore {
 public:
  // Takes the disk over: a store that was open on it answers errors from now on.
  explicit MemoryStore(std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>());

  const std::shared_ptr<MemoryDisk>& disk() const { return disk_; }

  absl::Status Commit(const StoreWrite& write) override;
  absl::StatusOr<std::vector<SegmentState>> LoadStates() override;
  absl::StatusOr<std::optional<LogHighWater>> LoadHighWater(SegmentId segment) override;
  absl::Status ScanLog(
      SegmentId segment, LogPosition from,
      const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) override;
  absl::StatusOr<std::string> ReadBatch(SegmentId segment, LogPosition position) override;
  absl::StatusOr<std::string> ReadRecord(SegmentId segment, LogPosition position, uint32_t offset,
                                         uint32_t size) override;
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
  absl::Status CheckAlive() const;  // with disk_->mutex_ held
  absl::Status Fail(absl::Status error);
  // The stored bytes; NOT_FOUND if that position holds nothing.
  absl::StatusOr<std::shared_ptr<const std::string>> FindBatch(SegmentId segment,
                                                               LogPosition position) const;
  const MemoryDisk::SegmentFiles* FindFiles(SegmentId segment) const;

  const std::shared_ptr<MemoryDisk> disk_;
  const uint64_t boot_;
  absl::Status failed_;  // sticky; guarded by disk_->mutex_
};

}  // namespace sextant::storage
