// See rocksdb_salvage.h.
#include "storage-node/store/rocksdb_salvage.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "rocksdb/sst_file_reader.h"
#include "storage-node/store/rocksdb_families.h"
#include "storage-node/store/store_codec.h"
#include "storage-node/store/wal_salvage.h"

namespace sextant::storage {
namespace {

// More than this a single page is too slow a repair: the segments are rebuilt as a whole.
constexpr size_t kMaxLostPages = 1000;
// Below every version of a page that is kept. Nothing at or above it is read from lower versions.
constexpr Lsn kLostVersion{1};
constexpr size_t kCopyBatchBytes = 1 << 20;

// The names of the files of `path` that end in `suffix`, in order of their numbers.
std::vector<std::string> FilesOf(rocksdb::Env* env, const std::string& path,
                                 std::string_view suffix) {
  std::vector<std::string> all, found;
  (void)env->GetChildren(path, &all);  // none there: nothing to say of them
  for (const std::string& file : all) {
    if (file.ends_with(suffix)) found.push_back(path + "/" + file);
  }
  std::ranges::sort(found);
  return found;
}

void RaiseByLogFile(std::string_view bytes, Witness* witness) {
  constexpr size_t kEntryBytes = 1 + kSegmentKeyBytes + 1 + kHighWaterBytes;
  for (size_t at = 0; at + kEntryBytes <= bytes.size(); ++at) {
    if (bytes[at] != kSegmentKeyBytes || bytes[at + 1 + kSegmentKeyBytes] != kHighWaterBytes)
      continue;
    const std::string_view entry = bytes.substr(at, kEntryBytes);
    const SegmentId segment = ParseSegmentKey(entry.substr(1, kSegmentKeyBytes));
    if (!witness->states.contains(segment) && !witness->marks.contains(segment)) continue;
    const auto mark = DecodeHighWater(segment, entry.substr(2 + kSegmentKeyBytes));
    if (mark.ok()) witness->RaiseMark(*mark);
  }
}

void RaiseByTable(rocksdb::Env* env, const std::string& file, Witness* witness) {
  rocksdb::Options options;
  options.env = env;
  rocksdb::SstFileReader reader(options);
  if (!reader.Open(file).ok()) return;
  if (!Text(reader.GetTableProperties()->column_family_name).starts_with("high_water")) return;
  const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator({}));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    if (it->key().size() != kSegmentKeyBytes) continue;
    const SegmentId segment = ParseSegmentKey(AsView(it->key()));
    const auto mark = DecodeHighWater(segment, AsView(it->value()));
    if (mark.ok() && witness->states.contains(segment)) witness->RaiseMark(*mark);
  }
}

absl::Status RewriteLogFile(rocksdb::Env* env, const std::string& file) {
  std::string bytes;
  RETURN_IF_ERROR(FromRocks(rocksdb::ReadFileToString(env, file, &bytes), file));
  const SalvagedWal salvaged = SalvageWal(bytes);
  if (salvaged.damages == 0) return absl::OkStatus();
  // RocksDB itself removes a file of this name that a crash leaves behind.
  const std::string draft = file.substr(0, file.size() - 3) + "dbtmp";
  rocksdb::Status status = rocksdb::WriteStringToFile(env, salvaged.bytes, draft, true);
  if (status.ok()) status = env->RenameFile(draft, file);
  RETURN_IF_ERROR(FromRocks(status, Text("rewrite ", file)));
  spdlog::error(
      "store: the write-ahead log {} is damaged in {} places; {} whole records of it were kept, "
      "segments that lack something repair themselves from their peers",
      file, salvaged.damages, salvaged.records);
  return absl::OkStatus();
}

