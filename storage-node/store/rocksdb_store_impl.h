// RocksDbStore's insides. Internal to store/; users include rocksdb_store.h.
//
// rocksdb_store.cc: commits and the log; rocksdb_pages.cc: page versions; rocksdb_open.cc: opening;
// rocksdb_salvage.cc: what is damaged.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rocksdb/db.h"
#include "storage-node/store/repair_mark.h"
#include "storage-node/store/rocksdb_errors.h"
#include "storage-node/store/rocksdb_options.h"
#include "storage-node/store/rocksdb_store.h"
#include "storage-node/store/table_dropper.h"
#include "storage-node/store/witness.h"
#include "storage-node/store/witness_files.h"

namespace sextant::storage {

inline rocksdb::Slice AsSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view AsView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// SegmentStore::ScanLog of a family; `last`: the highest position that the segment can have. Says
// whether part of it could not be read.
absl::StatusOr<bool> ScanLogFamily(
    rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, SegmentId segment, LogPosition from,
    LogPosition last,
    const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit);
// SegmentStore::ScanPages of a family; `last`: the last page that the segment can have.
absl::StatusOr<std::optional<PageNo>> ScanPageFamily(
    rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, SegmentId segment, PageNo from,
    PageNo last, size_t limit,
    const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit);
PageNo LastPageOf(const SegmentState& state);

// An open database with the handles of Families(), in their order.
struct RocksDatabase {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> families;

  RocksDatabase() = default;
  RocksDatabase(RocksDatabase&&) = default;
  RocksDatabase& operator=(RocksDatabase&& other) noexcept {
    std::swap(db, other.db);
    families.swap(other.families);
    return *this;
  }
  ~RocksDatabase();

  // Adds to `batch` what drops everything of a segment.
  void DropSegment(SegmentId segment, rocksdb::WriteBatch* batch) const;
  // The states' version (witness.h), one key in the default family.
  void PutVersion(uint64_t version, rocksdb::WriteBatch* batch) const;
};

DatabaseContents ReadContents(const RocksDatabase& database);

class RocksDbStore : public SegmentStore {
 public:
  RocksDbStore(RocksDbStoreOptions options, std::shared_ptr<FirstError> first_error,
               std::shared_ptr<RepairMark> repair_mark, RocksDatabase database,
               std::unique_ptr<WitnessFiles> witness, DirectoryId directory);

  DirectoryId directory() const override { return directory_; }
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
  absl::Status CheckRoom(uint64_t bytes) const;
  // Gives back the room of what a write that is durable dropped.
  void DropTables(const StoreWrite& write);
  PageNo LastPage(SegmentId segment) const;
  // The error of a read; damage is noted for the next start.
  absl::Status Read(const rocksdb::Status& status, std::string_view doing);
  // Keeps a failed write for ever.
  absl::Status Written(const rocksdb::Status& status, std::string_view doing);
  rocksdb::ColumnFamilyHandle* family(Family which) const { return database_.families[which]; }

  const RocksDbStoreOptions options_;
  const std::shared_ptr<FirstError> first_error_;
  const std::shared_ptr<RepairMark> repair_mark_;
  const RocksDatabase database_;
  rocksdb::DB* const db_;
  const std::unique_ptr<WitnessFiles> witness_;
  const DirectoryId directory_;
  rocksdb::WriteOptions sync_;
  rocksdb::WriteOptions no_wal_;
  rocksdb::ReadOptions walk_;              // of many pages
  std::unique_ptr<TableDropper> dropper_;  // last: it uses the others
};

}  // namespace sextant::storage
