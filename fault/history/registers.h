// Judges a history of single registers: is it linearizable? Core.
//
// Each register by itself (linearizability is local: Herlihy and Wing, TOPLAS'90), by the search of
// Wing and Gong with Lowe's memory of states seen (2017): linearize whatever has begun before the
// next completion, take it back where that leads nowhere. A write of unknown outcome may come
// anywhere after its invocation, or never.
#pragma once

#include <vector>

#include "fault/history/history.h"

namespace sextant::fault {

// At most one anomaly a register, "not-linearizable", with the operation that could not be placed.
// "undecided": a register with more overlapping operations than the search may look through.
std::vector<Anomaly> CheckRegisters(const std::vector<RegisterOp>& history);

}  // namespace sextant::fault
