// See rocksdb_store.h.
#include "storage-node/store/rocksdb_store.h"

#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "rocksdb/db.h"
#include "rocksdb/listener.h"
#include "storage-node/store/data_directory.h"
#include "storage-node/store/rocksdb_options.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

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
  }

  ~RocksDbStore() override {
    for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
    db_->Close();
  }

  absl::Status Commit(const StoreWrite& write) override;
  absl::StatusOr<std::vector<SegmentState>> LoadStates() override;
  absl::StatusOr<std::optional<LogHighWater>> LoadHighWater(SegmentId segment) override;
  absl::Status ScanLog(
      SegmentId segment,
      const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) override;
  absl::StatusOr<std::string> ReadBatch(SegmentId segment, LogPosition position) override;
  absl::StatusOr<std::string> ReadRecord(SegmentId segment, LogPosition position, uint32_t offset,
                                         uint32_t size) override;
  absl::StatusOr<std::optional<page::PageImage>> ReadPage(SegmentId segment, PageNo page,
                                                          Lsn at_or_below) override;
  absl::Status WritePage(SegmentId segment, PageNo page, const page::PageImage& image) override;

 private:
  absl::Status CheckRoom(uint64_t bytes) const;
  // Keeps a failed write for ever.
  absl::Status Written(const rocksdb::Status& status, std::string_view doing);
  rocksdb::ColumnFamilyHandle* family(Family which) const { return families_[which]; }

  const RocksDbStoreOptions options_;
  const std::shared_ptr<FirstError> first_error_;
  const std::unique_ptr<rocksdb::DB> db_;
  const std::vector<rocksdb::ColumnFamilyHandle*> families_;
  rocksdb::WriteOptions sync_;
  rocksdb::WriteOptions no_wal_;
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
  for (const LogAppend& append : write.log) {
    batch.Put(family(kLog), LogKey(append.segment, append.position), AsSlice(*append.batch));
  }
  for (const LogHighWater& mark : write.high_water) {
    batch.Put(family(kHighWater), SegmentKey(mark.segment), EncodeHighWater(mark));
  }
  for (const SegmentState& state : write.states) {
    batch.Put(family(kMeta), SegmentKey(state.segment), EncodeState(state));
  }
  RETURN_IF_ERROR(CheckRoom(batch.GetDataSize()));
  return Written(db_->Write(sync_, &batch), "commit");
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
    SegmentId segment,
    const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) {
  ASSIGN_OR_RETURN(const std::optional<LogHighWater> mark, LoadHighWater(segment));
  rocksdb::ReadOptions read;
  read.readahead_size = 1 << 20;
  read.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(read, family(kLog)));
  LogPosition next(1);
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
