// See rocksdb_store.h.
#include "storage-node/store/rocksdb_store.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "rocksdb/convenience.h"
#include "rocksdb/db.h"
#include "rocksdb/listener.h"
#include "storage-node/store/data_directory.h"
#include "storage-node/store/rocksdb_options.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

constexpr Lsn kMaxLsn{UINT64_MAX};
constexpr PageNo kMaxPage{UINT64_MAX};

rocksdb::Slice AsSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
std::string_view AsView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

// An error from RocksDB, as a caller of the store understands it. Never RESOURCE_EXHAUSTED: a write
// that RocksDB itself could not finish may be half on disk, so it is as fatal as any other.
absl::Status FromRocks(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = Text("store: ", doing, ": ", status.ToString());
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsNotFound()) return absl::NotFoundError(message);
  return absl::UnavailableError(message);
}

// The first failed write or sync, foreground or background; shared with RocksDB's threads.
class FirstError : public rocksdb::EventListener {
 public:
  absl::Status Get() const {
    if (!is_set_.load(std::memory_order_acquire)) return absl::OkStatus();
    std::lock_guard<std::mutex> lock(mutex_);
    return error_;
  }
  // Returns what is remembered: `error`, or the one that came before it.
  absl::Status Set(absl::Status error) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (error_.ok()) error_ = std::move(error);
    is_set_.store(true, std::memory_order_release);
    return error_;
  }

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* error) override {
    (void)Set(FromRocks(*error, "background write"));
  }
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }

 private:
  std::atomic<bool> is_set_{false};
  mutable std::mutex mutex_;
  absl::Status error_;
};

class RocksDbStore : public SegmentStore {
 public:
  RocksDbStore(RocksDbStoreOptions options, std::shared_ptr<FirstError> first_error,
               std::unique_ptr<rocksdb::DB> db, std::vector<rocksdb::ColumnFamilyHandle*> families)
      : options_(std::move(options)),
        first_error_(std::move(first_error)),
        db_(std::move(db)),
        families_(std::move(families)) {
    sync_.sync = true;
    no_wal_.disableWAL = true;
    walk_.total_order_seek = true;  // from page to page, across prefixes
    walk_.fill_cache = false;
  }

  ~RocksDbStore() override {
    for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
    db_->Close();
  }

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
  absl::StatusOr<std::vector<PageNo>> ListPages(SegmentId segment, PageNo from,
                                                size_t limit) override;
  absl::StatusOr<std::optional<PageNo>> ScanPages(
      SegmentId segment, PageNo from, size_t limit,
      const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit)
      override;
  absl::Status DropPageVersions(SegmentId segment, PageNo page, Lsn below) override;

 private:
  absl::Status CheckRoom(uint64_t bytes) const;
  void DropSegment(SegmentId segment, rocksdb::WriteBatch* batch) const;
  absl::Status DropFiles(Family which, const std::string& begin, const std::string& end);
  PageNo LastPage(SegmentId segment) const;
  // Keeps a failed write for ever.
  absl::Status Written(const rocksdb::Status& status, std::string_view doing);
  rocksdb::ColumnFamilyHandle* family(Family which) const { return families_[which]; }

  const RocksDbStoreOptions options_;
  const std::shared_ptr<FirstError> first_error_;
  const std::unique_ptr<rocksdb::DB> db_;
  const std::vector<rocksdb::ColumnFamilyHandle*> families_;
  rocksdb::WriteOptions sync_;
  rocksdb::WriteOptions no_wal_;
  rocksdb::ReadOptions walk_;  // of many pages
};

