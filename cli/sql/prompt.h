// Prompt: lines from a terminal, with editing and history (libedit).
#pragma once

#include <string>

namespace sextant::cli {

// History is kept in $SEXTANT_HISTORY or ~/.sextant_history.
class Prompt {
 public:
  Prompt();
  ~Prompt();
  Prompt(const Prompt&) = delete;
  Prompt& operator=(const Prompt&) = delete;
  // False at the end of the input (Ctrl-D).
  bool ReadLine(const char* prompt, std::string* line);
  // Takes the terminal out of line editing, for an end in the middle of it.
  static void RestoreTerminal();

 private:
  std::string history_file_;
};

}  // namespace sextant::cli
