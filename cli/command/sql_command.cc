// `sextant sql`: flags of the shell, and where its text comes from.
#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "cli/command/cluster_status.h"
#include "cli/command/compute_nodes.h"
#include "cli/command/context.h"
#include "cli/sql/prompt.h"
#include "cli/sql/shell.h"
#include "cli/status/draw.h"
#include "client/session.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

struct SqlFlags {
  std::vector<std::string> statements;  // -e
  std::string file;
  std::string mode;
  RunOptions run;
  int connect_timeout_ms = 3000;
  int patience_ms = 30'000;
  std::string reads_from = "writer";
  std::string node;
  uint64_t min_lsn = 0;
};

// An LSN, an RFC 3339 time, or a time before now: "-30s", "-1m30s".
void SetAsOf(const std::string& text, RunOptions* run) {
  uint64_t lsn = 0;  // SimpleAtoi leaves something in it where it fails: 2026 of a time
  absl::Time time;
  absl::Duration ago;
  std::string error;
  if (absl::SimpleAtoi(text, &lsn) && lsn > 0) {
    run->as_of_lsn = lsn;
    return;
  }
  if (text.starts_with("-") && absl::ParseDuration(text, &ago)) {
    time = absl::Now() + ago;
  } else if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    throw CLI::ValidationError("--as-of",
                               Text("'", text,
                                    "' is no LSN, no time like 2026-11-22T13:45:00Z, and no time "
                                    "before now like -30s"));
  }
  run->as_of_time_us = absl::ToUnixMicros(time);
}

client::SessionOptions SessionOptionsOf(const SqlFlags& flags) {
  client::SessionOptions options;
  options.connect_patience = absl::Milliseconds(flags.connect_timeout_ms);
  options.patience = absl::Milliseconds(flags.patience_ms);
  options.token = flags.min_lsn;
  options.preference = !flags.node.empty()            ? client::Preference::kOnly
                       : flags.reads_from == "reader" ? client::Preference::kReader
                       : flags.reads_from == "any"    ? client::Preference::kAny
                                                      : client::Preference::kWriter;
  return options;
}

std::string StatusText(const GlobalOptions& options) {
  const absl::StatusOr<ClusterPicture> picture = GatherPicture(options);
  if (!picture.ok()) return std::string(View(picture.status().message())) + "\n";
  return DrawCluster(*picture, StyleOfStdout());
}

ShellOptions MakeShellOptions(const GlobalOptions& options, const SqlFlags& flags) {
  ShellOptions shell;
  shell.run = flags.run;
  shell.run.print.mode = !flags.mode.empty()          ? flags.mode
                         : options.json()             ? "json"
                         : isatty(STDOUT_FILENO) == 1 ? "table"
                                                      : "list";
  shell.status_text = [options] { return StatusText(options); };
  shell.connect = [options, flags]() -> absl::StatusOr<std::unique_ptr<client::SqlCalls>> {
    if (!flags.node.empty()) {
      ASSIGN_OR_RETURN(const std::string address, AddressOfNode(options, flags.node));
      return client::Client({address}).NewCalls(SessionOptionsOf(flags));
    }
    ASSIGN_OR_RETURN(const std::vector<std::string> endpoints, ComputeEndpoints(options));
    return client::Client(endpoints).NewCalls(SessionOptionsOf(flags));
  };
  return shell;
}

// Ctrl-C ends the statement under way, or the shell where none is. A thread of its own waits for
// the signal: no handler could do either safely.
void WatchForInterrupts(Shell* shell) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  std::thread([shell, interrupt] {
    for (int signal = 0; sigwait(&interrupt, &signal) == 0;) {
      if (shell->runner().Interrupt()) continue;
      Prompt::RestoreTerminal();
      _exit(130);
    }
  }).detach();
}

int RunPrompt(const GlobalOptions& options, const SqlFlags& flags) {
  std::cout << "Sextant SQL shell. Statements end with a semicolon; .help lists commands, .quit "
               "leaves.\n";
  sigset_t interrupt;  // blocked here and in every thread to come
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);
  static Shell* const shell = new Shell(MakeShellOptions(options, flags));  // outlives the watcher
  WatchForInterrupts(shell);
  shell->RunInteractively();
  return kExitOk;
}

