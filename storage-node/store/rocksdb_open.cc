// Opening a RocksDbStore, also one that is damaged. See rocksdb_store_impl.h and witness.h.
//
// Where RocksDB refuses, or the mark of an earlier run asks for it, the files are salvaged first
// (rocksdb_salvage.h) and the witness tells which segments lack something. The node does not start
// where damaged tables meet damaged witness files: nothing is left to tell what it promised.
#include <spdlog/spdlog.h>

#include <utility>

#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "storage-node/store/data_directory.h"
#include "storage-node/store/rocksdb_families.h"
#include "storage-node/store/rocksdb_salvage.h"
#include "storage-node/store/rocksdb_store_impl.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

constexpr char kVersionKey[] = "version";

absl::Status OpenError(const rocksdb::Status& status, const DataDirectory& directory) {
  if (status.IsIOError() && status.ToString().find("/LOCK") != std::string::npos) {
    return absl::UnavailableError(Text("data directory ", directory.path(),
                                       " is in use by another process; stop that one first"));
  }
  return FromRocks(status, Text("open ", directory.store_path()));
}

// RocksDB's own lock, while files are changed with the database closed.
class StoreLock {
 public:
  StoreLock(rocksdb::Env* env, const std::string& store_path) : env_(env) {
    status_ = env->LockFile(store_path + "/LOCK", &lock_);
  }
  ~StoreLock() {
    if (lock_ != nullptr) env_->UnlockFile(lock_);
  }
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;
  const rocksdb::Status& status() const { return status_; }

 private:
  rocksdb::Env* const env_;
  rocksdb::FileLock* lock_ = nullptr;
  rocksdb::Status status_;
};

// A directory that has lost its store altogether is not mended: an operator emptied it.
bool IsStoreDamaged(const rocksdb::Status& status, rocksdb::Env* env,
                    const DataDirectory& directory) {
  return IsDamage(status) && env->FileExists(directory.store_path() + "/CURRENT").ok();
}

absl::StatusOr<uint64_t> ReadVersion(const RocksDatabase& database) {
  std::string value;
  const rocksdb::Status status =
      database.db->Get({}, database.families[kDefault], kVersionKey, &value);
  if (status.IsNotFound()) return 0;
  RETURN_IF_ERROR(FromRocks(status, "load version"));
  std::string_view in = value;
  uint32_t crc;
  uint64_t version;
  if (!GetFixed32(&in, &crc) || crc != Crc32c(in) || !GetFixed64(&in, &version)) {
    return absl::DataLossError("store: the version of the segment states is damaged");
  }
  return version;
}

// decode(key, value) for each entry of a family.
template <typename Decode>
absl::Status ReadFamily(const RocksDatabase& database, Family which, Decode decode) {
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db->NewIterator({}, database.families[which]));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    RETURN_IF_ERROR(decode(AsView(it->key()), AsView(it->value())));
  }
  return FromRocks(it->status(), "load segments");
}

absl::StatusOr<std::map<SegmentId, SegmentState>> ReadStates(const RocksDatabase& database) {
  std::map<SegmentId, SegmentState> states;
  RETURN_IF_ERROR(ReadFamily(database, kMeta, [&](std::string_view key, std::string_view value) {
    const absl::StatusOr<SegmentState> state = DecodeState(key, value);
    if (state.ok()) states[state->segment] = *state;
    return state.status();
  }));
  return states;
}

absl::StatusOr<std::map<SegmentId, LogHighWater>> ReadMarks(const RocksDatabase& database) {
  std::map<SegmentId, LogHighWater> marks;
  RETURN_IF_ERROR(
      ReadFamily(database, kHighWater, [&](std::string_view key, std::string_view value) {
        if (key.size() != kSegmentKeyBytes)
          return absl::DataLossError("log high-water mark under a strange key");
        const SegmentId segment = ParseSegmentKey(key);
        const absl::StatusOr<LogHighWater> mark = DecodeHighWater(segment, value);
        if (mark.ok()) marks[segment] = *mark;
        return mark.status();
      }));
  return marks;
}

