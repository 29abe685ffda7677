// See command.h.
#include "tests/integration/command.h"

#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "common/base/text.h"
#include "common/testing/temporary_folder.h"

namespace sextant::testing {
namespace {

std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

CommandResult RunCommand(const std::string& command) {
  const TemporaryFolder folder;
  const std::string out = folder.path() + "/out", err = folder.path() + "/err";
  const int status = std::system(Text("( ", command, " ) </dev/null >", out, " 2>", err).c_str());
  const int exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {exit_code, Slurp(out), Slurp(err)};
}

std::string BinaryPath(const std::string& name) { return std::string(SEXTANT_BIN_DIR "/") + name; }

}  // namespace sextant::testing