// Those families that have a table which cannot be read whole.
std::set<size_t> FindDamaged(const RocksDatabase& database, const rocksdb::DBOptions& db,
                             const std::vector<rocksdb::ColumnFamilyDescriptor>& wanted) {
  std::set<size_t> damaged;
  std::vector<rocksdb::LiveFileMetaData> files;
  database.db->GetLiveFilesMetaData(&files);
  for (const rocksdb::LiveFileMetaData& file : files) {
    size_t family = 0;
    while (database.families[family]->GetName() != file.column_family_name) ++family;
    rocksdb::SstFileReader reader(rocksdb::Options(db, wanted[family].options));
    rocksdb::Status status = reader.Open(file.db_path + file.name);
    if (status.ok()) status = reader.VerifyChecksum();
    if (status.ok()) continue;
    damaged.insert(family);
    spdlog::error("store: table {}{} of family {} is damaged: {}", file.db_path, file.name,
                  file.column_family_name, status.ToString());
  }
  return damaged;
}

// Writes into one family, without the write-ahead log; Finish makes it durable.
class FamilyWriter {
 public:
  FamilyWriter(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) : db_(db), family_(family) {
    no_wal_.disableWAL = true;
  }
  void Put(const std::string& key, std::string_view value) {
    batch_.Put(family_, key, AsSlice(value));
    if (batch_.GetDataSize() >= kCopyBatchBytes) Write();
  }
  absl::Status Finish() {
    Write();
    if (status_.ok()) status_ = db_->Flush({}, family_);
    return FromRocks(status_, "rewrite a column family");
  }

 private:
  void Write() {
    if (status_.ok()) status_ = db_->Write(no_wal_, &batch_);
    batch_.Clear();
  }

  rocksdb::DB* const db_;
  rocksdb::ColumnFamilyHandle* const family_;
  rocksdb::WriteOptions no_wal_;
  rocksdb::WriteBatch batch_;
  rocksdb::Status status_;
};

absl::Status CopyLog(const RocksDatabase& database, const Witness& contents, FamilyWriter* out) {
  for (const auto& [segment, state] : contents.states) {
    const auto mark = contents.marks.find(segment);
    const LogPosition last =
        mark == contents.marks.end() ? state.first_position : mark->second.last_position;
    RETURN_IF_ERROR(ScanLogFamily(database.db.get(), database.families[kLog], segment,
                                  state.first_position, last,
                                  [&](LogPosition position, const auto& bytes) {
                                    out->Put(LogKey(segment, position), *bytes);
                                  })
                        .status());
  }
  return absl::OkStatus();
}

// DATA_LOSS: too many are lost.
absl::Status CopyPages(const RocksDatabase& database, const Witness& contents, FamilyWriter* out) {
  size_t lost = 0;
  for (const auto& [segment, state] : contents.states) {
    PageNo from;
    for (std::optional<PageNo> next = from; next.has_value() && lost <= kMaxLostPages;) {
      from = *next;
      ASSIGN_OR_RETURN(
          next,
          ScanPageFamily(database.db.get(), database.families[kPages], segment, from,
                         LastPageOf(state), kMaxLostPages,
                         [&](PageNo page, Lsn lsn, const absl::StatusOr<page::PageImage>& image) {
                           if (image.ok()) {
                             out->Put(PageKey(segment, page, lsn),
                                      EncodePageCrc(segment, page, *image) + image->bytes);
                           } else if (state.log_start > Lsn()) {  // else the log can make them all
                             ++lost;
                             out->Put(PageKey(segment, page, std::max(lsn, kLostVersion)), "");
                           }
                         }));
    }
  }
  if (lost <= kMaxLostPages) return absl::OkStatus();
  return absl::DataLossError("the versions of too many pages cannot be read");
}

absl::Status CopyFamily(const RocksDatabase& database, size_t which, const Reconciled& reconciled,
                        FamilyWriter* out) {
  const Witness& contents = reconciled.contents;
  switch (which) {
    case kMeta:
      for (const auto& [segment, state] : contents.states)
        out->Put(SegmentKey(segment), EncodeState(state));
      return absl::OkStatus();
    case kHighWater:
      for (const auto& [segment, mark] : contents.marks)
        out->Put(SegmentKey(segment), EncodeHighWater(mark));
      return absl::OkStatus();
    case kLog:
      return CopyLog(database, contents, out);
    case kPages:
      return CopyPages(database, contents, out);
    default:
      return absl::DataLossError("the family that RocksDB cannot drop is damaged");
  }
}

