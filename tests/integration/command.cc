// See command.h.
#include "tests/integration/command.h"

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/check.h"
#include "common/base/text.h"

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

TemporaryFolder::TemporaryFolder() {
  path_ = (std::filesystem::temp_directory_path() / "sextant-test-XXXXXX").string();
  SEXTANT_CHECK(mkdtemp(path_.data()) != nullptr) << path_;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!is_kept_) std::filesystem::remove_all(path_, ignored);
}

}  // namespace sextant::testing
