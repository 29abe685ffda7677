// The config file of `sextant`: YAML whose keys are long flag names ("dir: /srv/cluster").
#pragma once

#include "absl/status/status.h"

namespace sextant::cli {

// Reads the file named by --config in `argv` or by SEXTANT_CONFIG, and puts each value into the
// environment as SEXTANT_<KEY> unless it is there already. Flags are asked before the environment,
// so that flag > environment > config file. INVALID_ARGUMENT: no such file, or not such a map.
absl::Status LoadConfigIntoEnvironment(int argc, const char* const* argv);

}  // namespace sextant::cli