absl::Status RocksDbStore::CheckRoom(uint64_t bytes) const {
  uint64_t free = 0;
  if (options_.free_bytes) {
    free = options_.free_bytes();
  } else {
    ASSIGN_OR_RETURN(free, FreeDiskBytes(options_.directory));
  }
  if (free >= options_.disk_reserve_bytes + bytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(Text("no room on the disk of ", options_.directory, ": ",
                                           free, " bytes free, ", options_.disk_reserve_bytes,
                                           " kept in reserve"));
}

absl::Status RocksDbStore::Written(const rocksdb::Status& status, std::string_view doing) {
  if (status.ok()) return absl::OkStatus();
  return first_error_->Set(FromRocks(status, doing));
}

absl::Status RocksDbStore::Commit(const StoreWrite& write) {
  RETURN_IF_ERROR(first_error_->Get());
  rocksdb::WriteBatch batch;
  for (const SegmentId segment : write.dropped_segments) DropSegment(segment, &batch);
  for (const LogDrop& drop : write.log_drops) {
    batch.DeleteRange(family(kLog), SegmentKey(drop.segment), LogKey(drop.segment, drop.before));
  }
  for (const LogAppend& append : write.log) {
    batch.Put(family(kLog), LogKey(append.segment, append.position), AsSlice(*append.batch));
  }
  for (const LogHighWater& mark : write.high_water) {
    batch.Put(family(kHighWater), SegmentKey(mark.segment), EncodeHighWater(mark));
  }
  for (const SegmentState& state : write.states) {
    batch.Put(family(kMeta), SegmentKey(state.segment), EncodeState(state));
  }
  if (!write.MakesRoom()) RETURN_IF_ERROR(CheckRoom(batch.GetDataSize()));
  RETURN_IF_ERROR(Written(db_->Write(sync_, &batch), "commit"));
  for (const SegmentId segment : write.dropped_segments) {
    RETURN_IF_ERROR(DropFiles(kLog, SegmentKey(segment), SegmentEndKey(segment)));
    RETURN_IF_ERROR(DropFiles(kPages, SegmentKey(segment), SegmentEndKey(segment)));
  }
  for (const LogDrop& drop : write.log_drops) {
    RETURN_IF_ERROR(DropFiles(kLog, SegmentKey(drop.segment), LogKey(drop.segment, drop.before)));
  }
  return absl::OkStatus();
}

void RocksDbStore::DropSegment(SegmentId segment, rocksdb::WriteBatch* batch) const {
  const std::string begin = SegmentKey(segment);
  const std::string end = SegmentEndKey(segment);
  batch->Delete(family(kMeta), begin);
  batch->Delete(family(kHighWater), begin);
  batch->DeleteRange(family(kLog), begin, end);
  batch->DeleteRange(family(kPages), begin, end);
}

// Table files that hold nothing but what a range tombstone covers go at once, unread. Without it
// their room would come back only when compaction happens to get there. The tombstone that was
// just written covers all that lay below those files, so nothing comes to light again.
absl::Status RocksDbStore::DropFiles(Family which, const std::string& begin,
                                     const std::string& end) {
  const rocksdb::Slice from(begin), to(end);
  return Written(rocksdb::DeleteFilesInRange(db_.get(), family(which), &from, &to,
                                             /*include_end=*/false),
                 "drop table files");
}

absl::StatusOr<std::vector<SegmentState>> RocksDbStore::LoadStates() {
  std::vector<SegmentState> states;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator({}, family(kMeta)));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    ASSIGN_OR_RETURN(SegmentState state, DecodeState(AsView(it->key()), AsView(it->value())));
    states.push_back(std::move(state));
  }
  RETURN_IF_ERROR(FromRocks(it->status(), "load segment states"));
  return states;
}

absl::StatusOr<std::optional<LogHighWater>> RocksDbStore::LoadHighWater(SegmentId segment) {
  std::string value;
  const rocksdb::Status status = db_->Get({}, family(kHighWater), SegmentKey(segment), &value);
  if (status.IsNotFound()) return std::optional<LogHighWater>();
  RETURN_IF_ERROR(FromRocks(status, "load log high-water mark"));
  ASSIGN_OR_RETURN(const LogHighWater mark, DecodeHighWater(segment, value));
  return std::optional<LogHighWater>(mark);
}

