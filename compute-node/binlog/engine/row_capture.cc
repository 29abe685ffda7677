// See row_capture.h. Statements and transactions; row_capture_rows.cc has the rows.
#include "compute-node/binlog/engine/row_capture.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/binlog/engine/position_table.h"
#include "compute-node/binlog/engine/savepoint_text.h"

namespace sextant::binlog {
namespace {

absl::Status Refused(std::string_view what, std::string_view why) {
  return absl::InvalidArgumentError(Text(what, " is refused in binlog mode: ", why));
}

bool StartsWith(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

}  // namespace

RowCapture::RowCapture(sqlite3* db, CaptureShared* shared) : db_(db), shared_(shared) {
  sqlite3_preupdate_hook(db_, &RowCapture::OnPreupdate, this);
  sqlite3_rollback_hook(
      db_, [](void* self) { static_cast<RowCapture*>(self)->Forget(); }, this);
}

RowCapture::~RowCapture() {
  sqlite3_preupdate_hook(db_, nullptr, nullptr);
  sqlite3_rollback_hook(db_, nullptr, nullptr);
}

absl::StatusOr<RowCapture::Kind> RowCapture::Classify(sqlite3_stmt* stmt) {
  if (sqlite3_stmt_isexplain(stmt) != 0) return Kind::kOther;
  const std::string words = FirstWords(sqlite3_sql(stmt), 3);
  if (StartsWith(words, "VACUUM")) {
    return Refused("VACUUM", "it renumbers the rows by which replicas find them");
  }
  if (StartsWith(words, "CREATE VIRTUAL")) {
    return Refused("CREATE VIRTUAL TABLE",
                   "the tables behind it are its module's own; use the mode over storage nodes");
  }
  if (StartsWith(words, "PRAGMA")) {
    if (StartsWith(words, "PRAGMA OPTIMIZE") || StartsWith(words, "PRAGMA MAIN OPTIMIZE")) {
      return Refused("PRAGMA optimize", "what it does depends on the session; use ANALYZE");
    }
    if (sqlite3_stmt_readonly(stmt) != 0) return Kind::kOther;
    if (words.find("USER_VERSION") != std::string::npos ||
        words.find("APPLICATION_ID") != std::string::npos || StartsWith(words, "PRAGMA MAIN") ||
        StartsWith(words, "PRAGMA TEMP")) {
      return Kind::kPragma;
    }
    return Refused("this PRAGMA", "it changes the file, not the data");
  }
  if (sqlite3_stmt_readonly(stmt) != 0) return Kind::kOther;
  if (StartsWith(words, "ANALYZE")) return Kind::kAnalyze;
  if (StartsWith(words, "CREATE TABLE")) return Kind::kCreateTable;
  if (StartsWith(words, "CREATE") || StartsWith(words, "DROP") || StartsWith(words, "ALTER")) {
    return Kind::kSchema;
  }
  return Kind::kRows;
}

absl::Status RowCapture::BeginStatement(sqlite3_stmt* stmt) {
  ASSIGN_OR_RETURN(kind_, Classify(stmt));
  if (kind_ == Kind::kOther) return absl::OkStatus();
  Unprepare();
  if (!shared_->is_loaded) {
    ASSIGN_OR_RETURN(shared_->sequences, ReadSequences());
    shared_->is_loaded = true;
  }
  if (shapes_generation_ != shared_->schema_generation) {
    shapes_.clear();
    shapes_generation_ = shared_->schema_generation;
  }
  has_run_ = true;
  mark_ = mark();
  if (kind_ == Kind::kSchema || kind_ == Kind::kCreateTable) {
    ASSIGN_OR_RETURN(cookie_before_, SchemaCookie());
  }
  return absl::OkStatus();
}

absl::Status RowCapture::EndStatement(sqlite3_stmt* stmt, int rc) {
  const Kind kind = std::exchange(kind_, Kind::kOther);
  if (sqlite3_get_autocommit(db_) != 0) {  // committed, or rolled back as a whole
    Forget();
    return absl::OkStatus();
  }
  Unprepare();
  if (kind == Kind::kOther) {
    if (rc == SQLITE_OK && sqlite3_stmt_isexplain(stmt) == 0) FollowSavepoint(stmt);
    return absl::OkStatus();
  }
  if (rc != SQLITE_OK) {
    shapes_.clear();
    if (!refusal_.ok()) return refusal_;
    ASSIGN_OR_RETURN(const bool is_undone, IsUndone());
    if (is_undone) TruncateTo(mark_);
    return absl::OkStatus();
  }
  if (kind == Kind::kSchema || kind == Kind::kCreateTable) {
    if (absl::Status status = CaptureSchema(stmt); !status.ok()) Refuse(std::move(status));
  } else if (kind == Kind::kAnalyze || kind == Kind::kPragma) {
    builder_.AddStatement(sqlite3_sql(stmt));
  }
  return refusal_;
}

absl::Status RowCapture::CaptureSchema(sqlite3_stmt* stmt) {
  const std::string sql = sqlite3_sql(stmt);
  ASSIGN_OR_RETURN(const int64_t cookie, SchemaCookie());
  if (cookie == cookie_before_) return absl::OkStatus();  // of "temp", or IF [NOT] EXISTS
  has_changed_schema_ = true;
  shapes_.clear();
  if (StartsWith(FirstWords(sql, 2), "CREATE TABLE")) return CaptureNewTable();
  builder_.AddStatement(sql);
  return absl::OkStatus();
}

// The text that SQLite keeps: of CREATE TABLE AS it has the columns, not the query.
absl::Status RowCapture::CaptureNewTable() {
  ASSIGN_OR_RETURN(const StatementPtr newest,
                   Prepare(db_,
                           "SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND name "
                           "NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid DESC LIMIT 1"));
  if (sqlite3_step(newest.get()) != SQLITE_ROW) return SqliteError(db_, "reading the new table");
  builder_.AddStatement(ColumnText(newest.get(), 1));
  ASSIGN_OR_RETURN(const TableShape* shape, FindShape(ColumnText(newest.get(), 0)));
  return CaptureAllRows(*shape);
}

void RowCapture::FollowSavepoint(sqlite3_stmt* stmt) {
  const auto statement = ParseSavepoint(sqlite3_sql(stmt));
  if (!statement.has_value()) return;
  if (statement->kind == SavepointStatement::kSavepoint) {
    savepoints_.push_back({statement->name, mark()});
    return;
  }
  auto it = savepoints_.end();
  while (it != savepoints_.begin() && std::prev(it)->name != statement->name) --it;
  if (it == savepoints_.begin()) return;  // the transaction is over, and all is forgotten already
  --it;
  if (statement->kind == SavepointStatement::kRelease) {
    savepoints_.erase(it, savepoints_.end());
    return;
  }
  TruncateTo(it->mark);
  shapes_.clear();
  savepoints_.erase(std::next(it), savepoints_.end());
}

absl::Status RowCapture::PrepareCommit(Gtid gtid) {
  RETURN_IF_ERROR(refusal_);
  Unprepare();
  prepared_mark_ = mark();
  if (has_run_) RETURN_IF_ERROR(CaptureSequences());
  if (builder_.is_empty()) return absl::OkStatus();
  RETURN_IF_ERROR(WritePosition(db_, gtid));
  is_prepared_ = true;
  return absl::OkStatus();
}

absl::Status RowCapture::CaptureSequences() {
  ASSIGN_OR_RETURN(prepared_sequences_, ReadSequences());
  std::set<std::string, std::less<>> tables = moved_sequences_;
  for (const auto& [table, value] : prepared_sequences_) tables.insert(table);
  for (const auto& [table, value] : shared_->sequences) tables.insert(table);
  for (const std::string& table : tables) {
    SequenceEvent event{.table = table};
    const auto before = shared_->sequences.find(table);
    if (before != shared_->sequences.end()) event.before = Value(before->second);
    const auto after = prepared_sequences_.find(table);
    if (after != prepared_sequences_.end()) event.after = Value(after->second);
    if (event.before == event.after && !moved_sequences_.contains(table)) continue;
    builder_.AddSequence(event);
  }
  return absl::OkStatus();
}

std::string RowCapture::TakeCommitted(Gtid gtid, uint64_t commit_micros) {
  if (builder_.is_empty()) {
    Forget();
    return {};
  }
  SEXTANT_CHECK(is_prepared_) << "a transaction is committed that was not prepared";
  if (has_changed_schema_) shapes_generation_ = ++shared_->schema_generation;
  shared_->sequences = std::move(prepared_sequences_);
  std::string bytes = builder_.Seal(gtid, commit_micros);
  Forget();
  return bytes;
}

void RowCapture::Refuse(absl::Status why) {
  if (!refusal_.ok()) return;
  refusal_ = absl::FailedPreconditionError(Text(why.message(), "; roll the transaction back"));
}

void RowCapture::TruncateTo(const Mark& mark) {
  builder_.TruncateTo(mark.at);
  if (!mark.is_refused) refusal_ = absl::OkStatus();
}

// The transaction goes on after all: sequences are compared again at its end.
void RowCapture::Unprepare() {
  if (!is_prepared_) return;
  TruncateTo(prepared_mark_);
  is_prepared_ = false;
}

void RowCapture::Forget() {
  builder_.Clear();
  savepoints_.clear();
  refusal_ = absl::OkStatus();
  if (has_changed_schema_) shapes_.clear();
  has_changed_schema_ = false;
  has_run_ = false;
  moved_sequences_.clear();
  is_prepared_ = false;
  prepared_sequences_.clear();
  mark_ = {};
}

absl::StatusOr<int64_t> RowCapture::SchemaCookie() {
  if (cookie_stmt_ == nullptr) {
    ASSIGN_OR_RETURN(cookie_stmt_, Prepare(db_, "PRAGMA main.schema_version"));
  }
  int64_t cookie = 0;
  const bool has_row = sqlite3_step(cookie_stmt_.get()) == SQLITE_ROW;
  if (has_row) cookie = sqlite3_column_int64(cookie_stmt_.get(), 0);
  sqlite3_reset(cookie_stmt_.get());
  if (!has_row) return SqliteError(db_, "reading the schema's version");
  return cookie;
}

absl::StatusOr<std::map<std::string, int64_t>> RowCapture::ReadSequences() {
  std::map<std::string, int64_t> sequences;
  const bool may_be_new = has_changed_schema_ || sequence_generation_ != shared_->schema_generation;
  if (sequence_stmt_ == nullptr && may_be_new) {
    sequence_generation_ = shared_->schema_generation;
    absl::StatusOr<StatementPtr> stmt = Prepare(db_, "SELECT name, seq FROM main.sqlite_sequence");
    if (stmt.ok()) sequence_stmt_ = *std::move(stmt);
  }
  if (sequence_stmt_ == nullptr) return sequences;  // no table has ever had AUTOINCREMENT
  sqlite3_stmt* const stmt = sequence_stmt_.get();
  absl::Status refusal;
  int rc = 0;
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const std::string table(ColumnText(stmt, 0));
    const bool is_integer = sqlite3_column_type(stmt, 1) == SQLITE_INTEGER;
    if (!is_integer || !sequences.emplace(table, sqlite3_column_int64(stmt, 1)).second) {
      refusal = absl::FailedPreconditionError(
          Text("sqlite_sequence holds no one number for table ", table));
    }
  }
  if (sqlite3_reset(stmt) != SQLITE_OK) {
    sequence_stmt_.reset();  // rolled back with the transaction that made it, perhaps
    sequence_generation_ = UINT64_MAX;
    return sequences;
  }
  RETURN_IF_ERROR(refusal);
  return sequences;
}

}  // namespace sextant::binlog
