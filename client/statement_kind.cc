// See statement_kind.h.
#include "client/statement_kind.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <vector>

namespace sextant::client {
namespace {

constexpr std::array<std::string_view, 11> kChanging = {
    "insert", "update", "delete", "replace", "create", "drop",
    "alter",  "commit", "end",    "release", "vacuum"};
constexpr std::array<std::string_view, 3> kCommitting = {"commit", "end", "release"};
constexpr std::array<std::string_view, 2> kMaintaining = {"reindex", "analyze"};

bool IsWordChar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

// Without comments and blanks at its start.
std::string_view SkipBlanks(std::string_view sql) {
  while (!sql.empty()) {
    if (std::isspace(static_cast<unsigned char>(sql[0])) != 0 || sql[0] == ';') {
      sql.remove_prefix(1);
    } else if (sql.substr(0, 2) == "--") {
      sql.remove_prefix(std::min(sql.find('\n'), sql.size()));
    } else if (sql.substr(0, 2) == "/*") {
      const size_t end = sql.find("*/", 2);
      sql.remove_prefix(end == std::string_view::npos ? sql.size() : end + 2);
    } else {
      break;
    }
  }
  return sql;
}

// In lower case; those in strings and comments too.
std::vector<std::string> Words(std::string_view sql) {
  std::vector<std::string> words;
  bool is_inside = false;
  for (const char c : sql) {
    if (!IsWordChar(c)) {
      is_inside = false;
      continue;
    }
    if (!is_inside) words.emplace_back();
    is_inside = true;
    words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return words;
}

bool Has(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

template <size_t n>
bool HasAny(const std::vector<std::string>& words, const std::array<std::string_view, n>& of) {
  return std::any_of(of.begin(), of.end(), [&](std::string_view word) { return Has(words, word); });
}

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> of) {
  return std::find(of.begin(), of.end(), word) != of.end();
}

StatementKind KindOfScript(std::string_view sql) {
  const std::vector<std::string> words = Words(sql);
  const bool sets_pragma = Has(words, "pragma") && sql.find('=') != std::string_view::npos;
  const bool changes = HasAny(words, kChanging) || HasAny(words, kMaintaining) || sets_pragma;
  const bool begins = Has(words, "begin") && !Has(words, "only");
  return {.may_change = changes,
          .may_commit = HasAny(words, kCommitting),
          .needs_writer = changes || begins};
}

}  // namespace

StatementKind KindOf(std::string_view sql, bool is_script) {
  sql = SkipBlanks(sql);
  if (is_script) return KindOfScript(sql);
  // A long text is data; its first words decide, but for WITH.
  const std::vector<std::string> first = Words(sql.substr(0, 200));
  const std::string word = first.empty() ? "" : first[0];
  if (word.empty() || IsOneOf(word, {"select", "values", "explain", "savepoint", "rollback"})) {
    return {false, false, false};
  }
  if (word == "begin") return {false, false, !Has(first, "only")};
  if (IsOneOf(word, {"commit", "end", "release"})) return {true, true, true};
  if (word == "pragma") {
    const bool sets = sql.find('=') != std::string_view::npos;
    return {sets, false, sets};
  }
  const bool changes = word != "with" || HasAny(Words(sql), kChanging);
  return {changes, false, changes};
}

}  // namespace sextant::client
