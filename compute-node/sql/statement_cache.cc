// See statement_cache.h.
#include "compute-node/sql/statement_cache.h"

namespace sextant::sql {

void PreparedStatement::Drop() {
  sqlite3_stmt* stmt = std::exchange(stmt_, nullptr);
  if (stmt == nullptr) return;
  if (home_ != nullptr) {
    home_->Return(stmt);
  } else {
    sqlite3_finalize(stmt);
  }
}

int StatementCache::Prepare(const std::string& sql, PreparedStatement* statement) {
  if (const auto found = by_sql_.find(sql); found != by_sql_.end()) {
    sqlite3_stmt* stmt = *found->second;
    order_.erase(found->second);
    by_sql_.erase(found);
    *statement = PreparedStatement(stmt, this);
    return SQLITE_OK;
  }
  sqlite3_stmt* stmt = nullptr;
  const char* tail = nullptr;
  const int length = static_cast<int>(sql.size()) + 1;
  int rc = sqlite3_prepare_v3(db_, sql.c_str(), length, SQLITE_PREPARE_PERSISTENT, &stmt, &tail);
  if (rc != SQLITE_OK) return rc;
  const bool is_whole = tail == sql.c_str() + sql.size();
  PreparedStatement prepared(stmt, is_whole ? this : nullptr);
  if (!is_whole) {
    // What follows may be blanks and comments, but no second statement, not even a wrong one.
    sqlite3_stmt* second = nullptr;
    rc = sqlite3_prepare_v3(db_, tail, -1, 0, &second, nullptr);
    sqlite3_finalize(second);
    if (rc != SQLITE_OK || second != nullptr) return SQLITE_MISUSE;
  }
  *statement = std::move(prepared);
  return SQLITE_OK;
}

int StatementCache::PrepareNext(std::string_view* sql, PreparedStatement* statement) {
  sqlite3_stmt* stmt = nullptr;
  const char* tail = nullptr;
  const int rc =
      sqlite3_prepare_v3(db_, sql->data(), static_cast<int>(sql->size()), 0, &stmt, &tail);
  if (rc != SQLITE_OK) return rc;
  sql->remove_prefix(tail - sql->data());
  *statement = PreparedStatement(stmt, nullptr);
  return SQLITE_OK;
}

void StatementCache::Return(sqlite3_stmt* stmt) {
  sqlite3_reset(stmt);
  sqlite3_clear_bindings(stmt);
  const auto [it, is_new] = by_sql_.try_emplace(sqlite3_sql(stmt));
  if (!is_new || capacity_ == 0) {  // another copy of it is idle already
    if (is_new) by_sql_.erase(it);
    sqlite3_finalize(stmt);
    return;
  }
  order_.push_front(stmt);
  it->second = order_.begin();
  if (order_.size() <= capacity_) return;
  sqlite3_stmt* oldest = order_.back();
  order_.pop_back();
  by_sql_.erase(sqlite3_sql(oldest));
  sqlite3_finalize(oldest);
}

void StatementCache::Clear() {
  for (sqlite3_stmt* stmt : order_) sqlite3_finalize(stmt);
  order_.clear();
  by_sql_.clear();
}

}  // namespace sextant::sql
