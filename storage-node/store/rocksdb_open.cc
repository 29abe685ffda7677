// Opening a RocksDbStore, also one that is damaged. See rocksdb_store_impl.h and witness.h.
//
// A write-ahead log that is damaged before its end makes RocksDB refuse; it is then opened once
// more so that it takes what it can still read, and the witness tells which segments lack
// something. Where RocksDB cannot be opened at all the node does not start.
#include <spdlog/spdlog.h>

#include <utility>

#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "storage-node/store/data_directory.h"
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
  if (!status.IsCorruption()) return FromRocks(status, Text("open ", directory.store_path()));
  return absl::DataLossError(Text("the store in ", directory.store_path(),
                                  " is too damaged to be opened: ", status.ToString(),
                                  "; replace the segments of this node (sextant segment replace), ",
                                  "then give the node an empty directory"));
}

rocksdb::Status OpenWith(const rocksdb::DBOptions& db, const RocksDbStoreOptions& options,
                         const std::string& path, RocksDatabase* database) {
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::Open(db, path, Families(options), &database->families, &raw);
  database->db.reset(raw);
  return status;
}

// What a damaged write-ahead log still says in so many bytes of high-water marks, whatever becomes
// of the records around them: RocksDB leaves out all that shares 32 KiB with the damage, and the
// witness may lag behind that.
void RaiseByRawMarks(rocksdb::Env* env, const std::string& path, Witness* witness) {
  std::vector<std::string> files;
  if (!env->GetChildren(path, &files).ok()) return;
  for (const std::string& file : files) {
    std::string bytes;
    if (!file.ends_with(".log") || !rocksdb::ReadFileToString(env, path + "/" + file, &bytes).ok())
      continue;
    constexpr size_t kEntryBytes = 1 + kSegmentKeyBytes + 1 + kHighWaterBytes;
    for (size_t at = 0; at + kEntryBytes <= bytes.size(); ++at) {
      if (bytes[at] != kSegmentKeyBytes || bytes[at + 1 + kSegmentKeyBytes] != kHighWaterBytes)
        continue;
      const std::string_view entry = std::string_view(bytes).substr(at, kEntryBytes);
      const SegmentId segment = ParseSegmentKey(entry.substr(1, kSegmentKeyBytes));
      if (!witness->states.contains(segment) && !witness->marks.contains(segment)) continue;
      const auto mark = DecodeHighWater(segment, entry.substr(2 + kSegmentKeyBytes));
      if (mark.ok()) witness->RaiseMark(*mark);
    }
  }
}

// Raises the marks of `witness`, if there is one, by what a damaged log says.
absl::StatusOr<RocksDatabase> OpenDatabase(const RocksDbStoreOptions& options,
                                           const DataDirectory& directory,
                                           const std::shared_ptr<FirstError>& first_error,
                                           absl::StatusOr<Witness>* witness) {
  RocksDatabase database;
  rocksdb::DBOptions db = DatabaseOptions(options, directory.is_new(), first_error);
  const rocksdb::Status status = OpenWith(db, options, directory.store_path(), &database);
  if (status.ok()) return database;
  if (!status.IsCorruption()) return OpenError(status, directory);
  if (witness->ok()) RaiseByRawMarks(db.env, directory.store_path(), &**witness);
  SalvageWriteAheadLog(&db);
  const rocksdb::Status salvaged = OpenWith(db, options, directory.store_path(), &database);
  if (!salvaged.ok()) return OpenError(salvaged, directory);
  spdlog::error(
      "store: the write-ahead log in {} is damaged, what could be read of it was kept; segments "
      "that lack something repair themselves from their peers: {}",
      directory.store_path(), status.ToString());
  return database;
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

absl::StatusOr<std::unique_ptr<SegmentStore>> OpenRocksDbStore(const RocksDbStoreOptions& options) {
  ASSIGN_OR_RETURN(DataDirectory directory,
                   DataDirectory::Open(options.directory, {options.node, options.zone}));
  auto first_error = std::make_shared<FirstError>();
  auto witness = std::make_unique<WitnessFiles>(
      options.env != nullptr ? options.env : rocksdb::Env::Default(), options.directory,
      [first_error](absl::Status error) { (void)first_error->Set(std::move(error)); });
  absl::StatusOr<Witness> found = witness->Read();
  if (directory.is_new() && absl::IsNotFound(found.status())) found = Witness();
  if (found.status().code() == absl::StatusCode::kFailedPrecondition) return found.status();
  ASSIGN_OR_RETURN(RocksDatabase database, OpenDatabase(options, directory, first_error, &found));
  const DatabaseContents contents{ReadVersion(database), ReadStates(database), ReadMarks(database)};
  ASSIGN_OR_RETURN(Reconciled reconciled, Reconcile(contents, found));
  for (const std::string& loss : reconciled.losses) {
    spdlog::error("store: {}: {}", options.directory, loss);
  }
  RETURN_IF_ERROR(BringInLine(database, reconciled));
  RETURN_IF_ERROR(witness->Start(std::move(reconciled.contents)));
  if (directory.is_new()) RETURN_IF_ERROR(directory.MarkReady());
  return std::make_unique<RocksDbStore>(options, std::move(first_error), std::move(database),
                                        std::move(witness));
}

}  // namespace sextant::storage
