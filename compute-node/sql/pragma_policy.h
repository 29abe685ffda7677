// Which PRAGMAs a volume accepts: those that would change how pages reach the log are refused.
#pragma once

#include <string>
#include <string_view>

namespace sextant::sql {

struct PragmaVerdict {
  enum Kind {
    kPass,    // SQLite does what it always does
    kAnswer,  // done: `text` is the result
    kRefuse,  // an error: `text` says why and what to do instead
  };
  Kind kind = kPass;
  std::string text;
};

// `value` is null for `PRAGMA name`. Names are compared without case.
PragmaVerdict JudgePragma(std::string_view name, const char* value);

}  // namespace sextant::sql
