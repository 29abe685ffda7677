// The scenarios of the traditional path, beside those that they are compared with. Internal to
// scenario/.
#pragma once

#include <vector>

#include "fault/scenario/scenario.h"

namespace sextant::fault {

std::vector<Scenario> BinlogScenarios();

}  // namespace sextant::fault