absl::Status RocksDbStore::ScanLog(
    SegmentId segment, LogPosition from,
    const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) {
  ASSIGN_OR_RETURN(const std::optional<LogHighWater> mark, LoadHighWater(segment));
  rocksdb::ReadOptions read;
  read.readahead_size = 1 << 20;
  read.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read, family(kLog)));
  LogPosition next = from;
  it->Seek(LogKey(segment, next));
  while (true) {
    LogPosition position;
    if (it->Valid()) {
      if (!ParseLogKey(AsView(it->key()), segment, &position)) return absl::OkStatus();
      visit(position, std::make_shared<const std::string>(it->value().ToString()));
      next = position.Next();
      it->Next();
    } else if (it->status().ok()) {
      return absl::OkStatus();
    } else if (it->status().IsCorruption() && mark && next <= mark->last_position) {
      // A damaged block: what lies in it is left out, and the caller sees the gap in the positions.
      next = next.Next();
      it->Seek(LogKey(segment, next));
    } else {
      return FromRocks(it->status(), "scan log");
    }
  }
}

absl::StatusOr<std::string> RocksDbStore::ReadBatch(SegmentId segment, LogPosition position) {
  std::string batch;
  RETURN_IF_ERROR(FromRocks(db_->Get({}, family(kLog), LogKey(segment, position), &batch),
                            Text("read batch at position ", position)));
  return batch;
}

absl::StatusOr<std::string> RocksDbStore::ReadRecord(SegmentId segment, LogPosition position,
                                                     uint32_t offset, uint32_t size) {
  rocksdb::PinnableSlice batch;
  RETURN_IF_ERROR(FromRocks(db_->Get({}, family(kLog), LogKey(segment, position), &batch),
                            Text("read batch at position ", position)));
  return CutRecord(AsView(batch), offset, size);
}

absl::StatusOr<std::optional<page::PageImage>> RocksDbStore::ReadPage(SegmentId segment,
                                                                      PageNo page,
                                                                      Lsn at_or_below) {
  rocksdb::ReadOptions read;
  read.prefix_same_as_start = true;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read, family(kPages)));
  it->Seek(PageKey(segment, page, at_or_below));
  Lsn lsn;
  if (!it->Valid()) {
    RETURN_IF_ERROR(FromRocks(it->status(), Text("read page ", page)));
    return std::optional<page::PageImage>();
  }
  if (!ParsePageKey(AsView(it->key()), segment, page, &lsn))
    return std::optional<page::PageImage>();
  ASSIGN_OR_RETURN(page::PageImage image, DecodePage(segment, page, lsn, AsView(it->value())));
  return std::optional<page::PageImage>(std::move(image));
}

absl::Status RocksDbStore::WritePage(SegmentId segment, PageNo page, const page::PageImage& image) {
  RETURN_IF_ERROR(first_error_->Get());
  const std::string key = PageKey(segment, page, image.lsn);
  const std::string crc = EncodePageCrc(segment, page, image);
  const rocksdb::Slice key_part(key);
  const std::array<rocksdb::Slice, 2> value_parts = {AsSlice(crc), AsSlice(image.bytes)};
  rocksdb::WriteBatch batch;
  batch.Put(family(kPages), rocksdb::SliceParts(&key_part, 1),
            rocksdb::SliceParts(value_parts.data(), static_cast<int>(value_parts.size())));
  return Written(db_->Write(no_wal_, &batch), "store page version");
}

absl::Status RocksDbStore::FlushPages() {
  RETURN_IF_ERROR(first_error_->Get());
  return Written(db_->Flush({}, family(kPages)), "flush page versions");
}

// Where a walk through damage ends at the latest: the last page that the segment can have.
PageNo RocksDbStore::LastPage(SegmentId segment) const {
  std::string value;
  if (!db_->Get({}, family(kMeta), SegmentKey(segment), &value).ok()) return kMaxPage;
  const absl::StatusOr<SegmentState> state = DecodeState(SegmentKey(segment), value);
  if (!state.ok()) return kMaxPage;
  return PageNo((uint64_t{segment.pg.value()} + 1) * state->descriptor.geometry.pages_per_pg - 1);
}

