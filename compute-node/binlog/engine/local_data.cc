// See local_data.h.
#include "compute-node/binlog/engine/local_data.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <optional>
#include <sstream>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"
#include "compute-node/binlog/engine/position_table.h"
#include "compute-node/binlog/files/file_io.h"

namespace sextant::binlog {
namespace {

constexpr size_t kApplyBytes = 4 << 20;
constexpr int kReadWaitMs = 5000;

std::string StateText(const NodeState& state) {
  std::string text = Text("id: ", state.id, "\ntenure: ", state.tenure, "\nsource: ", state.source,
                          "\nheld: ", state.held, "\nbegun: ", state.begun,
                          "\nwhole: ", state.is_whole ? 1 : 0, "\n");
  if (state.pledges.highest > 0) text += Text("pledged: ", state.pledges.highest, "\n");
  for (const auto& [tenure, candidate] : state.pledges.binding) {
    text += Text("pledge: ", tenure, " ", candidate, "\n");
  }
  return text;
}

absl::StatusOr<NodeState> ParseState(const std::string& text) {
  std::istringstream lines(text);
  std::string key, rest;
  uint64_t value = 0;
  NodeState state{.is_whole = true};  // older folders tell neither this nor `held`
  std::optional<uint64_t> held;
  int known = 0;
  while (lines >> key >> value && std::getline(lines, rest)) {
    if (key == "id:") {
      state.id = ReplicaId(value);
      ++known;
    } else if (key == "tenure:") {
      state.tenure = value;
      ++known;
    } else if (key == "source:") {
      state.source = SourceId(value);
      ++known;
    } else if (key == "held:") {
      held = value;
    } else if (key == "begun:") {
      state.begun = TxnSeq(value);
    } else if (key == "whole:") {
      state.is_whole = value != 0;
    } else if (key == "pledged:") {
      state.pledges.highest = value;
    } else if (key == "pledge:" && rest.size() > 1) {
      state.pledges.binding[value] = rest.substr(1);
    }
  }
  state.held = held.value_or(state.tenure);
  if (known == 3) return state;
  return absl::DataLossError("node.state does not say who this node is: seed it anew");
}

}  // namespace

absl::StatusOr<DatabasePtr> OpenDatabase(const std::string& path) {
  sqlite3* raw = nullptr;
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                         SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
  const int rc = sqlite3_open_v2(path.c_str(), &raw, kFlags, "unix");
  DatabasePtr db(raw);
  if (rc != SQLITE_OK)
    return absl::UnavailableError(Text("opening ", path, ": ", sqlite3_errstr(rc)));
  sqlite3_busy_timeout(raw, kReadWaitMs);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  RETURN_IF_ERROR(
      Run(raw,
          "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA "
          "wal_autocheckpoint=0; PRAGMA temp_store=MEMORY; PRAGMA mmap_size=1073741824; "
          "PRAGMA cache_size=-8192"));
  return db;
}

absl::StatusOr<std::unique_ptr<LocalData>> LocalData::Open(const std::string& folder, ReplicaId id,
                                                           BinlogStoreOptions options) {
  std::unique_ptr<LocalData> data(new LocalData(folder));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return absl::UnavailableError(Text("making ", folder, ": ", error.message()));
  RETURN_IF_ERROR(data->LoadState(id));
  ASSIGN_OR_RETURN(data->store_, BinlogStore::Open(folder + "/binlog", {}, options));
  RETURN_IF_ERROR(data->DropHalfASeed(options));
  ASSIGN_OR_RETURN(data->db_, OpenDatabase(data->database_path_));
  sqlite3* const db = data->db_.get();
  sqlite3_wal_hook(
      db,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<LocalData*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      data.get());
  RETURN_IF_ERROR(CreatePositionTable(db));
  ASSIGN_OR_RETURN(data->apply_, RowApply::Make(db));
  RETURN_IF_ERROR(data->CatchUp());
  return data;
}

// A crash while the folder was seeded: a binlog that begins behind data that are not there.
absl::Status LocalData::DropHalfASeed(BinlogStoreOptions options) {
  if (std::filesystem::exists(database_path_)) return absl::OkStatus();
  if (store_->files().front().before.is_empty()) return absl::OkStatus();
  spdlog::warn("this copy was seeded only half: it begins again{}", rpc::Fields("folder", folder_));
  const std::string folder = folder_ + "/binlog";
  store_ = nullptr;
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return absl::UnavailableError(Text("removing ", folder, ": ", error.message()));
  ASSIGN_OR_RETURN(store_, BinlogStore::Open(folder, {}, options));
  return absl::OkStatus();
}

absl::Status LocalData::LoadState(ReplicaId id) {
  const std::string path = folder_ + "/node.state";
  if (!std::filesystem::exists(path)) {
    return UpdateState([id](NodeState* state) { state->id = id; });
  }
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 0, SIZE_MAX));
  std::lock_guard lock(state_mutex_);
  ASSIGN_OR_RETURN(state_, ParseState(text));
  return absl::OkStatus();
}

