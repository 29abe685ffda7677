// `sextant version` and `sextant completion bash`.
#include <iostream>

#include "absl/strings/str_join.h"
#include "cli/command/context.h"
#include "common/base/text.h"
#include "common/rpc/flags.h"

namespace sextant::cli {
namespace {

// One case per command path: its verbs, or its flags.
void PrintCases(CLI::App* app, const std::string& path) {
  std::vector<std::string> words;
  for (CLI::App* child : app->get_subcommands([](CLI::App*) { return true; })) {
    words.push_back(child->get_name());
  }
  for (const CLI::Option* option : app->get_options()) {
    for (const std::string& name : option->get_lnames()) words.push_back("--" + name);
  }
  std::cout << "    \"" << path << "\") words=\"" << absl::StrJoin(words, " ") << "\" ;;\n";
  for (CLI::App* child : app->get_subcommands([](CLI::App*) { return true; })) {
    PrintCases(child, path + " " + child->get_name());
  }
}

int PrintBashCompletion(CLI::App* app) {
  std::cout
      << "# Completion of `sextant` for bash. Use: source <(sextant completion bash)\n"
         "_sextant() {\n"
         "  local word path=sextant words=\"\" i\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" before=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=\"${COMP_WORDS[i]}\"\n"
         "    [[ \"$word\" == [a-z]* && \"${COMP_WORDS[i-1]}\" != --* ]] && path+=\" $word\"\n"
         "  done\n"
         "  case \"$path\" in\n"
         "    \"sextant cluster kill\"* | \"sextant cluster start\"* | \"sextant cluster pause\"* "
         "| "
         "\"sextant cluster resume\"*)\n"
         "      words=\"az1 az2 az3 az1-a az1-b az2-a az2-b az3-a az3-b writer all --dir "
         "--output\" ;;\n";
  PrintCases(app, "sextant");
  std::cout << "  esac\n"
               "  case \"$before\" in\n"
               "    --output) words=\"table json\" ;;\n"
               "    --mode) words=\"list table csv json column line box markdown quote\" ;;\n"
               "    --dir | --config) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
               "  esac\n"
               "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
               "}\n"
               "complete -o default -F _sextant sextant\n";
  return kExitOk;
}

}  // namespace

void AddMiscCommands(CLI::App* app, Cli* cli) {
  CLI::App* version = app->add_subcommand("version", "Prints the version.");
  version->callback([cli] {
    cli->run = [] {
      std::cout << rpc::VersionLine("sextant") << "\n";
      return kExitOk;
    };
  });
  CLI::App* completion =
      app->add_subcommand("completion", "Prints a completion script for a shell.");
  completion->require_subcommand(1);
  CLI::App* bash =
      completion->add_subcommand("bash", "For bash: source <(sextant completion bash).");
  bash->callback([app, cli] { cli->run = [app] { return PrintBashCompletion(app); }; });
}

}  // namespace sextant::cli
