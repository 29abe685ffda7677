// Query: one SQL text in, all its rows out as text, for tests that compare what two databases say.
#pragma once

#include <sqlite3.h>

#include <string>

#include "common/base/text.h"

namespace sextant::sql {

// Rows as "a|b\n", NULL as "NULL", blobs in hex; "error CODE: message" where it fails.
inline std::string Query(sqlite3* db, const std::string& sql) {
  std::string rows;
  const char* next = sql.c_str();
  while (*next != '\0') {
    sqlite3_stmt* stmt = nullptr;
    int rc = sqlite3_prepare_v2(db, next, -1, &stmt, &next);
    while (rc == SQLITE_OK && stmt != nullptr && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
      for (int i = 0; i < sqlite3_column_count(stmt); ++i) {
        const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(stmt, i));
        rows.append(i > 0 ? "|" : "").append(text != nullptr ? text : "NULL");
      }
      rows.push_back('\n');
      rc = SQLITE_OK;
    }
    // The result code of a failed step is sharper after the reset.
    if (const int reset = sqlite3_finalize(stmt); reset != SQLITE_OK) rc = reset;
    if (rc != SQLITE_OK && rc != SQLITE_DONE) {
      return Text(rows, "error ", sqlite3_extended_errcode(db), ": ", sqlite3_errmsg(db));
    }
  }
  return rows;
}

}  // namespace sextant::sql
