// The table of dot commands, and those that take a few lines.
#include "cli/sql/dot_commands.h"

#include <algorithm>
#include <functional>

#include "cli/sql/shell.h"
#include "cli/sql/value_text.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

using Words = std::vector<std::string>;  // [0] is the command itself
using Handler = absl::Status (*)(Shell*, const Words&);

struct DotCommand {
  const char* name;  // without the dot
  const char* arguments;
  const char* help;
  size_t least, most;  // arguments
  Handler run;
};

absl::Status Usage(const std::string& text) { return absl::InvalidArgumentError(text); }

absl::Status SetBool(const std::string& word, bool* value) {
  if (word == "on" || word == "yes" || word == "1" || word == "true") {
    *value = true;
  } else if (word == "off" || word == "no" || word == "0" || word == "false") {
    *value = false;
  } else {
    return Usage(Text("expected on or off, not '", word, "'"));
  }
  return absl::OkStatus();
}

std::string Argument(const Words& words, size_t index, const std::string& otherwise = "") {
  return words.size() > index ? words[index] : otherwise;
}

absl::Status Mode(Shell* shell, const Words& words) {
  PrintOptions& print = shell->run_options().print;
  if (words.size() == 1) {
    shell->out() << "current output mode: " << print.mode << "\n";
    return absl::OkStatus();
  }
  PrintOptions wanted = print;
  wanted.mode = words[1];
  wanted.row_end = words[1] == "csv" ? "\r\n" : "\n";
  wanted.insert_table = Argument(words, 2, "table");
  if (auto printer = MakeRowPrinter(wanted, &shell->out()); !printer.ok()) return printer.status();
  print = wanted;
  return absl::OkStatus();
}

// Names in columns of an 80-character screen, down first.
void PrintInColumns(const std::vector<std::string>& names, std::ostream* out) {
  size_t widest = 0;
  for (const std::string& name : names) widest = std::max(widest, name.size());
  const size_t columns = std::max<size_t>(1, 80 / (widest + 2));
  const size_t rows = (names.size() + columns - 1) / columns;
  for (size_t row = 0; row < rows; ++row) {
    for (size_t i = row; i < names.size(); i += rows) {
      *out << (i < rows ? "" : "  ") << names[i] << std::string(widest - names[i].size(), ' ');
    }
    *out << "\n";
  }
}

absl::Status ListNames(Shell* shell, const std::string& sql, const std::string& pattern) {
  std::vector<std::string> names;
  const absl::Status status =
      shell->runner().Query(sql, {pattern}, nullptr,
                            [&](const v1::Row& row) { names.push_back(PlainText(row.values(0))); });
  if (status.ok()) PrintInColumns(names, &shell->out());
  return status;
}

absl::Status Tables(Shell* shell, const Words& words) {
  return ListNames(shell,
                   "SELECT name FROM sqlite_schema WHERE type IN ('table','view') "
                   "AND name NOT LIKE 'sqlite_%' AND name LIKE ?1 ORDER BY 1",
                   Argument(words, 1, "%"));
}

absl::Status Indexes(Shell* shell, const Words& words) {
  return ListNames(
      shell, "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name LIKE ?1 ORDER BY 1",
      Argument(words, 1, "%"));
}

absl::Status Schema(Shell* shell, const Words& words) {
  return shell->runner().Query(
      "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND (name LIKE ?1 OR tbl_name LIKE ?1) "
      "ORDER BY rowid",
      {Argument(words, 1, "%")}, nullptr,
      [shell](const v1::Row& row) { shell->out() << PlainText(row.values(0)) << ";\n"; });
}

absl::Status Databases(Shell* shell, const Words&) {
  return shell->runner().Query(
      "SELECT name FROM pragma_database_list ORDER BY seq", {}, nullptr,
      [shell](const v1::Row& row) { shell->out() << PlainText(row.values(0)) << ": r/w\n"; });
}

absl::Status Read(Shell* shell, const Words& words) { return shell->RunFile(words[1]); }

absl::Status Print(Shell* shell, const Words& words) {
  for (size_t i = 1; i < words.size(); ++i) shell->out() << (i > 1 ? " " : "") << words[i];
  shell->out() << "\n";
  return absl::OkStatus();
}

absl::Status Timeout(Shell* shell, const Words& words) {
  const std::string& text = words[1];
  const bool is_number = !text.empty() && text.size() < 10 &&
                         text.find_first_not_of("0123456789") == std::string::npos;
  if (!is_number) return Usage(Text("expected milliseconds, not '", text, "'"));
  shell->run_options().timeout_ms = static_cast<uint32_t>(std::stoul(text));
  return absl::OkStatus();
}

absl::Status Show(Shell* shell, const Words&) {
  const RunOptions& run = shell->run_options();
  const auto on_off = [](bool value) { return value ? "on" : "off"; };
  shell->out() << "        bail: " << on_off(run.bail)
               << "\n     headers: " << on_off(run.print.headers)
               << "\n         lsn: " << on_off(run.show_lsn) << "\n        mode: " << run.print.mode
               << "\n   nullvalue: \"" << run.print.null << "\"\n   separator: \""
               << run.print.separator << "\"\n     timeout: " << run.timeout_ms
               << " ms\n       timer: " << on_off(run.show_time) << "\n";
  return absl::OkStatus();
}

absl::Status Help(Shell* shell, const Words& words);

