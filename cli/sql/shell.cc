// The shell's three sources of text: -e, files, the prompt.
#include "cli/sql/shell.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/sql/dot_commands.h"
#include "cli/sql/progress_meter.h"
#include "cli/sql/prompt.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {

Shell::Shell(ShellOptions options)
    : options_(std::move(options)),
      runner_(options_.connect, &options_.run, options_.out, options_.err) {}

void Shell::QueueStatements(bool names_lines) {
  while (std::optional<Statement> statement = splitter_.Next()) {
    QueuedStatement queued;
    queued.sql.set_sql(std::move(statement->text));
    if (names_lines) queued.place = Text("near line ", statement->line);
    runner_.Add(std::move(queued));
  }
}

void Shell::TakeLine(const std::string& line, bool names_lines) {
  if (!splitter_.IsInsideStatement() && !line.empty() && line[0] == '.') {
    runner_.Flush();
    if (!is_done()) RunDotCommand(this, line);
    splitter_.Feed("\n");  // it counts as a line
    return;
  }
  const bool is_crlf = line.size() >= 2 && line.compare(line.size() - 2, 2, "\r\n") == 0;
  splitter_.Feed(is_crlf ? line.substr(0, line.size() - 2) + "\n" : line);  // as sqlite3 does
  QueueStatements(names_lines);
}

void Shell::FinishInput(bool names_lines) {
  if (std::optional<Statement> rest = splitter_.Rest()) {
    QueuedStatement queued;
    queued.sql.set_sql(std::move(rest->text));
    if (names_lines) queued.place = Text("near line ", rest->line);
    runner_.Add(std::move(queued));
  }
  runner_.Flush();
  splitter_ = StatementSplitter();
}

void Shell::RunText(const std::string& text) {
  size_t start = 0;
  while (start < text.size() && !is_done()) {
    const size_t end = text.find('\n', start);
    const size_t next = end == std::string::npos ? text.size() : end + 1;
    TakeLine(text.substr(start, next - start), /*names_lines=*/false);
    start = next;
  }
  FinishInput(/*names_lines=*/false);
}

void Shell::RunReader(LineReader* reader, uint64_t total_bytes) {
  // A file inside a file (.read) has lines of its own.
  StatementSplitter outer = std::move(splitter_);
  splitter_ = StatementSplitter();
  ProgressMeter meter(total_bytes);
  runner_.set_on_progress(
      [&](const RunCounters& counters) { meter.Show(counters.statements, reader->bytes_read()); });
  std::string line;
  while (!is_done() && reader->Next(&line)) {
    TakeLine(line, /*names_lines=*/true);
    // Whoever writes to us may wait for an answer before writing on.
    if (!reader->HasMoreNow()) runner_.Flush();
  }
  FinishInput(/*names_lines=*/true);
  runner_.set_on_progress(nullptr);
  splitter_ = std::move(outer);
}

absl::Status Shell::RunFile(const std::string& path) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::NotFoundError(Text("cannot open ", path, ": ", std::strerror(errno)));
  struct stat info {};
  const bool is_file = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  if (S_ISDIR(info.st_mode)) return absl::InvalidArgumentError(Text(path, " is a folder"));
  LineReader reader(fd);
  RunReader(&reader, is_file ? static_cast<uint64_t>(info.st_size) : 0);
  if (path != "-") close(fd);
  return absl::OkStatus();
}

void Shell::RunInteractively() {
  is_interactive_ = true;
  Prompt prompt;
  std::string line;
  while (!is_quit_) {
    const char* text = splitter_.IsInsideStatement() ? "    ...> "
                       : runner_.in_transaction()    ? "sextant*> "
                                                     : "sextant> ";
    if (!prompt.ReadLine(text, &line)) break;
    TakeLine(line + "\n", /*names_lines=*/false);
    runner_.Flush();
    runner_.Resume();
  }
}

absl::Status Shell::SetOutput(const std::string& path) {
  if (path.empty() || path == "stdout") {
    file_out_ = nullptr;
  } else {
    auto file = std::make_unique<std::ofstream>(path);
    if (!*file)
      return absl::UnavailableError(Text("cannot write ", path, ": ", std::strerror(errno)));
    file_out_ = std::move(file);
  }
  runner_.set_out(&out());
  return absl::OkStatus();
}

void Shell::Fail(const std::string& message) {
  err() << "Error: " << message << std::endl;
  has_dot_error_ = true;
  if (options_.run.bail && !is_interactive_) is_quit_ = true;
}

absl::Status Shell::result() const {
  if (is_interactive_) return absl::OkStatus();
  if (runner_.worst().ok() && has_dot_error_) return absl::UnknownError("a dot command failed");
  return runner_.worst();
}

}  // namespace sextant::cli