NodeState LocalData::state() const {
  std::lock_guard lock(state_mutex_);
  return state_;
}

absl::Status LocalData::UpdateState(const std::function<void(NodeState*)>& edit) {
  std::lock_guard lock(state_mutex_);
  NodeState changed = state_;
  edit(&changed);
  RETURN_IF_ERROR(ReplaceFile(folder_ + "/node.state", StateText(changed)));
  state_ = std::move(changed);
  return absl::OkStatus();
}

absl::Status LocalData::CatchUp() {
  ASSIGN_OR_RETURN(const Gtid at, ReadPosition(db_.get()));
  position_ = at.seq;
  shown_ = position_.value();
  const GtidSet history = store_->history();
  if (at.seq > TxnSeq(0) && !history.Contains(at)) {
    return absl::DataLossError(Text("the data goes through ", FormatGtid(at),
                                    ", the binlog through ", history.last(),
                                    ": they do not belong together, seed this node anew"));
  }
  if (store_->torn_bytes() > 0) {
    spdlog::warn("a torn end of the binlog was cut off{}",
                 rpc::Fields("bytes", store_->torn_bytes(), "history", history.ToString()));
  }
  const TxnSeq start = position_;
  while (position_ < history.last()) RETURN_IF_ERROR(ApplyThrough(history.last()).status());
  if (position_ > start) {
    spdlog::info("the data was brought up to the binlog{}",
                 rpc::Fields("from", start.value(), "through", position_.value()));
  }
  return absl::OkStatus();
}

absl::StatusOr<LocalData::Applied> LocalData::ApplyThrough(TxnSeq through) {
  if (!reader_.has_value() || reader_->next() != position_.Next()) {
    ASSIGN_OR_RETURN(reader_, BinlogReader::At(store_.get(), position_.Next()));
  }
  ASSIGN_OR_RETURN(const BinlogReader::Piece piece, reader_->Next(through, kApplyBytes));
  sqlite3* const db = db_.get();
  RETURN_IF_ERROR(Run(db, "BEGIN IMMEDIATE"));
  std::string_view rest = piece.bytes;
  absl::Status status;
  GtidEvent last;
  while (!rest.empty() && status.ok()) {
    const absl::StatusOr<TransactionView> transaction = DecodeTransaction(&rest);
    status = transaction.status();
    if (status.ok()) status = apply_->Apply(*transaction);
    if (status.ok()) last = transaction->header;
  }
  if (status.ok()) status = WritePosition(db, last.gtid);
  if (status.ok()) {
    shown_.store(last.gtid.seq.value(), std::memory_order_release);
    status = Run(db, "COMMIT");
  }
  if (!status.ok()) {
    reader_.reset();
    Run(db, "ROLLBACK").IgnoreError();
    shown_ = position_.value();
    return status;
  }
  position_ = last.gtid.seq;
  return Applied{position_, last.commit_micros};
}

