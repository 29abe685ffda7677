// RocksDbStore: commits and the log. See rocksdb_store_impl.h.
#include <utility>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/failpoint/failpoint.h"
#include "storage-node/store/data_directory.h"
#include "storage-node/store/rocksdb_store_impl.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

Failpoint store_sync("store-sync");            // before anything of a commit is on disk
Failpoint store_synced("store-synced");        // all of it is, and nobody was told yet
Failpoint ack_before_sync("ack-before-sync");  // a planted bug: tests/fault must see it

}  // namespace

RocksDbStore::RocksDbStore(RocksDbStoreOptions options, std::shared_ptr<FirstError> first_error,
                           std::shared_ptr<RepairMark> repair_mark, RocksDatabase database,
                           std::unique_ptr<WitnessFiles> witness, DirectoryId directory)
    : options_(std::move(options)),
      first_error_(std::move(first_error)),
      repair_mark_(std::move(repair_mark)),
      database_(std::move(database)),
      db_(database_.db.get()),
      witness_(std::move(witness)),
      directory_(directory) {
  sync_.sync = true;
  no_wal_.disableWAL = true;
  dropper_ = std::make_unique<TableDropper>(
      db_, [this](const rocksdb::Status& status) { (void)Written(status, "drop table files"); });
  walk_.total_order_seek = true;  // from page to page, across prefixes
  walk_.fill_cache = false;
}

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

absl::Status RocksDbStore::Read(const rocksdb::Status& status, std::string_view doing) {
  if (IsDamage(status)) repair_mark_->SetVerify();
  return FromRocks(status, doing);
}

absl::Status RocksDbStore::Commit(const StoreWrite& write) {
  RETURN_IF_ERROR(first_error_->Get());
  rocksdb::WriteBatch batch;
  for (const SegmentId segment : write.dropped_segments) database_.DropSegment(segment, &batch);
  for (const LogDrop& drop : write.log_drops) {
    batch.DeleteRange(family(kLog), SegmentKey(drop.segment), LogKey(drop.segment, drop.before));
  }
  for (const SegmentState& state : write.states) dropper_->AwaitSegment(state.segment);
  for (const LogAppend& append : write.log) {
    dropper_->AwaitSegment(append.segment);
    batch.Put(family(kLog), LogKey(append.segment, append.position), AsSlice(*append.batch));
  }
  for (const LogHighWater& mark : write.high_water) {
    batch.Put(family(kHighWater), SegmentKey(mark.segment), EncodeHighWater(mark));
  }
  for (const SegmentState& state : write.remains) {
    batch.Put(family(kMeta), SegmentKey(state.segment), EncodeState(state));
  }
  for (const SegmentState& state : write.states) {
    batch.Put(family(kMeta), SegmentKey(state.segment), EncodeState(state));
  }
  if (ChangesStates(write)) database_.PutVersion(witness_->version() + 1, &batch);
  if (!write.MakesRoom()) RETURN_IF_ERROR(CheckRoom(batch.GetDataSize()));
  if (absl::Status hit = store_sync.Hit(); !hit.ok()) return first_error_->Set(std::move(hit));
  rocksdb::WriteOptions how = sync_;
  if (!ChangesStates(write) && ack_before_sync.IsOn()) how.sync = false;
  RETURN_IF_ERROR(Written(db_->Write(how, &batch), "commit"));
  const absl::Status witnessed = witness_->Commit(write);
  if (!witnessed.ok()) return first_error_->Set(witnessed);
  if (absl::Status hit = store_synced.Hit(); !hit.ok()) return first_error_->Set(std::move(hit));
  DropTables(write);
  return absl::OkStatus();
}

void RocksDbStore::DropTables(const StoreWrite& write) {
  for (const SegmentId segment : write.dropped_segments) {
    for (const Family which : {kLog, kPages}) {
      dropper_->Drop(family(which), SegmentKey(segment), SegmentEndKey(segment), segment);
    }
    for (const SegmentState& state : write.states) dropper_->AwaitSegment(state.segment);
  }
  for (const LogDrop& drop : write.log_drops) {
    dropper_->Drop(family(kLog), SegmentKey(drop.segment), LogKey(drop.segment, drop.before),
                   std::nullopt);
  }
}

absl::StatusOr<std::vector<SegmentState>> RocksDbStore::LoadStates() { return witness_->States(); }

absl::StatusOr<std::optional<LogHighWater>> RocksDbStore::LoadHighWater(SegmentId segment) {
  return witness_->Mark(segment);
}

absl::StatusOr<bool> ScanLogFamily(
    rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family, SegmentId segment, LogPosition from,
    LogPosition last,
    const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) {
  rocksdb::ReadOptions read;
  read.readahead_size = 1 << 20;
  read.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db->NewIterator(read, family));
  LogPosition next = from;
  bool is_damaged = false;
  it->Seek(LogKey(segment, next));
  while (true) {
    LogPosition position;
    if (it->Valid()) {
      if (!ParseLogKey(AsView(it->key()), segment, &position)) return is_damaged;
      visit(position, std::make_shared<const std::string>(it->value().ToString()));
      next = position.Next();
      it->Next();
    } else if (it->status().ok()) {
      return is_damaged;
    } else if (IsDamage(it->status())) {
      is_damaged = true;
      // A damaged block: what lies in it is left out, and the caller sees the gap in the positions.
      if (next >= last) return is_damaged;
      next = next.Next();
      it->Seek(LogKey(segment, next));
    } else {
      return FromRocks(it->status(), "scan log");
    }
  }
}

absl::Status RocksDbStore::ScanLog(
    SegmentId segment, LogPosition from,
    const std::function<void(LogPosition, std::shared_ptr<const std::string>)>& visit) {
  // Behind the mark it holds nothing of this segment.
  const std::optional<LogHighWater> mark = witness_->Mark(segment);
  ASSIGN_OR_RETURN(const bool is_damaged, ScanLogFamily(db_, family(kLog), segment, from,
                                                        mark ? mark->last_position : from, visit));
  if (is_damaged) repair_mark_->SetVerify();
  return absl::OkStatus();
}

absl::StatusOr<std::string> RocksDbStore::ReadBatch(SegmentId segment, LogPosition position) {
  std::string batch;
  rocksdb::ReadOptions once;  // scrub and peers come by once: they leave the cache to page reads
  once.fill_cache = false;
  RETURN_IF_ERROR(Read(db_->Get(once, family(kLog), LogKey(segment, position), &batch),
                       Text("read batch at position ", position)));
  return batch;
}

absl::StatusOr<std::string> RocksDbStore::ReadRecord(SegmentId segment, LogPosition position,
                                                     uint32_t offset, uint32_t size) {
  rocksdb::PinnableSlice batch;
  RETURN_IF_ERROR(Read(db_->Get({}, family(kLog), LogKey(segment, position), &batch),
                       Text("read batch at position ", position)));
  return CutRecord(AsView(batch), offset, size);
}

}  // namespace sextant::storage
