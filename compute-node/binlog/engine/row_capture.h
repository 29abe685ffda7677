// RowCapture: what a transaction on one connection does, as binlog events, while it does it.
//
// SQLite's preupdate hook tells of every row before it changes: of triggers, cascades and REPLACE
// too, and of rows that are undone later. So there are marks to fall back to: each statement's,
// each savepoint's, the transaction's. Statements that change the schema are captured as SQL; rows
// that CREATE TABLE AS makes, which the hook does not see, are read back; sqlite_sequence, which it
// does not see either, is compared at the end.
//
// Whether a failed statement was undone, SQLite does not say: ABORT undoes it, OR FAIL and
// RAISE(FAIL) keep its first rows, and so does INSERT OR ROLLBACK that meets a datatype mismatch.
// It is all or nothing, though, so the rows themselves are looked at.
//
// What cannot be replicated exactly is refused, with the reason and what to do instead:
// VACUUM (it renumbers rows), virtual tables, PRAGMAs that change the file, edits of sqlite_stat
// tables, a few shapes of tables (table_shape.h).
//
// The caller brackets every statement:  BeginStatement, step to the end, reset, EndStatement.
// Before the one that commits: PrepareCommit. Install it before anything is prepared on the
// connection: a DELETE prepared earlier would truncate unseen.
//
// Thread-safety: none; one connection's. CaptureShared is guarded by the right to write.
#pragma once

#include <sqlite3.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "compute-node/binlog/engine/sqlite_statement.h"
#include "compute-node/binlog/engine/table_shape.h"
#include "compute-node/binlog/log/transaction.h"

namespace sextant::binlog {

// What all connections of one source know together.
struct CaptureShared {
  std::map<std::string, int64_t> sequences;  // sqlite_sequence, as committed
  bool is_loaded = false;
  uint64_t schema_generation = 0;  // rises with every committed change of the schema
};

class RowCapture {
 public:
  // Larger transactions are refused: source and replicas hold one in memory.
  static constexpr size_t kMaxTransactionBytes = 256 << 20;

  // Both outlive the capture.
  RowCapture(sqlite3* db, CaptureShared* shared);
  ~RowCapture();
  RowCapture(const RowCapture&) = delete;

  // The transaction is open already. INVALID_ARGUMENT: refused; it must not be stepped.
  absl::Status BeginStatement(sqlite3_stmt* stmt);
  // `rc`: what its reset returned. FAILED_PRECONDITION: it has run, but what it did cannot be
  // replicated; the transaction can only be rolled back, to before it or as a whole.
  absl::Status EndStatement(sqlite3_stmt* stmt, int rc);

  // Whether the transaction has captured anything, or may have moved a sequence.
  bool HasWork() const { return has_run_ || !builder_.is_empty(); }
  // Inside the transaction, before the statement that ends it: compares sequences, stores the
  // position. May be called again if the transaction goes on. FAILED_PRECONDITION: see
  // EndStatement.
  absl::Status PrepareCommit(Gtid gtid);
  // Whether what is about to be committed has been prepared, or there is nothing to write down.
  bool IsReadyToCommit() const { return is_prepared_ || builder_.is_empty(); }
  // From the commit hook. The transaction's bytes; empty: there is nothing to write down.
  std::string TakeCommitted(Gtid gtid, uint64_t commit_micros);

 private:
  enum class Kind { kOther, kRows, kSchema, kCreateTable, kAnalyze, kPragma };
  struct Mark {
    TransactionBuilder::Mark at;
    bool is_refused = false;
  };
  struct Savepoint {
    std::string name;
    Mark mark;
  };

  static void OnPreupdate(void* self, sqlite3* db, int op, const char* database, const char* table,
                          sqlite3_int64 rowid_before, sqlite3_int64 rowid_after);
  void OnRow(int op, std::string_view table, int64_t rowid_before, int64_t rowid_after);
  absl::StatusOr<Kind> Classify(sqlite3_stmt* stmt);
  absl::Status CaptureSchema(sqlite3_stmt* stmt);
  absl::Status CaptureNewTable();
  absl::Status CaptureAllRows(const TableShape& shape);
  // Whether what the failed statement did is undone: every row that it touched is as it was.
  absl::StatusOr<bool> IsUndone();
  void FollowSavepoint(sqlite3_stmt* stmt);
  absl::StatusOr<const TableShape*> FindShape(std::string_view table);
  absl::Status ReadBefore(const TableShape& shape, int64_t rowid, Image* image);
  absl::Status ReadWhole(const TableShape& shape, int64_t rowid, Image* image);
  absl::Status ReadAfter(const TableShape& shape, Image* image);
  void Refuse(absl::Status why);
  Mark mark() const { return {builder_.mark(), !refusal_.ok()}; }
  void TruncateTo(const Mark& mark);
  void Unprepare();
  void Forget();
  absl::StatusOr<int64_t> SchemaCookie();
  absl::StatusOr<std::map<std::string, int64_t>> ReadSequences();
  absl::Status CaptureSequences();

  sqlite3* const db_;
  CaptureShared* const shared_;
  TransactionBuilder builder_;
  std::vector<Savepoint> savepoints_;
  absl::Status refusal_;  // of the open transaction
  std::map<std::string, TableShape, std::less<>> shapes_;
  uint64_t shapes_generation_ = 0;
  bool has_changed_schema_ = false;
  // AUTOINCREMENT tables whose rows changed: replaying and undoing these may move the sequence
  // where the source's did not.
  std::set<std::string, std::less<>> moved_sequences_;
  bool has_run_ = false;  // a statement that may write

  // The statement under way.
  Kind kind_ = Kind::kOther;
  Mark mark_;
  int64_t cookie_before_ = 0;

  bool is_prepared_ = false;
  Mark prepared_mark_;
  std::map<std::string, int64_t> prepared_sequences_;
  StatementPtr cookie_stmt_, sequence_stmt_;
  uint64_t sequence_generation_ =
      UINT64_MAX;  // of sequence_stmt_: a table that was not there may be
  std::vector<StatementPtr>
      reread_;  // a row read in the hook; its bytes are used until the event is
};

}  // namespace sextant::binlog