absl::Status LocalData::Rewind(TxnSeq keep) {
  sqlite3* const db = db_.get();
  ASSIGN_OR_RETURN(const Gtid at, ReadPosition(db));
  position_ = at.seq;
  if (position_ > keep) {
    RETURN_IF_ERROR(Run(db, "PRAGMA synchronous=FULL; BEGIN IMMEDIATE"));
    absl::Status status;
    for (TxnSeq seq = position_; seq > keep && status.ok(); seq = TxnSeq(seq.value() - 1)) {
      absl::StatusOr<BinlogReader> reader = BinlogReader::At(store_.get(), seq);
      status = reader.status();
      if (!status.ok()) break;
      const absl::StatusOr<BinlogReader::Piece> piece = reader->Next(seq, 1);
      status = piece.status();
      if (!status.ok()) break;
      std::string_view bytes = piece->bytes;
      const absl::StatusOr<TransactionView> transaction = DecodeTransaction(&bytes);
      status = transaction.ok() ? apply_->Undo(*transaction) : transaction.status();
    }
    const SourceId source = store_->history().SourceOf(keep).value_or(SourceId(0));
    if (status.ok()) status = WritePosition(db, {source, keep});
    if (status.ok()) status = Run(db, "COMMIT");
    if (!status.ok()) Run(db, "ROLLBACK").IgnoreError();
    Run(db, "PRAGMA synchronous=NORMAL").IgnoreError();
    RETURN_IF_ERROR(status);
    position_ = keep;
    shown_ = keep.value();
  }
  reader_.reset();
  // A crash before this is done finds the data behind the binlog, and begins again.
  return store_->TruncateAfter(keep);
}

absl::Status LocalData::Checkpoint() {
  int frames = 0, done = 0;
  const int rc =
      sqlite3_wal_checkpoint_v2(db_.get(), "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &done);
  wal_pages_ = rc == SQLITE_OK ? frames - done : wal_pages_;
  if (wal_pages_ == 0) checkpointed_.store(position_.value());
  if (rc == SQLITE_OK || rc == SQLITE_BUSY) return absl::OkStatus();
  return SqliteError(db_.get(), "checkpointing");
}

absl::Status LocalData::CopyTo(const std::string& path) {
  ASSIGN_OR_RETURN(const DatabasePtr from, OpenDatabase(database_path_));
  sqlite3* raw = nullptr;
  const int rc = sqlite3_open(path.c_str(), &raw);
  const DatabasePtr to(raw);
  if (rc != SQLITE_OK) return absl::UnavailableError(Text("opening ", path));
  sqlite3_backup* backup = sqlite3_backup_init(raw, "main", from.get(), "main");
  if (backup == nullptr) return SqliteError(raw, "copying the data");
  // In one step: one snapshot.
  sqlite3_backup_step(backup, -1);
  if (sqlite3_backup_finish(backup) != SQLITE_OK) return SqliteError(raw, "copying the data");
  return absl::OkStatus();
}

absl::Status LocalData::Seed(const std::string& folder, const std::string& copy,
                             const GtidSet& history, const NodeState& state) {
  NodeState fresh = state;
  const std::string state_path = folder + "/node.state";
  if (std::filesystem::exists(state_path)) {  // pledges are the node's, not the old copy's
    ASSIGN_OR_RETURN(const std::string text, ReadFile(state_path, 0, SIZE_MAX));
    ASSIGN_OR_RETURN(const NodeState old, ParseState(text));
    fresh.pledges = old.pledges;
  }
  // The new id first: whatever a crash leaves here must not pass for what the old copy
  // acknowledged.
  RETURN_IF_ERROR(ReplaceFile(state_path, StateText(fresh)));
  std::error_code error;
  for (const char* name : {"/data.sqlite", "/data.sqlite-wal", "/data.sqlite-shm", "/binlog"}) {
    std::filesystem::remove_all(folder + name, error);
  }
  ASSIGN_OR_RETURN(const auto store, BinlogStore::Open(folder + "/binlog", history, {}));
  // The data last: without it the binlog is dropped (DropHalfASeed).
  std::filesystem::rename(copy, folder + "/data.sqlite", error);
  if (error) return absl::UnavailableError(Text("moving ", copy, ": ", error.message()));
  return SyncFolder(folder);
}

}  // namespace sextant::binlog
