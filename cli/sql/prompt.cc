// Prompt over libedit's readline interface.
#include "cli/sql/prompt.h"

#include <editline/readline.h>

#include <cstdio>  // libedit's header wants it first on some systems
#include <cstdlib>
#include <iostream>

namespace sextant::cli {
namespace {

constexpr int kHistoryLines = 2000;

std::string HistoryFile() {
  if (const char* path = std::getenv("SEXTANT_HISTORY"); path != nullptr) return path;
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : std::string(home) + "/.sextant_history";
}

}  // namespace

Prompt::Prompt() : history_file_(HistoryFile()) {
  using_history();
  stifle_history(kHistoryLines);
  if (!history_file_.empty()) read_history(history_file_.c_str());
}

Prompt::~Prompt() {
  if (!history_file_.empty()) write_history(history_file_.c_str());
}

bool Prompt::ReadLine(const char* prompt, std::string* line) {
  std::cout.flush();
  char* text = readline(prompt);
  if (text == nullptr) {
    std::cout << std::endl;
    return false;
  }
  *line = text;
  std::free(text);
  if (!line->empty()) add_history(line->c_str());
  return true;
}

void Prompt::RestoreTerminal() {
  rl_deprep_terminal();
  std::cout << std::endl;
}

}  // namespace sextant::cli
