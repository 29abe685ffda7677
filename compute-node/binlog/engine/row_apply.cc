// See row_apply.h.
#include "compute-node/binlog/engine/row_apply.h"

#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::binlog {
namespace {

absl::Status Differs(std::string_view what) {
  return absl::DataLossError(
      Text("this copy is not what the source's was: ", what, "; seed it anew"));
}

RowEvent Reversed(const RowEvent& row) {
  RowEvent reversed = row;
  std::swap(reversed.before, reversed.after);
  std::swap(reversed.rowid_before, reversed.rowid_after);
  if (row.op == RowOp::kInsert) reversed.op = RowOp::kDelete;
  if (row.op == RowOp::kDelete) reversed.op = RowOp::kInsert;
  return reversed;
}

// Binds from ?`index` on; returns the next index.
int BindImage(sqlite3_stmt* stmt, int index, const Image& image) {
  for (const Value& value : image) Bind(stmt, index++, value);
  return index;
}

int BindKey(sqlite3_stmt* stmt, int index, const TableShape& shape, int64_t rowid,
            const Image& image) {
  if (shape.has_rowid) {
    sqlite3_bind_int64(stmt, index, rowid);
    return index + 1;
  }
  for (size_t i = 0; i < image.size(); ++i) {
    if (shape.columns[i].is_key) Bind(stmt, index++, image[i]);
  }
  return index;
}

// One statement of a prepared table; made when first used.
absl::StatusOr<sqlite3_stmt*> Use(sqlite3* db, StatementPtr* slot, const std::string& sql) {
  if (*slot == nullptr) {
    ASSIGN_OR_RETURN(*slot, Prepare(db, sql));
  }
  return slot->get();
}

}  // namespace

absl::StatusOr<std::unique_ptr<RowApply>> RowApply::Make(sqlite3* db) {
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  RETURN_IF_ERROR(Run(db, "PRAGMA ignore_check_constraints=ON"));
  return std::unique_ptr<RowApply>(new RowApply(db));
}

absl::Status RowApply::Apply(const TransactionView& transaction) {
  std::vector<const TableEvent*> tables;
  for (const Event& event : transaction.events) {
    if (const auto* table = std::get_if<TableEvent>(&event)) {
      tables.push_back(table);
    } else if (const auto* row = std::get_if<RowEvent>(&event)) {
      ASSIGN_OR_RETURN(Table * table, Find(*tables[row->table]));
      RETURN_IF_ERROR(ApplyRow(*table, *row));
    } else if (const auto* statement = std::get_if<StatementEvent>(&event)) {
      ForgetTables();
      RETURN_IF_ERROR(Run(db_, std::string(statement->sql)));
    } else if (const auto* sequence = std::get_if<SequenceEvent>(&event)) {
      RETURN_IF_ERROR(SetSequence(sequence->table, sequence->after));
    }
  }
  return absl::OkStatus();
}

