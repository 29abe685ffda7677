// Dot commands of the shell: .tables, .mode, .import, ... after those of the sqlite3 shell.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sextant::cli {

class Shell;

// Runs one line that begins with a dot. Errors go to Shell::Fail.
void RunDotCommand(Shell* shell, const std::string& line);

// Words of a line: parted by blanks; '...' as it stands, "..." with \n \t \" \\ escapes. Pure.
std::vector<std::string> SplitWords(const std::string& line);

// .dump and .import, in files of their own.
absl::Status DumpDatabase(Shell* shell, const std::string& table_pattern);
absl::Status ImportCsv(Shell* shell, const std::vector<std::string>& arguments);

}  // namespace sextant::cli
