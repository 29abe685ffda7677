// See fault_testing.h.
#include "tests/fault/fault_testing.h"

#include <cstdlib>
#include <iostream>

namespace sextant::testing {
namespace {

int NumberFromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

fault::RunOptions ShortRun(const std::string& directory) {
  setenv("SEXTANT_BIN_DIR", SEXTANT_BIN_DIR, /*overwrite=*/1);
  fault::RunOptions options;
  options.directory = directory;
  options.duration = absl::Seconds(3);
  options.seed = static_cast<uint64_t>(NumberFromEnvironment("SEXTANT_SEED", 1));
  options.rounds = NumberFromEnvironment("SEXTANT_ROUNDS", 1);
  options.say = [](const std::string& line) { std::cout << line << std::endl; };
  return options;
}

}  // namespace sextant::testing