// Writes into the database what it lacks.
absl::Status BringInLine(const RocksDatabase& database, const Reconciled& reconciled) {
  if (!reconciled.is_database_behind) return absl::OkStatus();
  rocksdb::WriteBatch batch;
  for (const SegmentId segment : reconciled.dropped_segments) {
    database.DropSegment(segment, &batch);
  }
  for (const auto& [segment, state] : reconciled.contents.states) {
    batch.Put(database.families[kMeta], SegmentKey(segment), EncodeState(state));
  }
  for (const auto& [segment, mark] : reconciled.contents.marks) {
    batch.Put(database.families[kHighWater], SegmentKey(segment), EncodeHighWater(mark));
  }
  database.PutVersion(reconciled.contents.version, &batch);
  rocksdb::WriteOptions sync;
  sync.sync = true;
  return FromRocks(database.db->Write(sync, &batch), "bring the database in line");
}

}  // namespace

RocksDatabase::~RocksDatabase() {
  if (db == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* family : families) db->DestroyColumnFamilyHandle(family);
  db->Close();
}

void RocksDatabase::DropSegment(SegmentId segment, rocksdb::WriteBatch* batch) const {
  const std::string begin = SegmentKey(segment);
  const std::string end = SegmentEndKey(segment);
  batch->Delete(families[kMeta], begin);
  batch->Delete(families[kHighWater], begin);
  batch->DeleteRange(families[kLog], begin, end);
  batch->DeleteRange(families[kPages], begin, end);
}

void RocksDatabase::PutVersion(uint64_t version, rocksdb::WriteBatch* batch) const {
  std::string body;
  PutFixed64(&body, version);
  std::string value;
  PutFixed32(&value, Crc32c(body));
  batch->Put(families[kDefault], kVersionKey, value + body);
}

DatabaseContents ReadContents(const RocksDatabase& database) {
  return {ReadVersion(database), ReadStates(database), ReadMarks(database)};
}

namespace {

// Everything that opening one directory needs.
class Opening {
 public:
  explicit Opening(const RocksDbStoreOptions& options, DataDirectory directory)
      : options_(options),
        env_(options.env != nullptr ? options.env : rocksdb::Env::Default()),
        directory_(std::move(directory)),
        mark_(std::make_shared<RepairMark>(env_, options.directory)),
        first_error_(std::make_shared<FirstError>([mark = mark_] { mark->SetVerify(); })),
        witness_(std::make_unique<WitnessFiles>(
            env_, options.directory,
            [error = first_error_](absl::Status status) { (void)error->Set(std::move(status)); })) {
  }

  absl::StatusOr<std::unique_ptr<SegmentStore>> Open();

 private:
  absl::Status OpenDatabase();
  absl::Status SalvageLogs();
  absl::Status SalvageAll();
  absl::Status GiveUp(const absl::Status& why);
  rocksdb::Status TryOpen(bool has_rewritten_logs);

