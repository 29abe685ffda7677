// BuildInfo: which sources a simulator was built from, and which of its rules were broken on
// purpose.
#pragma once

namespace sextant::simulation {

const char* CommitOfSources();  // "unknown" outside of a Git checkout
const char* MutantName();       // "" for the true one

}  // namespace sextant::simulation
