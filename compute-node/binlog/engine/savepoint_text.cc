// See savepoint_text.h.
#include "compute-node/binlog/engine/savepoint_text.h"

#include <algorithm>
#include <cctype>

namespace sextant::binlog {
namespace {

void SkipBlanks(std::string_view* sql) {
  for (;;) {
    if (sql->empty()) return;
    if (std::isspace(static_cast<unsigned char>(sql->front())) != 0) {
      sql->remove_prefix(1);
    } else if (sql->substr(0, 2) == "--") {
      sql->remove_prefix(std::min(sql->find('\n'), sql->size()));
    } else if (sql->substr(0, 2) == "/*") {
      const size_t end = sql->find("*/", 2);
      sql->remove_prefix(end == std::string_view::npos ? sql->size() : end + 2);
    } else {
      return;
    }
  }
}

bool IsWordByte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return std::isalnum(byte) != 0 || c == '_' || c == '$' || byte >= 0x80;
}

std::string Cased(std::string_view text, bool is_upper) {
  std::string result(text);
  for (char& c : result) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) c = static_cast<char>(is_upper ? std::toupper(byte) : std::tolower(byte));
  }
  return result;
}

// A keyword in upper case; empty: none.
std::string TakeWord(std::string_view* sql) {
  SkipBlanks(sql);
  size_t size = 0;
  while (size < sql->size() && IsWordByte((*sql)[size])) ++size;
  const std::string word = Cased(sql->substr(0, size), true);
  sql->remove_prefix(size);
  return word;
}

// A name, quoted or not.
std::string TakeName(std::string_view* sql) {
  SkipBlanks(sql);
  if (sql->empty() || IsWordByte(sql->front())) return Cased(TakeWord(sql), false);
  const char open = sql->front();
  const char close = open == '[' ? ']' : open;
  std::string name;
  for (size_t i = 1; i < sql->size(); ++i) {
    if ((*sql)[i] != close) {
      name.push_back((*sql)[i]);
    } else if (open != '[' && i + 1 < sql->size() && (*sql)[i + 1] == close) {
      name.push_back(close);
      ++i;
    } else {
      break;
    }
  }
  return Cased(name, false);
}

}  // namespace

std::string FirstWords(std::string_view sql, int count) {
  std::string words;
  for (int i = 0; i < count; ++i) {
    const std::string word = TakeWord(&sql);
    if (word.empty()) break;
    words += (i > 0 ? " " : "") + word;
  }
  return words;
}

std::optional<SavepointStatement> ParseSavepoint(std::string_view sql) {
  const std::string first = TakeWord(&sql);
  if (first == "SAVEPOINT")
    return SavepointStatement{SavepointStatement::kSavepoint, TakeName(&sql)};
  const bool is_release = first == "RELEASE";
  if (!is_release && first != "ROLLBACK") return std::nullopt;
  std::string_view rest = sql;
  if (!is_release) {
    std::string word = TakeWord(&rest);
    if (word == "TRANSACTION") word = TakeWord(&rest);
    if (word != "TO") return std::nullopt;
  }
  // "SAVEPOINT" may stand before the name, or be the name.
  std::string_view behind = rest;
  if (TakeWord(&behind) == "SAVEPOINT") {
    std::string_view probe = behind;
    SkipBlanks(&probe);
    if (!probe.empty() && probe.front() != ';') rest = behind;
  }
  return SavepointStatement{
      is_release ? SavepointStatement::kRelease : SavepointStatement::kRollbackTo, TakeName(&rest)};
}

}  // namespace sextant::binlog
