// CapturedDatabase: a SQLite database in memory whose transactions are captured, as a source's
// session brackets them; and copies that replay them.
#pragma once

#include <sqlite3.h>

#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/base/text.h"
#include "compute-node/binlog/engine/position_table.h"
#include "compute-node/binlog/engine/row_apply.h"
#include "compute-node/binlog/engine/row_capture.h"
#include "compute-node/binlog/engine/savepoint_text.h"
#include "compute-node/binlog/engine/testing/database_digest.h"

namespace sextant::binlog {

inline sqlite3* OpenMemory() {
  sqlite3* db = nullptr;
  SEXTANT_CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK);
  SEXTANT_CHECK(CreatePositionTable(db).ok());
  return db;
}

class CapturedDatabase {
 public:
  CapturedDatabase() : db_(OpenMemory()), capture_(std::make_unique<RowCapture>(db_, &shared_)) {
    sqlite3_commit_hook(
        db_,
        [](void* self) {
          auto* database = static_cast<CapturedDatabase*>(self);
          if (!database->capture_->IsReadyToCommit()) return 1;
          database->Commit();
          return 0;
        },
        this);
  }
  ~CapturedDatabase() {
    capture_.reset();
    sqlite3_close(db_);
  }

  // Runs statements until one fails; what it said, or why it was refused; empty: all went well.
  std::string Run(std::string_view sql) {
    while (!sql.empty()) {
      sqlite3_stmt* stmt = nullptr;
      const char* tail = nullptr;
      if (sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &stmt, &tail) != 0) {
        return sqlite3_errmsg(db_);
      }
      sql.remove_prefix(static_cast<size_t>(tail - sql.data()));
      if (stmt == nullptr) continue;
      const std::string error = RunOne(stmt);
      sqlite3_finalize(stmt);
      if (!error.empty()) return error;
    }
    return "";
  }
  sqlite3* db() const { return db_; }
  // Since last taken.
  std::vector<std::string> TakeTransactions() { return std::exchange(committed_, {}); }

 private:
  Gtid Next() const { return {SourceId(1), seq_.Next()}; }
  void Commit() {
    std::string bytes = capture_->TakeCommitted(Next(), 0);
    if (bytes.empty()) return;
    seq_ = seq_.Next();
    committed_.push_back(std::move(bytes));
  }

  std::string RunOne(sqlite3_stmt* stmt) {
    const std::string first = FirstWords(sqlite3_sql(stmt), 1);
    const bool is_control = first == "BEGIN" || first == "COMMIT" || first == "END" ||
                            first == "ROLLBACK" || first == "SAVEPOINT" || first == "RELEASE";
    const bool is_alone = !is_control && sqlite3_get_autocommit(db_) != 0 &&
                          sqlite3_stmt_readonly(stmt) == 0 && first != "VACUUM";
    if (is_alone) sqlite3_exec(db_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    if (first == "COMMIT" || first == "END" || first == "RELEASE") {
      if (absl::Status status = capture_->PrepareCommit(Next()); !status.ok()) {
        return status.ToString();
      }
    }
    std::string error = Bracketed(stmt);
    if (is_alone && sqlite3_get_autocommit(db_) == 0) {
      const absl::Status status = capture_->PrepareCommit(Next());
      const char* end = status.ok() ? "COMMIT" : "ROLLBACK";
      if (!status.ok() && error.empty()) error = status.ToString();
      if (sqlite3_exec(db_, end, nullptr, nullptr, nullptr) != SQLITE_OK) {
        if (error.empty()) error = sqlite3_errmsg(db_);
        sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
      }
    }
    return error;
  }

  std::string Bracketed(sqlite3_stmt* stmt) {
    if (absl::Status status = capture_->BeginStatement(stmt); !status.ok()) {
      return status.ToString();
    }
    while (sqlite3_step(stmt) == SQLITE_ROW) {
    }
    std::string error;
    const int rc = sqlite3_reset(stmt);
    if (rc != SQLITE_OK) error = sqlite3_errmsg(db_);
    const absl::Status status = capture_->EndStatement(stmt, rc);
    if (error.empty() && !status.ok()) error = status.ToString();
    return error;
  }

  sqlite3* const db_;
  CaptureShared shared_;
  std::unique_ptr<RowCapture> capture_;
  TxnSeq seq_;
  std::vector<std::string> committed_;
};

// A copy that replays what a CapturedDatabase committed.
class ReplayedDatabase {
 public:
  ReplayedDatabase() : db_(OpenMemory()), apply_(*RowApply::Make(db_)) {}
  ~ReplayedDatabase() {
    apply_.reset();
    sqlite3_close(db_);
  }
  absl::Status Apply(const std::string& bytes) { return Within(bytes, /*is_undo=*/false); }
  absl::Status Undo(const std::string& bytes) { return Within(bytes, /*is_undo=*/true); }
  sqlite3* db() const { return db_; }

 private:
  absl::Status Within(const std::string& bytes, bool is_undo) {
    std::string_view in = bytes;
    const auto transaction = DecodeTransaction(&in);
    if (!transaction.ok()) return transaction.status();
    sqlite3_exec(db_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    Gtid gtid = transaction->header.gtid;
    if (is_undo) gtid.seq = TxnSeq(gtid.seq.value() - 1);
    absl::Status status = is_undo ? apply_->Undo(*transaction) : apply_->Apply(*transaction);
    if (status.ok()) status = WritePosition(db_, gtid);
    sqlite3_exec(db_, status.ok() ? "COMMIT" : "ROLLBACK", nullptr, nullptr, nullptr);
    return status;
  }

  sqlite3* const db_;
  std::unique_ptr<RowApply> apply_;
};

}  // namespace sextant::binlog