// The old family goes with its last trace in the manifest, in the moment that the new one counts.
absl::Status RewriteFamily(RocksDatabase* database, size_t which, const Reconciled& reconciled,
                           const rocksdb::ColumnFamilyOptions& options) {
  rocksdb::DB* db = database->db.get();
  rocksdb::ColumnFamilyHandle* rewritten = nullptr;
  const std::string name = NextFamilyName(database->families[which]->GetName());
  RETURN_IF_ERROR(FromRocks(db->CreateColumnFamily(options, name, &rewritten), name));
  FamilyWriter out(db, rewritten);
  absl::Status status = CopyFamily(*database, which, reconciled, &out);
  if (status.ok()) status = out.Finish();
  if (status.ok()) status = FromRocks(db->DropColumnFamily(database->families[which]), name);
  if (status.ok()) std::swap(database->families[which], rewritten);
  db->DestroyColumnFamilyHandle(rewritten);
  return status;
}

}  // namespace

void RaiseByRawMarks(rocksdb::Env* env, const std::string& store_path, Witness* witness) {
  for (const std::string& file : FilesOf(env, store_path, ".log")) {
    std::string bytes;
    if (rocksdb::ReadFileToString(env, file, &bytes).ok()) RaiseByLogFile(bytes, witness);
  }
  for (const std::string& file : FilesOf(env, store_path, ".sst")) RaiseByTable(env, file, witness);
}

absl::Status SalvageWriteAheadLogs(rocksdb::Env* env, const std::string& store_path) {
  for (const std::string& file : FilesOf(env, store_path, ".log")) {
    RETURN_IF_ERROR(RewriteLogFile(env, file));
  }
  return absl::OkStatus();
}

absl::Status SalvageTables(const RocksDbStoreOptions& options, const std::string& store_path,
                           const absl::StatusOr<Witness>& witness) {
  // An error of the background would only be about a damage that is known: nothing is compacted.
  const auto errors = std::make_shared<FirstError>([] {});
  rocksdb::DBOptions db = DatabaseOptions(options, /*create=*/false, errors);
  OpenWhatCanBeRead(&db);
  std::vector<rocksdb::ColumnFamilyDescriptor> wanted = Families(options);
  for (auto& family : wanted) family.options.disable_auto_compactions = true;
  RocksDatabase database;
  const rocksdb::Status opened = OpenFamilies(db, wanted, store_path, &database);
  if (!opened.ok()) return FromRocks(opened, Text("open ", store_path));
  const std::set<size_t> damaged = FindDamaged(database, db, wanted);
  if (damaged.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Reconciled reconciled, Reconcile(ReadContents(database), witness));
  for (const size_t which : damaged) {
    RETURN_IF_ERROR(RewriteFamily(&database, which, reconciled, wanted[which].options));
    spdlog::error(
        "store: family {} was rewritten; what could not be read of it is repaired from peers",
        database.families[which]->GetName());
  }
  return absl::OkStatus();
}

absl::Status GiveTablesUp(const std::string& store_path, RepairMark* mark) {
  RETURN_IF_ERROR(mark->Set(RepairMark::Kind::kBeginAnew));
  const std::string aside = store_path + ".damaged";  // whole or not there, also after a crash
  std::error_code error;
  std::filesystem::remove_all(aside, error);
  if (!error) std::filesystem::rename(store_path, aside, error);
  if (!error) std::filesystem::remove_all(aside, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(Text("cannot remove ", store_path, ": ", error.message()));
}

void BeginSegmentsAnew(Witness* contents) {
  for (auto& [segment, state] : contents->states) {
    const auto known = contents->marks.find(segment);
    if (known == contents->marks.end() && state.log_start == Lsn()) continue;  // never held any
    LogHighWater& mark = contents->marks.try_emplace(segment, LogHighWater{segment}).first->second;
    // A position that no batch will have: the log is not whole, however much of it is left.
    mark.last_position = mark.last_position.Next();
    mark.scl = std::max(mark.scl, state.log_start);
    state.log_start = Lsn();
    state.read_floor = Lsn();
    state.healed = {};  // what had come again is gone with the rest
  }
}

}  // namespace sextant::storage
