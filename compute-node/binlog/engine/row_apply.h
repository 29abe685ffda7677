// RowApply: replays transactions of a binlog on a connection, and undoes them.
//
// Strict: every row must be where the event says, once; anything else means that the two copies
// differ, and is an error that a person must see. The connection runs no triggers, no cascades and
// no CHECKs: what they did on the source stands in the events.
//
// Thread-safety: none; one connection's. The caller begins and ends the local transaction.
#pragma once

#include <sqlite3.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "compute-node/binlog/engine/sqlite_statement.h"
#include "compute-node/binlog/engine/table_shape.h"
#include "compute-node/binlog/log/transaction.h"

namespace sextant::binlog {

class RowApply {
 public:
  // Sets the connection up for replaying; `db` outlives this.
  static absl::StatusOr<std::unique_ptr<RowApply>> Make(sqlite3* db);

  // DATA_LOSS: the data is not what the transaction was made on. UNAVAILABLE: SQLite cannot go on.
  // Either way the local transaction must be rolled back.
  absl::Status Apply(const TransactionView& transaction);
  // The reverse. FAILED_PRECONDITION: it changes the schema, which has no image before.
  absl::Status Undo(const TransactionView& transaction);

 private:
  struct Table {
    TableShape shape;
    StatementPtr insert, update, erase;
  };

  explicit RowApply(sqlite3* db) : db_(db) {}
  absl::StatusOr<Table*> Find(const TableEvent& event);
  absl::Status ApplyRow(Table& table, const RowEvent& row);
  absl::Status Insert(Table& table, int64_t rowid, const Image& image);
  absl::Status Update(Table& table, const RowEvent& row);
  absl::Status Erase(Table& table, int64_t rowid, const Image& image);
  absl::Status SetSequence(std::string_view table, const std::optional<Value>& value);
  // Steps, resets, and expects that exactly one row was changed.
  absl::Status ChangeOne(sqlite3_stmt* stmt, const Table& table, std::string_view doing);
  void ForgetTables() { tables_.clear(); }

  sqlite3* const db_;
  std::map<std::string, Table, std::less<>> tables_;
};

}  // namespace sextant::binlog
