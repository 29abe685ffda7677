// Runs the project's binaries and other commands as a user would, and keeps what they print.
#pragma once

#include <string>

namespace sextant::testing {

struct CommandResult {
  int exit_code = 0;  // 128 + signal where a signal ended it
  std::string output;
  std::string errors;
};

// Runs `command` with /bin/sh, with no standard input, and waits for it.
CommandResult RunCommand(const std::string& command);

// Path of a binary in build/bin.
std::string BinaryPath(const std::string& name);

}  // namespace sextant::testing
