// See sqlite_statement.h.
#include "compute-node/binlog/engine/sqlite_statement.h"

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::binlog {

absl::Status SqliteError(sqlite3* db, std::string_view doing) {
  return absl::UnavailableError(Text(doing, ": ", sqlite3_errmsg(db)));
}

absl::StatusOr<StatementPtr> Prepare(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* stmt = nullptr;
  if (sqlite3_prepare_v3(db, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &stmt, nullptr) !=
      SQLITE_OK) {
    return SqliteError(db, Text("preparing ", sql));
  }
  return StatementPtr(stmt);
}

absl::Status Run(sqlite3* db, const std::string& sql) {
  if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) {
    return absl::OkStatus();
  }
  return SqliteError(db, sql);
}

absl::StatusOr<int64_t> QueryInteger(sqlite3* db, const std::string& sql, int64_t otherwise) {
  ASSIGN_OR_RETURN(const StatementPtr stmt, Prepare(db, sql));
  const int rc = sqlite3_step(stmt.get());
  if (rc == SQLITE_ROW) return sqlite3_column_int64(stmt.get(), 0);
  if (rc == SQLITE_DONE) return otherwise;
  return SqliteError(db, sql);
}

Value ToValue(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return static_cast<int64_t>(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
      return sqlite3_value_double(value);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
      return TextValue{{text, static_cast<size_t>(sqlite3_value_bytes(value))}};
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const char*>(sqlite3_value_blob(value));
      const auto size = static_cast<size_t>(sqlite3_value_bytes(value));
      return BlobValue{size == 0 ? std::string_view() : std::string_view(bytes, size)};
    }
    default:
      return NullValue{};
  }
}

int Bind(sqlite3_stmt* stmt, int index, const Value& value) {
  // A null pointer would bind NULL where an empty text or blob is meant.
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    return sqlite3_bind_int64(stmt, index, *integer);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return sqlite3_bind_double(stmt, index, *real);
  }
  if (const auto* text = std::get_if<TextValue>(&value)) {
    const char* bytes = text->bytes.empty() ? "" : text->bytes.data();
    return sqlite3_bind_text64(stmt, index, bytes, text->bytes.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  if (const auto* blob = std::get_if<BlobValue>(&value)) {
    const char* bytes = blob->bytes.empty() ? "" : blob->bytes.data();
    return sqlite3_bind_blob64(stmt, index, bytes, blob->bytes.size(), SQLITE_STATIC);
  }
  return sqlite3_bind_null(stmt, index);
}

std::string Quoted(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

std::string_view ColumnText(sqlite3_stmt* stmt, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(stmt, column));
  return text == nullptr
             ? std::string_view()
             : std::string_view(text, static_cast<size_t>(sqlite3_column_bytes(stmt, column)));
}

}  // namespace sextant::binlog
