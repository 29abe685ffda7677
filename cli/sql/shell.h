// Shell: `sextant sql`, in the manner of the sqlite3 shell. Reads text, runs statements and dot
// commands.
#pragma once

#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/sql/line_reader.h"
#include "cli/sql/statement_runner.h"
#include "cli/sql/statement_splitter.h"

namespace sextant::cli {

struct ShellOptions {
  RunOptions run;
  StatementRunner::Connect connect;
  std::function<std::string()> status_text;  // what .status prints
  std::ostream* out = &std::cout;
  std::ostream* err = &std::cerr;
};

class Shell {
 public:
  explicit Shell(ShellOptions options);

  // Runs everything in `text`, as given with -e.
  void RunText(const std::string& text);
  // Runs a file, or standard input for "-". Shows progress on standard error if that is a terminal.
  absl::Status RunFile(const std::string& path);
  // Prompts until .quit or the end of the input.
  void RunInteractively();

  // How it went: OK or the worst error.
  absl::Status result() const;
  bool is_done() const { return is_quit_ || (!is_interactive_ && runner_.is_stopped()); }

  // --- for dot commands
  RunOptions& run_options() { return options_.run; }
  StatementRunner& runner() { return runner_; }
  std::ostream& out() { return file_out_ ? *file_out_ : *options_.out; }
  std::ostream& err() { return *options_.err; }
  std::string StatusText() { return options_.status_text(); }
  // Sends output to a file from now on; back to standard output for an empty path.
  absl::Status SetOutput(const std::string& path);
  void Quit() { is_quit_ = true; }
  void Fail(const std::string& message);

 private:
  // One line with its line end; `is_last` where no more follows.
  void TakeLine(const std::string& line, bool names_lines);
  void RunReader(LineReader* reader, uint64_t total_bytes);
  void QueueStatements(bool names_lines);
  void FinishInput(bool names_lines);

  ShellOptions options_;
  std::unique_ptr<std::ofstream> file_out_;
  StatementRunner runner_;
  StatementSplitter splitter_;
  bool is_interactive_ = false;
  bool is_quit_ = false;
  bool has_dot_error_ = false;
};

}  // namespace sextant::cli
