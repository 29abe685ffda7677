// See database_digest.h.
#include "compute-node/binlog/engine/testing/database_digest.h"

#include <algorithm>
#include <vector>

#include "common/base/check.h"
#include "common/base/text.h"
#include "compute-node/binlog/engine/sqlite_statement.h"

namespace sextant::binlog {
namespace {

std::vector<std::string> Rows(sqlite3* db, const std::string& sql) {
  std::vector<std::string> rows;
  const auto stmt = Prepare(db, sql);
  if (!stmt.ok()) return {std::string(stmt.status().message())};
  while (sqlite3_step(stmt->get()) == SQLITE_ROW) {
    std::string row;
    for (int i = 0; i < sqlite3_column_count(stmt->get()); ++i) {
      row += Text(i > 0 ? "|" : "", sqlite3_column_type(stmt->get(), i), ":",
                  ColumnText(stmt->get(), i));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

std::string DatabaseDigest(sqlite3* db) {
  std::string digest;
  const auto add = [&](const std::string& sql) {
    std::vector<std::string> rows = Rows(db, sql);
    std::sort(rows.begin(), rows.end());
    digest += Text("-- ", sql, "\n");
    for (const std::string& row : rows) digest += row + "\n";
  };
  add("SELECT type, name, tbl_name, sql FROM sqlite_schema");
  const std::vector<std::string> tables =
      Rows(db,
           "SELECT name || '/' || wr FROM pragma_table_list WHERE schema = 'main' AND type = "
           "'table' AND name <> 'sqlite_schema' ORDER BY name");
  for (const std::string& entry : tables) {
    const std::string name = entry.substr(2, entry.rfind('/') - 2);
    const bool has_rowid = entry.back() == '0' && name.substr(0, 7) != "sqlite_";
    add(Text("SELECT ", has_rowid ? "rowid, " : "", "* FROM ", Quoted(name)));
  }
  add("PRAGMA user_version");
  add("PRAGMA application_id");
  add("PRAGMA integrity_check");
  return digest;
}

}  // namespace sextant::binlog
