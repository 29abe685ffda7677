// See local_file.h.
#include "compute-node/binlog/engine/local_file.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/binlog/engine/local_data.h"
#include "compute-node/binlog/engine/position_table.h"
#include "compute-node/binlog/engine/savepoint_text.h"

namespace sextant::binlog {
namespace {

// Settings that are the node's: with a value they are refused.
constexpr const char* kFixedPragmas[] = {
    "journal_mode",         "locking_mode",       "page_size",       "mmap_size",
    "synchronous",          "wal_autocheckpoint", "auto_vacuum",     "encoding",
    "writable_schema",      "legacy_alter_table", "temp_store",      "temp_store_directory",
    "data_store_directory", "soft_heap_limit",    "hard_heap_limit", "threads",
    "schema_version",       "journal_size_limit", "max_page_count",  "query_only",
    "checkpoint_fullfsync", "fullfsync",          "busy_timeout",    "secure_delete"};
// These act even without a value.
constexpr const char* kRefusedPragmas[] = {"wal_checkpoint", "incremental_vacuum", "optimize"};

bool IsOneOf(const char* name, const char* const* begin, const char* const* end) {
  return std::any_of(begin, end,
                     [&](const char* known) { return sqlite3_stricmp(name, known) == 0; });
}

bool IsPositionTable(const char* name) {
  return name != nullptr && sqlite3_stricmp(name, kPositionTable.data()) == 0;
}

uint64_t NowMicros() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

}  // namespace

absl::StatusOr<std::unique_ptr<sql::Connection>> LocalFile::Connect(
    LocalHost* host, const std::string& path, CaptureShared* shared,
    const sql::ConnectionOptions& options) {
  ASSIGN_OR_RETURN(DatabasePtr db, OpenDatabase(path));
  sqlite3* const raw = db.get();
  auto file = std::make_unique<LocalFile>(host, raw, shared);
  db.release();  // the connection's from here on
  return sql::Connection::Adopt(raw, std::move(file), options);
}

LocalFile::LocalFile(LocalHost* host, sqlite3* db, CaptureShared* shared) : host_(host), db_(db) {
  if (shared == nullptr) return;
  capture_ = std::make_unique<RowCapture>(db, shared);
  sqlite3_commit_hook(db, &LocalFile::OnCommit, this);
  sqlite3_wal_hook(
      db,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<LocalFile*>(self)->host_->WalGrew(pages);
        return SQLITE_OK;
      },
      this);
}

LocalFile::~LocalFile() {
  sqlite3_commit_hook(db_, nullptr, nullptr);
  sqlite3_wal_hook(db_, nullptr, nullptr);
}

// What a read sees was committed before it began; a moment later is close enough, and never too
// low.
Lsn LocalFile::position() const {
  if (is_running_) position_ = std::max(position_, Lsn(host_->Head().value()));
  return position_;
}

int LocalFile::Step(StatementPtr* stmt, const char* sql) {
  if (*stmt == nullptr) {
    absl::StatusOr<StatementPtr> prepared = Prepare(db_, sql);
    if (!prepared.ok()) return sqlite3_extended_errcode(db_);
    *stmt = *std::move(prepared);
  }
  sqlite3_step(stmt->get());
  return sqlite3_reset(stmt->get());
}

absl::Status LocalFile::BeginStatement(sqlite3_stmt* stmt) {
  is_running_ = true;
  message_.clear();
  if (capture_ == nullptr) return absl::OkStatus();
  const std::string word = FirstWords(sqlite3_sql(stmt), 1);
  const bool is_end = word == "COMMIT" || word == "END" || word == "RELEASE";
  const bool is_control =
      is_end || word == "BEGIN" || word == "SAVEPOINT" || word == "ROLLBACK" || word == "VACUUM";
  const bool is_write = sqlite3_stmt_readonly(stmt) == 0 && sqlite3_stmt_isexplain(stmt) == 0;
  is_alone_ = is_write && !is_control && sqlite3_get_autocommit(db_) != 0;
  if (is_alone_ && Step(&begin_, "BEGIN IMMEDIATE") != SQLITE_OK) {
    is_alone_ = false;
    return SqliteError(db_, "beginning to write");
  }
  absl::Status status;
  if (is_end && sqlite3_get_autocommit(db_) == 0)
    status = capture_->PrepareCommit(host_->NextGtid());
  if (status.ok()) status = capture_->BeginStatement(stmt);
  if (!status.ok() && std::exchange(is_alone_, false)) Step(&rollback_, "ROLLBACK");
  if (!status.ok()) is_running_ = false;
  return status;
}

