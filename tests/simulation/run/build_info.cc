// See build_info.h. A file of its own: it is all that is compiled again for each commit and mutant.
#include "tests/simulation/run/build_info.h"

namespace sextant::simulation {

const char* CommitOfSources() { return SEXTANT_COMMIT; }
const char* MutantName() { return SEXTANT_MUTANT; }

}  // namespace sextant::simulation
