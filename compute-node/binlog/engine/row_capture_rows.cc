// RowCapture's rows: from SQLite's hook to Row events.
#include <map>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/binlog/engine/position_table.h"
#include "compute-node/binlog/engine/row_capture.h"

namespace sextant::binlog {

void RowCapture::OnPreupdate(void* self, sqlite3*, int op, const char* database, const char* table,
                             sqlite3_int64 rowid_before, sqlite3_int64 rowid_after) {
  if (sqlite3_stricmp(database, "main") != 0) return;
  static_cast<RowCapture*>(self)->OnRow(op, table, rowid_before, rowid_after);
}

void RowCapture::OnRow(int op, std::string_view table, int64_t rowid_before, int64_t rowid_after) {
  if (table == kPositionTable || !refusal_.ok()) return;
  if (table.substr(0, 7) == "sqlite_") {
    // sqlite_sequence is compared at the end, ANALYZE replicated as such.
    if (table == "sqlite_sequence" || kind_ == Kind::kAnalyze || kind_ == Kind::kSchema) return;
    return Refuse(absl::FailedPreconditionError(
        Text("table ", table, " cannot be edited in binlog mode: use ANALYZE")));
  }
  const absl::StatusOr<const TableShape*> found = FindShape(table);
  if (!found.ok()) return Refuse(found.status());
  const TableShape& shape = **found;
  if (builder_.bytes() > kMaxTransactionBytes) {
    return Refuse(absl::FailedPreconditionError(Text("the transaction changes more than ",
                                                     kMaxTransactionBytes >> 20,
                                                     " MiB of rows: split it up")));
  }
  RowEvent row{.table = builder_.TableIndex(table, shape.has_rowid, shape.columns.size()),
               .op = op == SQLITE_INSERT   ? RowOp::kInsert
                     : op == SQLITE_UPDATE ? RowOp::kUpdate
                                           : RowOp::kDelete,
               .has_rowid = shape.has_rowid};
  absl::Status status;
  if (row.op != RowOp::kInsert) {
    if (shape.has_rowid) row.rowid_before = rowid_before;
    status = ReadBefore(shape, rowid_before, &row.before);
  }
  if (row.op != RowOp::kDelete && status.ok()) {
    if (shape.has_rowid) row.rowid_after = rowid_after;
    status = ReadAfter(shape, &row.after);
  }
  if (!status.ok()) return Refuse(std::move(status));
  if (shape.has_sequence) moved_sequences_.emplace(table);
  builder_.AddRow(row);
  reread_.clear();
}

absl::StatusOr<const TableShape*> RowCapture::FindShape(std::string_view table) {
  const auto it = shapes_.find(table);
  if (it != shapes_.end()) return &it->second;
  ASSIGN_OR_RETURN(TableShape shape, ReadTableShape(db_, table));
  return &shapes_.emplace(std::string(table), std::move(shape)).first->second;
}

absl::Status RowCapture::ReadBefore(const TableShape& shape, int64_t rowid, Image* image) {
  bool is_doubtful = false;
  for (const ImageColumn& column : shape.columns) {
    sqlite3_value* value = nullptr;
    if (sqlite3_preupdate_old(db_, column.hook_index, &value) != SQLITE_OK) {
      return SqliteError(db_, Text("reading column ", column.name, " of ", shape.name));
    }
    image->push_back(ToValue(value));
    is_doubtful |= column.has_default && std::holds_alternative<NullValue>(image->back());
  }
  return is_doubtful ? ReadWhole(shape, rowid, image) : absl::OkStatus();
}

absl::Status RowCapture::ReadWhole(const TableShape& shape, int64_t rowid, Image* image) {
  ASSIGN_OR_RETURN(StatementPtr stmt, Prepare(db_, shape.SelectSql()));
  int index = 0;
  if (shape.has_rowid) {
    sqlite3_bind_int64(stmt.get(), 1, rowid);
  } else {
    for (size_t i = 0; i < shape.columns.size(); ++i) {
      if (shape.columns[i].is_key) Bind(stmt.get(), ++index, (*image)[i]);
    }
  }
  const int rc = sqlite3_step(stmt.get());
  if (rc == SQLITE_DONE) return absl::NotFoundError(Text("a row of ", shape.name, " is gone"));
  if (rc != SQLITE_ROW) return SqliteError(db_, Text("reading a row of ", shape.name, " again"));
  image->clear();
  for (size_t i = 0; i < shape.columns.size(); ++i) {
    image->push_back(ToValue(sqlite3_column_value(stmt.get(), static_cast<int>(i))));
  }
  reread_.push_back(std::move(stmt));
  return absl::OkStatus();
}

absl::Status RowCapture::ReadAfter(const TableShape& shape, Image* image) {
  for (const ImageColumn& column : shape.columns) {
    sqlite3_value* value = nullptr;
    if (sqlite3_preupdate_new(db_, column.hook_index, &value) != SQLITE_OK) {
      return SqliteError(db_, Text("reading column ", column.name, " of ", shape.name));
    }
    image->push_back(ToValue(value));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RowCapture::IsUndone() {
  // What each row was before the statement: an image, or absent.
  struct RowState {
    uint64_t table;
    int64_t rowid;
    Image image;  // with the key's values, for a table without rowids
    bool was_there;
  };
  std::map<std::string, RowState> rows;
  const auto note = [&](const RowEvent& row, int64_t rowid, const Image& image, bool was_there) {
    std::string key = Text(row.table, ":");
    const TableShape& shape = shapes_.find(builder_.TableName(row.table))->second;
    if (shape.has_rowid) {
      key += Text(rowid);
    } else {
      for (size_t i = 0; i < image.size(); ++i) {
        if (shape.columns[i].is_key) PutValue(image[i], &key);
      }
    }
    rows.try_emplace(std::move(key), RowState{row.table, rowid, image, was_there});
  };
  std::string_view bytes = builder_.BytesSince(mark_.at);
  while (!bytes.empty()) {
    ASSIGN_OR_RETURN(const Event event, DecodeEvent(&bytes));
    const auto* row = std::get_if<RowEvent>(&event);
    if (row == nullptr) continue;
    RETURN_IF_ERROR(FindShape(builder_.TableName(row->table)).status());
    if (row->op != RowOp::kInsert) note(*row, row->rowid_before, row->before, true);
    if (row->op != RowOp::kDelete) note(*row, row->rowid_after, row->after, false);
  }
  for (const auto& [key, was] : rows) {
    const TableShape& shape = shapes_.find(builder_.TableName(was.table))->second;
    Image now = was.image;
    const absl::Status found = ReadWhole(shape, was.rowid, &now);
    const bool is_there = found.ok();
    if (!is_there && !absl::IsNotFound(found)) return found;
    const bool is_same = is_there == was.was_there && (!is_there || now == was.image);
    reread_.clear();
    if (!is_same) return false;
  }
  return true;
}

absl::Status RowCapture::CaptureAllRows(const TableShape& shape) {
  ASSIGN_OR_RETURN(const StatementPtr stmt, Prepare(db_, shape.ScanSql()));
  int rc = 0;
  while ((rc = sqlite3_step(stmt.get())) == SQLITE_ROW) {
    if (builder_.bytes() > kMaxTransactionBytes) {
      return absl::FailedPreconditionError(Text("the new table ", shape.name, " is larger than ",
                                                kMaxTransactionBytes >> 20,
                                                " MiB: create it, then fill it in parts"));
    }
    RowEvent row{.table = builder_.TableIndex(shape.name, shape.has_rowid, shape.columns.size()),
                 .has_rowid = shape.has_rowid};
    int at = 0;
    if (shape.has_rowid) row.rowid_after = sqlite3_column_int64(stmt.get(), at++);
    for (size_t i = 0; i < shape.columns.size(); ++i) {
      row.after.push_back(ToValue(sqlite3_column_value(stmt.get(), at++)));
    }
    builder_.AddRow(row);
  }
  return rc == SQLITE_DONE ? absl::OkStatus() : SqliteError(db_, "reading the new table");
}

}  // namespace sextant::binlog