const std::vector<DotCommand>& Commands() {
  using S = Shell;
  static const std::vector<DotCommand> commands = {
      {"bail", "on|off", "Stops after the first error", 1, 1,
       [](S* s, const Words& w) { return SetBool(w[1], &s->run_options().bail); }},
      {"databases", "", "Lists the databases", 0, 0, Databases},
      {"dump", "?TABLE?", "Prints the database as SQL", 0, 1,
       [](S* s, const Words& w) { return DumpDatabase(s, Argument(w, 1, "%")); }},
      {"exit", "", "Leaves the shell", 0, 1,
       [](S* s, const Words&) { return s->Quit(), absl::OkStatus(); }},
      {"headers", "on|off", "Shows column names (list, csv, tabs, quote)", 1, 1,
       [](S* s, const Words& w) { return SetBool(w[1], &s->run_options().print.headers); }},
      {"help", "?COMMAND?", "Lists these commands", 0, 1, Help},
      {"import", "FILE TABLE", "Loads a CSV file (--skip N: leave out its first N lines)", 2, 6,
       [](S* s, const Words& w) { return ImportCsv(s, Words(w.begin() + 1, w.end())); }},
      {"indexes", "?TABLE?", "Lists the indexes", 0, 1, Indexes},
      {"lsn", "on|off", "Shows each statement's commit LSN", 1, 1,
       [](S* s, const Words& w) { return SetBool(w[1], &s->run_options().show_lsn); }},
      {"mode", "?MODE?", "Sets how rows are printed", 0, 2, Mode},
      {"nullvalue", "TEXT", "Shows TEXT for NULL", 1, 1,
       [](S* s, const Words& w) { return s->run_options().print.null = w[1], absl::OkStatus(); }},
      {"output", "?FILE?", "Sends output to FILE, or back to standard output", 0, 1,
       [](S* s, const Words& w) { return s->SetOutput(Argument(w, 1)); }},
      {"print", "TEXT...", "Prints TEXT", 0, 1000, Print},
      {"quit", "", "Leaves the shell", 0, 0,
       [](S* s, const Words&) { return s->Quit(), absl::OkStatus(); }},
      {"read", "FILE", "Runs the statements in FILE", 1, 1, Read},
      {"schema", "?PATTERN?", "Prints the CREATE statements", 0, 1, Schema},
      {"separator", "TEXT", "Sets what stands between values in list mode", 1, 1,
       [](S* s, const Words& w) {
         return s->run_options().print.separator = w[1], absl::OkStatus();
       }},
      {"show", "", "Shows the settings", 0, 0, Show},
      {"status", "", "Shows the cluster", 0, 0,
       [](S* s, const Words&) { return s->out() << s->StatusText(), absl::OkStatus(); }},
      {"tables", "?PATTERN?", "Lists tables and views", 0, 1, Tables},
      {"timeout", "MS", "Waits at most MS for a commit (0: the server's default)", 1, 1, Timeout},
      {"timer", "on|off", "Shows how long each statement took", 1, 1,
       [](S* s, const Words& w) { return SetBool(w[1], &s->run_options().show_time); }},
  };
  return commands;
}

// The command called `name`, or the only one that begins with it.
const DotCommand* Find(const std::string& name) {
  const DotCommand* found = nullptr;
  for (const DotCommand& command : Commands()) {
    const std::string full = command.name;
    if (full == name) return &command;
    const bool is_prefix = name.size() >= 1 && full.compare(0, name.size(), name) == 0;
    if (is_prefix && found == nullptr) found = &command;
  }
  return found;
}

absl::Status Help(Shell* shell, const Words& words) {
  const DotCommand* only = words.size() > 1 ? Find(words[1]) : nullptr;
  for (const DotCommand& command : Commands()) {
    if (only != nullptr && only != &command) continue;
    std::string usage = Text(".", command.name, " ", command.arguments);
    usage.resize(std::max<size_t>(usage.size(), 24), ' ');
    shell->out() << usage << " " << command.help << "\n";
  }
  return absl::OkStatus();
}

char Unescaped(char c) { return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c; }

}  // namespace

std::vector<std::string> SplitWords(const std::string& line) {
  Words words;
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  for (size_t i = 0; i < line.size();) {
    if (is_blank(line[i])) {
      ++i;
      continue;
    }
    std::string word;
    if (line[i] == '\'' || line[i] == '"') {
      const char quote = line[i++];
      for (; i < line.size() && line[i] != quote; ++i) {
        const bool escapes = quote == '"' && line[i] == '\\' && i + 1 < line.size();
        word += escapes ? Unescaped(line[++i]) : line[i];
      }
      ++i;
    } else {
      while (i < line.size() && !is_blank(line[i])) word += line[i++];
    }
    words.push_back(word);
  }
  return words;
}

void RunDotCommand(Shell* shell, const std::string& line) {
  const Words words = SplitWords(line.substr(1));
  if (words.empty()) return shell->Fail("a dot and no command: .help lists them");
  const DotCommand* command = Find(words[0]);
  if (command == nullptr) {
    return shell->Fail(Text("there is no command .", words[0], ": .help lists them"));
  }
  if (words.size() - 1 < command->least || words.size() - 1 > command->most) {
    return shell->Fail(Text("usage: .", command->name, " ", command->arguments));
  }
  const absl::Status status = command->run(shell, words);
  shell->out().flush();
  if (!status.ok()) shell->Fail(std::string(View(status.message())));
}

}  // namespace sextant::cli
