// `sextant sql`: flags of the shell, and where its text comes from.
#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <thread>

#include "cli/command/cluster_status.h"
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
};

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
    ASSIGN_OR_RETURN(const std::vector<std::string> endpoints, ComputeEndpoints(options));
    return client::Client(endpoints).NewCalls(
        {.connect_patience = absl::Milliseconds(flags.connect_timeout_ms)});
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
