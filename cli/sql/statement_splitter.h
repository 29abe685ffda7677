// StatementSplitter: cuts a stream of SQL text into statements, with the line each begins on. Pure.
//
// Follows the rules of sqlite3_complete(): a statement ends at a semicolon outside of strings,
// quoted names and comments; inside CREATE TRIGGER it ends at "; END ;".
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace sextant::cli {

struct Statement {
  std::string text;  // without leading blanks and comments; with its semicolon, if it had one
  int line = 0;      // 1-based, of its first character
};

class StatementSplitter {
 public:
  // Takes more text; a token must not be cut in two, so feed whole lines with their line ends.
  void Feed(std::string_view text);
  // The next complete statement, in order.
  std::optional<Statement> Next();
  // What was begun and not ended by a semicolon, for the end of the input; empties the splitter.
  std::optional<Statement> Rest();
  // Whether a statement, a string or a comment has been begun. A dot command can stand where not.
  bool IsInsideStatement() const { return token_ != Token::kNone || !text_.empty(); }
  // Lines fed so far, complete ones.
  int lines() const { return line_ - 1; }

 private:
  // Which multi-character token the text fed so far ends in.
  enum class Token { kNone, kQuoted, kBlockComment, kLineComment };
  // How far a statement has come, as far as it matters for where it ends.
  enum class Progress {
    kStart,
    kExplain,
    kCreate,
    kOther,
    kTrigger,
    kTriggerSemicolon,
    kTriggerEnd
  };

  void Append(char c);
  void Word(std::string_view word);
  void OtherToken();
  void Semicolon();
  size_t ContinueToken(std::string_view text, size_t at);
  size_t StartToken(std::string_view text, size_t at);

  std::string text_;  // of the statement under way
  int text_line_ = 0;
  int line_ = 1;
  Token token_ = Token::kNone;
  char quote_end_ = 0;
  Progress progress_ = Progress::kStart;
  std::deque<Statement> complete_;
};

// Whether a statement begins with `keyword` (lower case), comments and blanks skipped by the
// splitter.
bool BeginsWith(std::string_view statement, std::string_view keyword);

}  // namespace sextant::cli