absl::StatusOr<std::vector<PageNo>> RocksDbStore::ListPages(SegmentId segment, PageNo from,
                                                            size_t limit) {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(walk_, family(kPages)));
  std::vector<PageNo> pages;
  for (PageNo next = from; pages.size() < limit; next = pages.back().Next()) {
    it->Seek(PageKey(segment, next, kMaxLsn));
    PageNo page;
    Lsn lsn;
    if (it->Valid()) {
      if (!ParsePageKey(AsView(it->key()), segment, &page, &lsn)) break;
      pages.push_back(page);
    } else if (it->status().IsCorruption() && next <= LastPage(segment)) {
      pages.push_back(next);  // a damaged block: it may hold this page
    } else {
      RETURN_IF_ERROR(FromRocks(it->status(), "list pages"));
      break;
    }
  }
  return pages;
}

absl::StatusOr<std::optional<PageNo>> RocksDbStore::ScanPages(
    SegmentId segment, PageNo from, size_t limit,
    const std::function<void(PageNo, Lsn, const absl::StatusOr<page::PageImage>&)>& visit) {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(walk_, family(kPages)));
  PageNo page = from;
  std::optional<PageNo> visited;  // the last one, to count pages and not versions
  size_t pages = 0;
  it->Seek(PageKey(segment, page, kMaxLsn));
  while (true) {
    Lsn lsn;
    absl::StatusOr<page::PageImage> image;
    const bool is_found = it->Valid();
    if (is_found) {
      if (!ParsePageKey(AsView(it->key()), segment, &page, &lsn)) return std::nullopt;
      image = DecodePage(segment, page, lsn, AsView(it->value()));
    } else if (it->status().IsCorruption() && page <= LastPage(segment)) {
      image = FromRocks(it->status(), Text("scan page ", page));
    } else {
      RETURN_IF_ERROR(FromRocks(it->status(), "scan pages"));
      return std::nullopt;
    }
    if (visited != page && pages++ == limit) return page;
    visited = page;
    visit(page, lsn, image);
    if (is_found) {
      it->Next();
    } else {  // on to the first page behind the damaged block, number by number
      page = page.Next();
      it->Seek(PageKey(segment, page, kMaxLsn));
    }
  }
}

absl::Status RocksDbStore::DropPageVersions(SegmentId segment, PageNo page, Lsn below) {
  RETURN_IF_ERROR(first_error_->Get());
  if (below == Lsn()) return absl::OkStatus();
  const std::string begin = PageKey(segment, page, Lsn(below.value() - 1));
  rocksdb::WriteBatch batch;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(walk_, family(kPages)));
  Lsn lsn;
  for (it->Seek(begin); it->Valid() && ParsePageKey(AsView(it->key()), segment, page, &lsn);
       it->Next()) {
    // One by one: a range tombstone per page would make every later read slower.
    batch.Delete(family(kPages), it->key());
  }
  if (it->status().IsCorruption()) {
    batch.DeleteRange(family(kPages), begin, PageKey(segment, page.Next(), kMaxLsn));
  } else {
    RETURN_IF_ERROR(FromRocks(it->status(), Text("drop versions of page ", page)));
  }
  if (batch.Count() == 0) return absl::OkStatus();
  return Written(db_->Write(no_wal_, &batch), "drop page versions");
}

absl::Status OpenError(const rocksdb::Status& status, const DataDirectory& directory) {
  if (status.IsIOError() && status.ToString().find("/LOCK") != std::string::npos) {
    return absl::UnavailableError(Text("data directory ", directory.path(),
                                       " is in use by another process; stop that one first"));
  }
  return FromRocks(status, Text("open ", directory.store_path()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SegmentStore>> OpenRocksDbStore(const RocksDbStoreOptions& options) {
  ASSIGN_OR_RETURN(DataDirectory directory,
                   DataDirectory::Open(options.directory, {options.node, options.zone}));
  auto first_error = std::make_shared<FirstError>();
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(DatabaseOptions(options, directory.is_new(), first_error),
                        directory.store_path(), Families(options), &families, &raw);
  if (!status.ok()) return OpenError(status, directory);
  auto store = std::make_unique<RocksDbStore>(
      options, std::move(first_error), std::unique_ptr<rocksdb::DB>(raw), std::move(families));
  if (directory.is_new()) RETURN_IF_ERROR(directory.MarkReady());
  return std::unique_ptr<SegmentStore>(std::move(store));
}

}  // namespace sextant::storage
