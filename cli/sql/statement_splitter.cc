// The tokens of SQL, as far as they decide where a statement ends.
#include "cli/sql/statement_splitter.h"

#include <algorithm>
#include <cctype>

namespace sextant::cli {
namespace {

bool IsWordCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         (c & 0x80) != 0;
}
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }

bool EqualsIgnoringCase(std::string_view word, std::string_view lower) {
  return word.size() == lower.size() &&
         std::equal(word.begin(), word.end(), lower.begin(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == b;
         });
}

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(),
                     [word](std::string_view w) { return EqualsIgnoringCase(word, w); });
}

}  // namespace

void StatementSplitter::Append(char c) {
  // Blanks and comments before a statement are no part of it.
  if (text_.empty() &&
      (IsBlank(c) || token_ == Token::kBlockComment || token_ == Token::kLineComment)) {
    return;
  }
  if (text_.empty()) text_line_ = line_;
  text_ += c;
}

void StatementSplitter::Word(std::string_view word) {
  switch (progress_) {
    case Progress::kStart:
      progress_ = EqualsIgnoringCase(word, "create")    ? Progress::kCreate
                  : EqualsIgnoringCase(word, "explain") ? Progress::kExplain
                                                        : Progress::kOther;
      return;
    case Progress::kExplain:  // EXPLAIN QUERY PLAN CREATE ...
      if (EqualsIgnoringCase(word, "create")) {
        progress_ = Progress::kCreate;
      } else if (IsOneOf(word, {"explain", "temp", "temporary", "trigger", "end"})) {
        progress_ = Progress::kOther;
      }
      return;
    case Progress::kCreate:
      if (EqualsIgnoringCase(word, "trigger")) {
        progress_ = Progress::kTrigger;
      } else if (!IsOneOf(word, {"temp", "temporary"})) {
        progress_ = Progress::kOther;
      }
      return;
    case Progress::kTriggerSemicolon:
      progress_ = EqualsIgnoringCase(word, "end") ? Progress::kTriggerEnd : Progress::kTrigger;
      return;
    case Progress::kTriggerEnd:
      progress_ = Progress::kTrigger;
      return;
    case Progress::kOther:
    case Progress::kTrigger:
      return;
  }
}

void StatementSplitter::OtherToken() {
  if (progress_ == Progress::kTriggerSemicolon || progress_ == Progress::kTriggerEnd) {
    progress_ = Progress::kTrigger;
  } else if (progress_ != Progress::kTrigger && progress_ != Progress::kExplain) {
    progress_ = Progress::kOther;
  }
}

void StatementSplitter::Semicolon() {
  if (progress_ == Progress::kTrigger || progress_ == Progress::kTriggerSemicolon) {
    progress_ = Progress::kTriggerSemicolon;
    return;
  }
  if (progress_ != Progress::kStart) complete_.push_back({std::move(text_), text_line_});
  text_.clear();
  progress_ = Progress::kStart;
}

size_t StatementSplitter::ContinueToken(std::string_view text, size_t at) {
  const char c = text[at];
  const char next = at + 1 < text.size() ? text[at + 1] : '\0';
  size_t taken = 1;
  bool ends = false;
  if (token_ == Token::kQuoted) {
    ends = c == quote_end_;  // a doubled quote is a string that begins where another ended
  } else if (token_ == Token::kLineComment) {
    ends = c == '\n';
  } else if (c == '*' && next == '/') {
    taken = 2;
    ends = true;
  }
  for (size_t i = 0; i < taken; ++i) Append(text[at + i]);
  line_ += c == '\n';
  if (ends) token_ = Token::kNone;
  return at + taken;
}

size_t StatementSplitter::StartToken(std::string_view text, size_t at) {
  const char c = text[at];
  const char next = at + 1 < text.size() ? text[at + 1] : '\0';
  if ((c == '-' && next == '-') || (c == '/' && next == '*')) {
    token_ = c == '-' ? Token::kLineComment : Token::kBlockComment;
    Append(c);
    Append(next);
    return at + 2;
  }
  if (IsWordCharacter(c)) {
    size_t end = at;
    while (end < text.size() && IsWordCharacter(text[end])) Append(text[end++]);
    Word(text.substr(at, end - at));
    return end;
  }
  Append(c);
  if (c == ';') {
    Semicolon();
  } else if (c == '\'' || c == '"' || c == '`' || c == '[') {
    OtherToken();
    token_ = Token::kQuoted;
    quote_end_ = c == '[' ? ']' : c;
  } else if (!IsBlank(c)) {
    OtherToken();
  }
  line_ += c == '\n';
  return at + 1;
}

void StatementSplitter::Feed(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    at = token_ == Token::kNone ? StartToken(text, at) : ContinueToken(text, at);
  }
}

std::optional<Statement> StatementSplitter::Next() {
  if (complete_.empty()) return std::nullopt;
  Statement statement = std::move(complete_.front());
  complete_.pop_front();
  return statement;
}

std::optional<Statement> StatementSplitter::Rest() {
  std::optional<Statement> rest;
  if (!text_.empty() && progress_ != Progress::kStart) rest = Statement{text_, text_line_};
  text_.clear();
  token_ = Token::kNone;
  progress_ = Progress::kStart;
  return rest;
}

bool BeginsWith(std::string_view statement, std::string_view keyword) {
  return statement.size() >= keyword.size() &&
         EqualsIgnoringCase(statement.substr(0, keyword.size()), keyword) &&
         (statement.size() == keyword.size() || !IsWordCharacter(statement[keyword.size()]));
}

}  // namespace sextant::cli