  const RocksDbStoreOptions& options_;
  rocksdb::Env* const env_;
  DataDirectory directory_;
  const std::shared_ptr<RepairMark> mark_;
  const std::shared_ptr<FirstError> first_error_;
  std::unique_ptr<WitnessFiles> witness_;
  absl::StatusOr<Witness> found_;  // in the witness files
  RocksDatabase database_;
};

rocksdb::Status Opening::TryOpen(bool has_rewritten_logs) {
  const bool create = directory_.is_new() || mark_->Read() == RepairMark::Kind::kBeginAnew;
  rocksdb::DBOptions db = DatabaseOptions(options_, create, first_error_);
  if (has_rewritten_logs) AllowRewrittenLogs(&db);
  return OpenFamilies(db, Families(options_), directory_.store_path(), &database_);
}

// The marks go first: what is rewritten says no more how far the logs reached.
absl::Status Opening::SalvageLogs() {
  const StoreLock lock(env_, directory_.store_path());
  RETURN_IF_ERROR(OpenError(lock.status(), directory_));
  if (found_.ok()) {
    RaiseByRawMarks(env_, directory_.store_path(), &*found_);
    RETURN_IF_ERROR(witness_->Save(*found_));
  }
  return SalvageWriteAheadLogs(env_, directory_.store_path());
}

absl::Status Opening::GiveUp(const absl::Status& why) {
  if (!found_.ok()) {
    return absl::DataLossError(
        Text("the store in ", directory_.store_path(), " and its witness files are too damaged to ",
             "be opened: ", why.ToString(), "; replace the segments of this node (sextant segment ",
             "replace), then give the node an empty directory"));
  }
  spdlog::error(
      "store: {} is too damaged to be opened; all its segments begin anew and repair themselves "
      "from their peers: {}",
      directory_.store_path(), why.ToString());
  return GiveTablesUp(directory_.store_path(), mark_.get());
}

absl::Status Opening::SalvageAll() {
  if (mark_->Read() == RepairMark::Kind::kNone)
    RETURN_IF_ERROR(mark_->Set(RepairMark::Kind::kVerify));
  const absl::Status salvaged = SalvageTables(options_, directory_.store_path(), found_);
  return absl::IsDataLoss(salvaged) ? GiveUp(salvaged) : salvaged;
}

absl::Status Opening::OpenDatabase() {
  rocksdb::Status status;
  if (mark_->Read() != RepairMark::Kind::kVerify) {
    status = TryOpen(/*has_rewritten_logs=*/false);
    if (!IsStoreDamaged(status, env_, directory_)) return OpenError(status, directory_);
  }
  RETURN_IF_ERROR(SalvageLogs());
  if (mark_->Read() != RepairMark::Kind::kVerify) {
    status = TryOpen(/*has_rewritten_logs=*/true);
    if (!IsStoreDamaged(status, env_, directory_)) return OpenError(status, directory_);
  }
  RETURN_IF_ERROR(SalvageAll());
  return OpenError(TryOpen(/*has_rewritten_logs=*/true), directory_);
}

absl::StatusOr<std::unique_ptr<SegmentStore>> Opening::Open() {
  found_ = witness_->Read();
  if (directory_.is_new() && absl::IsNotFound(found_.status())) found_ = Witness();
  if (found_.status().code() == absl::StatusCode::kFailedPrecondition) return found_.status();
  RETURN_IF_ERROR(OpenDatabase());
  ASSIGN_OR_RETURN(Reconciled reconciled, Reconcile(ReadContents(database_), found_));
  if (mark_->Read() == RepairMark::Kind::kBeginAnew) {
    BeginSegmentsAnew(&reconciled.contents);
    reconciled.is_database_behind = true;
  }
  for (const std::string& loss : reconciled.losses) {
    spdlog::error("store: {}: {}", options_.directory, loss);
  }
  RETURN_IF_ERROR(BringInLine(database_, reconciled));
  RETURN_IF_ERROR(witness_->Start(std::move(reconciled.contents)));
  if (directory_.is_new()) RETURN_IF_ERROR(directory_.MarkReady());
  RETURN_IF_ERROR(mark_->Clear());
  return std::make_unique<RocksDbStore>(options_, first_error_, mark_, std::move(database_),
                                        std::move(witness_), directory_.id());
}

}  // namespace

absl::StatusOr<std::unique_ptr<SegmentStore>> OpenRocksDbStore(const RocksDbStoreOptions& options) {
  ASSIGN_OR_RETURN(DataDirectory directory,
                   DataDirectory::Open(options.directory, {options.node, options.zone}));
  return Opening(options, std::move(directory)).Open();
}

}  // namespace sextant::storage
