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

// A new empty folder under the system's temporary one, removed by the destructor unless kept.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  // Leaves it there: after a failure, for whoever looks into it.
  void Keep() { is_kept_ = true; }

 private:
  std::string path_;
  bool is_kept_ = false;
};

}  // namespace sextant::testing
