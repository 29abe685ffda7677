// LocalFile: a session's connection to the plain SQLite file of a source or a replica.
//
// On a source each statement is bracketed by the capture, a write outside a transaction gets one of
// its own, and the commit hook hands the transaction to the binlog before SQLite's WAL shows it. On
// a replica there is nothing to bracket, for sessions only read.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "compute-node/binlog/engine/row_capture.h"
#include "compute-node/sql/connection.h"
#include "compute-node/sql/session_file.h"

namespace sextant::binlog {

// What a connection needs of its engine; outlives it.
class LocalHost {
 public:
  virtual ~LocalHost() = default;
  // A read that has ended saw no transaction above it.
  virtual TxnSeq Head() const = 0;
  // --- a source's, for the holder of the write ticket
  virtual Gtid NextGtid() const = 0;
  // Puts the transaction into the binlog. An error: it must not be committed.
  virtual absl::Status AppendToBinlog(Gtid gtid, std::string_view bytes) = 0;
  // The binlog holds a transaction that the data does not: the node must start again.
  virtual void Fail(const absl::Status& why) = 0;
  virtual void WalGrew(int pages) = 0;
};

class LocalFile final : public sql::SessionFile {
 public:
  // `shared` null: read-only.
  LocalFile(LocalHost* host, sqlite3* db, CaptureShared* shared);
  ~LocalFile() override;

  // Opens a session's connection to the file at `path`.
  static absl::StatusOr<std::unique_ptr<sql::Connection>> Connect(
      LocalHost* host, const std::string& path, CaptureShared* shared,
      const sql::ConnectionOptions& options);

  // --- SessionFile
  void SetHoldsTicket(bool holds) override { holds_ticket_ = holds; }
  Lsn position() const override;
  void ForgetPosition() override { position_ = Lsn(0); }
  Lsn last_commit() const override { return last_commit_; }
  absl::Status TakeError() override { return std::exchange(error_, absl::OkStatus()); }
  std::string TakeMessage() override { return std::exchange(message_, {}); }
  absl::Status BeginStatement(sqlite3_stmt* stmt) override;
  absl::Status EndStatement(sqlite3_stmt* stmt, bool is_abandoned, int* rc) override;
  bool is_statement_alone() const override { return is_alone_; }
  bool MayDo(int action, const char* first, const char* second, const char* database) override;

 private:
  static int OnCommit(void* self);
  int Commit();
  int Step(StatementPtr* stmt, const char* sql);
  absl::Status EndAlone(bool is_abandoned, absl::Status status, int* rc, bool* has_committed);
  void Forbid(std::string_view what, std::string_view why);

  LocalHost* const host_;
  sqlite3* const db_;
  std::unique_ptr<RowCapture> capture_;
  StatementPtr begin_, commit_, rollback_;
  bool holds_ticket_ = false;
  bool is_alone_ = false;
  bool is_running_ = false;
  bool is_commit_pending_ = false;  // in the binlog, not yet seen in the data
  mutable Lsn position_;
  Lsn last_commit_;
  absl::Status error_;
  std::string message_;
};

}  // namespace sextant::binlog
