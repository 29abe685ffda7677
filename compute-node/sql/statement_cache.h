// StatementCache: prepared statements of one connection, least recently used out first.
#pragma once

#include <sqlite3.h>

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace sextant::sql {

class StatementCache;

// A prepared statement on loan; when dropped it is reset and goes back to its cache, if it came
// from one, or is finalized.
class PreparedStatement {
 public:
  PreparedStatement() = default;
  PreparedStatement(sqlite3_stmt* statement, StatementCache* home)
      : stmt_(statement), home_(home) {}
  PreparedStatement(PreparedStatement&& other) noexcept
      : stmt_(std::exchange(other.stmt_, nullptr)), home_(other.home_) {}
  PreparedStatement& operator=(PreparedStatement&& other) noexcept {
    std::swap(stmt_, other.stmt_);
    std::swap(home_, other.home_);
    return *this;
  }
  ~PreparedStatement() { Drop(); }

  sqlite3_stmt* get() const { return stmt_; }
  void Drop();

 private:
  sqlite3_stmt* stmt_ = nullptr;
  StatementCache* home_ = nullptr;
};

class StatementCache {
 public:
  StatementCache(sqlite3* db, size_t capacity) : db_(db), capacity_(capacity) {}
  ~StatementCache() { Clear(); }

  // Prepares one statement, or takes it from the cache. A SQLite code; SQLITE_MISUSE with nothing
  // prepared when `sql` holds more than one statement. An empty text (comments only) gives
  // SQLITE_OK and a statement of null.
  int Prepare(const std::string& sql, PreparedStatement* statement);
  // Prepares the first statement of `*sql` and moves `*sql` behind it; never cached.
  int PrepareNext(std::string_view* sql, PreparedStatement* statement);

  void Clear();

 private:
  friend class PreparedStatement;
  void Return(sqlite3_stmt* statement);

  using Order = std::list<sqlite3_stmt*>;  // most recently used first; only idle ones
  sqlite3* db_;
  size_t capacity_;
  Order order_;
  std::unordered_map<std::string, Order::iterator> by_sql_;
};

}  // namespace sextant::sql
