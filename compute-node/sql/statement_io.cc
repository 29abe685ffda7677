// See statement_io.h.
#include "compute-node/sql/statement_io.h"

#include <string>
#include <utility>

#include "common/base/text.h"

namespace sextant::sql {
namespace {

constexpr size_t kValueOverheadBytes = 16;

// The values stay alive and unchanged until the statement is reset: SQLite needs no copy.
int Bind(sqlite3_stmt* stmt, int index, const Value& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) return sqlite3_bind_int64(stmt, index, *i);
  if (const auto* d = std::get_if<double>(&value)) return sqlite3_bind_double(stmt, index, *d);
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(stmt, index, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  if (const auto* blob = std::get_if<Blob>(&value)) {
    const char* bytes = blob->bytes.empty() ? "" : blob->bytes.data();
    return sqlite3_bind_blob64(stmt, index, bytes, blob->bytes.size(), SQLITE_STATIC);
  }
  return sqlite3_bind_null(stmt, index);
}

absl::Status BindAt(sqlite3_stmt* stmt, int index, const Value& value) {
  const int rc = Bind(stmt, index, value);
  if (rc == SQLITE_OK) return absl::OkStatus();
  return absl::InvalidArgumentError(Text("parameter ", index, ": ", sqlite3_errstr(rc)));
}

int IndexOf(sqlite3_stmt* stmt, const std::string& name) {
  if (const int index = sqlite3_bind_parameter_index(stmt, name.c_str()); index > 0) return index;
  for (const char* prefix : {":", "@", "$"}) {
    const std::string full = prefix + name;
    if (const int index = sqlite3_bind_parameter_index(stmt, full.c_str()); index > 0) return index;
  }
  return 0;
}

std::string Bytes(const void* data, int size) {
  return size > 0 ? std::string(static_cast<const char*>(data), size) : std::string();
}

Value ReadColumn(sqlite3_stmt* stmt, int column) {
  switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
      return int64_t{sqlite3_column_int64(stmt, column)};
    case SQLITE_FLOAT:
      return sqlite3_column_double(stmt, column);
    case SQLITE_TEXT: {
      const void* text = sqlite3_column_text(stmt, column);
      return Bytes(text, sqlite3_column_bytes(stmt, column));
    }
    case SQLITE_BLOB: {
      const void* blob = sqlite3_column_blob(stmt, column);
      return Blob{Bytes(blob, sqlite3_column_bytes(stmt, column))};
    }
    default:
      return std::monostate{};
  }
}

size_t SizeOf(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value))
    return kValueOverheadBytes + text->size();
  if (const auto* blob = std::get_if<Blob>(&value)) return kValueOverheadBytes + blob->bytes.size();
  return kValueOverheadBytes;
}

}  // namespace

absl::Status BindParameters(const Statement& statement, sqlite3_stmt* stmt) {
  const int expected = sqlite3_bind_parameter_count(stmt);
  const int given = static_cast<int>(statement.parameters.size());
  if (given > expected) {
    return absl::InvalidArgumentError(
        Text("the statement has ", expected, " parameters, but ", given, " values were given"));
  }
  std::vector<bool> is_bound(expected + 1, false);
  for (int i = 0; i < given; ++i) {
    if (absl::Status s = BindAt(stmt, i + 1, statement.parameters[i]); !s.ok()) return s;
    is_bound[i + 1] = true;
  }
  for (const auto& [name, value] : statement.named_parameters) {
    const int index = IndexOf(stmt, name);
    if (index == 0)
      return absl::InvalidArgumentError(Text("the statement has no parameter ", name));
    if (absl::Status s = BindAt(stmt, index, value); !s.ok()) return s;
    is_bound[index] = true;
  }
  // SQLite would take NULL for what is missing; that hides mistakes. Gaps of ?NNN have no name.
  for (int i = 1; i <= expected; ++i) {
    const char* name = sqlite3_bind_parameter_name(stmt, i);
    const bool is_gap = name == nullptr && given == 0 && !statement.named_parameters.empty();
    if (is_bound[i] || is_gap) continue;
    return absl::InvalidArgumentError(Text("parameter ",
                                           name != nullptr ? std::string(name) : Text("?", i),
                                           " was not given a value"));
  }
  return absl::OkStatus();
}

void ResultBuilder::BeginStatement() {
  results_.emplace_back();
  is_described_ = false;
}

void ResultBuilder::DescribeColumns(sqlite3_stmt* stmt) {
  is_described_ = true;
  StatementResult& result = results_.back();
  const int count = sqlite3_column_count(stmt);
  result.columns.reserve(count);
  for (int i = 0; i < count; ++i) {
    const char* name = sqlite3_column_name(stmt, i);
    const char* type = sqlite3_column_decltype(stmt, i);
    result.columns.push_back({name != nullptr ? name : "", type != nullptr ? type : ""});
  }
}

void ResultBuilder::AddRow(sqlite3_stmt* stmt) {
  // Only now, for a changed schema may have re-prepared the statement in its first step.
  if (!is_described_) DescribeColumns(stmt);
  const int count = sqlite3_column_count(stmt);
  Row& row = results_.back().rows.emplace_back();
  row.reserve(count);
  for (int i = 0; i < count; ++i) {
    row.push_back(ReadColumn(stmt, i));
    bytes_ += SizeOf(row.back());
  }
  ++rows_;
}

void ResultBuilder::EndStatement(sqlite3_stmt* stmt, int64_t changes, int64_t last_insert_rowid) {
  if (!is_described_) DescribeColumns(stmt);
  results_.back().changes = changes;
  results_.back().last_insert_rowid = last_insert_rowid;
}

void ResultBuilder::RestartStatement() {
  rows_ -= results_.back().rows.size();
  results_.pop_back();
  BeginStatement();
}

void ResultBuilder::Clear() {
  results_.clear();
  rows_ = 0;
  bytes_ = 0;
}

std::vector<StatementResult> ResultBuilder::TakeAll() {
  std::vector<StatementResult> taken = std::move(results_);
  Clear();
  return taken;
}

std::vector<StatementResult> ResultBuilder::TakeChunk() {
  std::vector<StatementResult> taken = TakeAll();
  results_.push_back({.is_continuation = true});
  return taken;
}

}  // namespace sextant::sql
