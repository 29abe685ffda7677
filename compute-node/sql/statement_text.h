// The little that the session layer reads of SQL text itself: BEGIN in its forms, and blanks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sextant::sql {

struct Begin {
  bool is_deferred =
      false;  // said DEFERRED; without it a transaction takes the write ticket at once
  bool is_read_only = false;  // said READ ONLY
};

// BEGIN [DEFERRED | IMMEDIATE | EXCLUSIVE] [TRANSACTION] [READ ONLY | READ WRITE] up to a semicolon
// or the end: taken off the front of *sql. Anything else: null, *sql unchanged; SQLite will judge
// it.
std::optional<Begin> TakeBegin(std::string_view* sql);

// Whether the text starts with this keyword (upper case), after blanks and comments.
bool StartsWithKeyword(std::string_view sql, std::string_view keyword);

// Whether only blanks, comments and semicolons are left.
bool IsBlankSql(std::string_view sql);

// Cuts trailing white space off, so that equal statements are equal texts.
void TrimSql(std::string* sql);

}  // namespace sextant::sql