absl::Status RowApply::Undo(const TransactionView& transaction) {
  std::vector<const TableEvent*> tables;
  for (const Event& event : transaction.events) {
    if (std::holds_alternative<StatementEvent>(event)) {
      return absl::FailedPreconditionError(
          Text("transaction ", FormatGtid(transaction.header.gtid),
               " changes the schema and cannot be undone: seed this copy anew"));
    }
    if (const auto* table = std::get_if<TableEvent>(&event)) tables.push_back(table);
  }
  for (auto event = transaction.events.rbegin(); event != transaction.events.rend(); ++event) {
    if (const auto* row = std::get_if<RowEvent>(&*event)) {
      ASSIGN_OR_RETURN(Table * table, Find(*tables[row->table]));
      RETURN_IF_ERROR(ApplyRow(*table, Reversed(*row)));
    }
  }
  // After the rows: putting rows back moves sequences.
  for (const Event& event : transaction.events) {
    if (const auto* sequence = std::get_if<SequenceEvent>(&event)) {
      RETURN_IF_ERROR(SetSequence(sequence->table, sequence->before));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<RowApply::Table*> RowApply::Find(const TableEvent& event) {
  auto it = tables_.find(event.name);
  if (it == tables_.end()) {
    absl::StatusOr<TableShape> shape = ReadTableShape(db_, event.name);
    if (absl::IsNotFound(shape.status())) return Differs(View(shape.status().message()));
    RETURN_IF_ERROR(shape.status());
    it = tables_.emplace(std::string(event.name), Table{.shape = *std::move(shape)}).first;
  }
  const TableShape& shape = it->second.shape;
  if (shape.has_rowid != event.has_rowid || shape.columns.size() != event.columns) {
    return Differs(Text("table ", event.name, " has another shape"));
  }
  return &it->second;
}

absl::Status RowApply::ApplyRow(Table& table, const RowEvent& row) {
  switch (row.op) {
    case RowOp::kInsert:
      return Insert(table, row.rowid_after, row.after);
    case RowOp::kUpdate:
      return Update(table, row);
    case RowOp::kDelete:
      return Erase(table, row.rowid_before, row.before);
  }
  return absl::OkStatus();
}

absl::Status RowApply::ChangeOne(sqlite3_stmt* stmt, const Table& table, std::string_view doing) {
  const int64_t before = sqlite3_total_changes64(db_);
  sqlite3_step(stmt);
  const int rc = sqlite3_reset(stmt);
  if ((rc & 0xff) == SQLITE_CONSTRAINT) {
    return Differs(Text(doing, " table ", table.shape.name, ": ", sqlite3_errmsg(db_)));
  }
  if (rc != SQLITE_OK) return SqliteError(db_, Text(doing, " table ", table.shape.name));
  if (sqlite3_total_changes64(db_) == before + 1) return absl::OkStatus();
  return Differs(Text(doing, " table ", table.shape.name, ": the row is not there"));
}

absl::Status RowApply::Insert(Table& table, int64_t rowid, const Image& image) {
  ASSIGN_OR_RETURN(sqlite3_stmt * stmt, Use(db_, &table.insert, table.shape.InsertSql()));
  int index = 1;
  if (table.shape.has_rowid) sqlite3_bind_int64(stmt, index++, rowid);
  BindImage(stmt, index, image);
  return ChangeOne(stmt, table, "inserting into");
}

absl::Status RowApply::Update(Table& table, const RowEvent& row) {
  ASSIGN_OR_RETURN(sqlite3_stmt * stmt, Use(db_, &table.update, table.shape.UpdateSql()));
  int index = 1;
  if (table.shape.has_rowid) sqlite3_bind_int64(stmt, index++, row.rowid_after);
  index = BindImage(stmt, index, row.after);
  BindKey(stmt, index, table.shape, row.rowid_before, row.before);
  return ChangeOne(stmt, table, "updating");
}

absl::Status RowApply::Erase(Table& table, int64_t rowid, const Image& image) {
  ASSIGN_OR_RETURN(sqlite3_stmt * stmt, Use(db_, &table.erase, table.shape.DeleteSql()));
  BindKey(stmt, 1, table.shape, rowid, image);
  return ChangeOne(stmt, table, "deleting from");
}

absl::Status RowApply::SetSequence(std::string_view table, const std::optional<Value>& value) {
  for (const char* sql : {"DELETE FROM main.sqlite_sequence WHERE name = ?1",
                          "INSERT INTO main.sqlite_sequence(name, seq) VALUES(?1, ?2)"}) {
    ASSIGN_OR_RETURN(const StatementPtr stmt, Prepare(db_, sql));
    Bind(stmt.get(), 1, TextValue{table});
    if (sqlite3_bind_parameter_count(stmt.get()) > 1) {
      if (!value.has_value()) break;
      Bind(stmt.get(), 2, *value);
    }
    if (sqlite3_step(stmt.get()) != SQLITE_DONE) return SqliteError(db_, "setting a sequence");
  }
  return absl::OkStatus();
}

}  // namespace sextant::binlog