int RunSql(const GlobalOptions& options, const SqlFlags& flags) {
  // Tell of a missing cluster before reading anything.
  if (const auto endpoints = ComputeEndpoints(options); !endpoints.ok()) {
    return Fail(endpoints.status());
  }
  const bool reads_input = flags.statements.empty();
  if (reads_input && flags.file.empty() && isatty(STDIN_FILENO) == 1)
    return RunPrompt(options, flags);
  Shell shell(MakeShellOptions(options, flags));
  for (const std::string& text : flags.statements) {
    if (!shell.is_done()) shell.RunText(text);
  }
  if ((reads_input || !flags.file.empty()) && !shell.is_done()) {
    const absl::Status status = shell.RunFile(flags.file.empty() ? "-" : flags.file);
    if (!status.ok()) return Fail(status);
  }
  std::cout.flush();
  const absl::Status result = shell.result();
  if (absl::IsUnavailable(result)) {
    std::cerr << "hint: `sextant cluster status` shows what runs\n";
  }
  return ExitCodeOf(result);
}

}  // namespace

void AddSqlCommand(CLI::App* app, Cli* cli) {
  static SqlFlags flags;  // lives as long as the callbacks that read it
  CLI::App* noun = app->add_subcommand(
      "sql", "Runs SQL from -e, a file or standard input; on a terminal it is a shell.");
  AddGlobalOptions(noun, &cli->options, Reach::kAnyCluster);
  noun->add_option("-e,--execute", flags.statements, "Runs these statements; may be given again.")
      ->type_name("SQL")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->expected(1)
      ->allow_extra_args(false);
  noun->add_option("file", flags.file, "Runs the statements in this file (- for standard input).");
  noun->add_option("--mode", flags.mode,
                   "Prints rows in this form [table on a terminal, else list].")
      ->envname("SEXTANT_MODE")
      ->check(CLI::IsMember(PrintModes()));
  noun->add_flag("--headers", flags.run.print.headers,
                 "Shows column names (list, csv, tabs, quote).");
  noun->add_option("--separator", flags.run.print.separator, "Stands between values in list mode.")
      ->capture_default_str();
  noun->add_option("--nullvalue", flags.run.print.null, "Shows this for NULL.")->type_name("TEXT");
  noun->add_flag("--bail", flags.run.bail, "Stops after the first error.");
  noun->add_flag("--show-lsn", flags.run.show_lsn,
                 "Shows each statement's commit LSN on standard error.");
  noun->add_option("--reads-from", flags.reads_from,
                   "Reads on the writer, on a reader, or on any node; writes go to the writer.")
      ->check(CLI::IsMember({"writer", "reader", "any"}))
      ->capture_default_str();
  noun->add_option("--node", flags.node, "Talks to the compute node of this name, and no other.");
  noun->add_option("--min-lsn", flags.min_lsn,
                   "Reads nothing older than this LSN, as --show-lsn told it.");
  noun->add_option_function<std::string>(
          "--as-of", [](const std::string& text) { SetAsOf(text, &flags.run); },
          "Reads the database as it was: at an LSN, at a time (2026-11-22T13:45:00Z), or before "
          "now "
          "(-30s).")
      ->type_name("LSN|TIME");
  noun->add_option("--patience-ms", flags.patience_ms,
                   "Looks for the writer and repeats what is safe for so long, where it moves.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  noun->add_option("--timeout-ms", flags.run.timeout_ms,
                   "Waits at most so long for a commit; 0 is the server's default.")
      ->envname("SEXTANT_TIMEOUT_MS")
      ->capture_default_str();
  noun->add_option("--connect-timeout-ms", flags.connect_timeout_ms,
                   "Waits at most so long for a compute node to answer.")
      ->capture_default_str();
  noun->callback([cli] { cli->run = [cli] { return RunSql(cli->options, flags); }; });
}

}  // namespace sextant::cli
