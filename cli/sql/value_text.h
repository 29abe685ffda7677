// How a value looks as text, byte for byte as the sqlite3 shell shows it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "sextant/v1/sql.pb.h"

namespace sextant::cli {

inline bool IsNull(const v1::SqlValue& value) {
  return value.kind_case() == v1::SqlValue::kNull ||
         value.kind_case() == v1::SqlValue::KIND_NOT_SET;
}

// As sqlite3_column_text() gives it to the shell's list, csv and table modes: reals with 15 digits,
// a blob's bytes as they are; both text and blob end at their first NUL. `null` for NULL.
std::string PlainText(const v1::SqlValue& value, std::string_view null = "");

// As an SQL literal: 'it''s', X'0102', 17 or more digits, NULL. Line ends stay in strings.
std::string SqlLiteral(const v1::SqlValue& value);
// The same for .dump and insert mode: line ends in strings are written as replace(...,char(10)).
std::string SqlLiteralOnOneLine(const v1::SqlValue& value);

// As json mode shows it.
std::string JsonText(const v1::SqlValue& value);
std::string JsonString(std::string_view text);

// Whether protobuf can carry `text` as a string (RFC 3629).
bool IsUtf8(std::string_view text);

// `name` as it must be written in SQL: bare where that is safe, else in double quotes.
std::string QuotedName(std::string_view name);

}  // namespace sextant::cli