absl::Status LocalFile::EndStatement(sqlite3_stmt* stmt, bool is_abandoned, int* rc) {
  if (*rc != SQLITE_OK) message_ = sqlite3_errmsg(db_);
  absl::Status status;
  if (capture_ != nullptr) {
    status = capture_->EndStatement(stmt, *rc);
    bool has_committed = *rc == SQLITE_OK;
    if (std::exchange(is_alone_, false)) {
      status = EndAlone(is_abandoned, std::move(status), rc, &has_committed);
    }
    if (std::exchange(is_commit_pending_, false) && !has_committed) {
      host_->Fail(absl::UnavailableError(
          Text("a transaction is in the binlog and not in the data: ", sqlite3_errmsg(db_))));
    }
  }
  position();
  is_running_ = false;
  return status;
}

// The statement's own transaction ends with it, committed even if it failed: what OR FAIL leaves
// behind stays, as it would without a transaction.
absl::Status LocalFile::EndAlone(bool is_abandoned, absl::Status status, int* rc,
                                 bool* has_committed) {
  *has_committed = false;
  if (sqlite3_get_autocommit(db_) != 0) return status;
  if (status.ok() && !is_abandoned) status = capture_->PrepareCommit(host_->NextGtid());
  if (status.ok() && !is_abandoned) {
    const int committed = Step(&commit_, "COMMIT");
    *has_committed = committed == SQLITE_OK;
    if (*has_committed) return status;
    if (*rc == SQLITE_OK) {
      *rc = committed;
      message_ = sqlite3_errmsg(db_);
    }
  }
  Step(&rollback_, "ROLLBACK");
  return status;
}

int LocalFile::OnCommit(void* self) { return static_cast<LocalFile*>(self)->Commit(); }

int LocalFile::Commit() {
  if (!capture_->IsReadyToCommit()) return 1;
  const Gtid gtid = host_->NextGtid();
  const std::string bytes = capture_->TakeCommitted(gtid, NowMicros());
  if (bytes.empty()) return 0;
  if (absl::Status status = host_->AppendToBinlog(gtid, bytes); !status.ok()) {
    error_ = std::move(status);
    return 1;
  }
  is_commit_pending_ = true;
  last_commit_ = Lsn(gtid.seq.value());
  position_ = last_commit_;
  return 0;
}

void LocalFile::Forbid(std::string_view what, std::string_view why) {
  error_ = absl::PermissionDeniedError(Text(what, " is refused in binlog mode: ", why));
}

bool LocalFile::MayDo(int action, const char* first, const char* second, const char*) {
  switch (action) {
    case SQLITE_PRAGMA:
      if ((second != nullptr &&
           IsOneOf(first, std::begin(kFixedPragmas), std::end(kFixedPragmas))) ||
          IsOneOf(first, std::begin(kRefusedPragmas), std::end(kRefusedPragmas))) {
        Forbid(Text("PRAGMA ", first), "the node has set it, or does it itself; remove it");
        return false;
      }
      return true;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_DROP_TABLE:
      if (!IsPositionTable(first)) return true;
      break;
    case SQLITE_ALTER_TABLE:
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TRIGGER:
      if (!IsPositionTable(second)) return true;
      break;
    default:
      return true;
  }
  Forbid(Text("a change of ", kPositionTable), "it says how far the data goes");
  return false;
}

}  // namespace sextant::binlog
