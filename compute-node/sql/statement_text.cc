// See statement_text.h.
#include "compute-node/sql/statement_text.h"

#include <cctype>

namespace sextant::sql {
namespace {

bool IsSpace(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

void SkipBlanks(std::string_view* sql) {
  while (!sql->empty()) {
    if (IsSpace(sql->front())) {
      sql->remove_prefix(1);
    } else if (sql->starts_with("--")) {
      const size_t end = sql->find('\n');
      sql->remove_prefix(end == std::string_view::npos ? sql->size() : end + 1);
    } else if (sql->starts_with("/*")) {
      const size_t end = sql->find("*/", 2);
      sql->remove_prefix(end == std::string_view::npos ? sql->size() : end + 2);
    } else {
      return;
    }
  }
}

// Takes blanks and then `keyword`, if it is there as a whole word.
bool TakeKeyword(std::string_view* sql, std::string_view keyword) {
  std::string_view rest = *sql;
  SkipBlanks(&rest);
  if (rest.size() < keyword.size()) return false;
  for (size_t i = 0; i < keyword.size(); ++i) {
    if (std::toupper(static_cast<unsigned char>(rest[i])) != keyword[i]) return false;
  }
  rest.remove_prefix(keyword.size());
  if (!rest.empty() && IsWord(rest.front())) return false;
  *sql = rest;
  return true;
}

}  // namespace

std::optional<Begin> TakeBegin(std::string_view* sql) {
  std::string_view rest = *sql;
  if (!TakeKeyword(&rest, "BEGIN")) return std::nullopt;
  Begin begin;
  if (TakeKeyword(&rest, "DEFERRED")) {
    begin.is_deferred = true;
  } else if (!TakeKeyword(&rest, "IMMEDIATE")) {
    TakeKeyword(&rest, "EXCLUSIVE");
  }
  TakeKeyword(&rest, "TRANSACTION");
  if (TakeKeyword(&rest, "READ")) {
    begin.is_read_only = TakeKeyword(&rest, "ONLY");
    if (!begin.is_read_only && !TakeKeyword(&rest, "WRITE")) return std::nullopt;
  }
  SkipBlanks(&rest);
  if (!rest.empty() && rest.front() != ';') return std::nullopt;
  if (!rest.empty()) rest.remove_prefix(1);
  *sql = rest;
  return begin;
}

bool StartsWithKeyword(std::string_view sql, std::string_view keyword) {
  return TakeKeyword(&sql, keyword);
}

bool IsBlankSql(std::string_view sql) {
  for (;;) {
    SkipBlanks(&sql);
    if (sql.empty()) return true;
    if (sql.front() != ';') return false;
    sql.remove_prefix(1);
  }
}

void TrimSql(std::string* sql) {
  while (!sql->empty() && IsSpace(sql->back())) sql->pop_back();
}

}  // namespace sextant::sql
