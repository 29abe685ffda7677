// Judges a list-append history: is there one order of all transactions that explains every read?
// Core.
//
// Serializability, with session order for all and real time for the strict ones, so for a writer's
// clients alone it is strict serializability (Elle: Kingsbury and Alvaro, VLDB'20). Checked without
// search: the longest read of a key tells the order of its versions, hence every dependency; a
// cycle of dependencies is what no order can explain.
//
// And by LSN, which says more: a transaction that was told its LSN must have seen exactly what was
// committed at or below it, whoever answered (docs/PROTOCOL.md, "Readers").
#pragma once

#include <vector>

#include "fault/history/history.h"

namespace sextant::fault {

// What is wrong, at most a few of each kind. Empty: explained.
//   malformed           the workload itself is at fault: a value appended twice
//   duplicate-elements  a list holds a value twice
//   phantom             a list holds a value that nobody appended
//   G1a                 ... or that an aborted transaction appended
//   G1b                 a list ends in the middle of another transaction
//   internal            a transaction's own steps contradict each other
//   incompatible-order  two reads of a list, neither a prefix of the other
//   G0 ... G2-realtime  a cycle (dependency_graph.h); a lost append is a "G-single-realtime": it
//                       completed before a transaction that read what it should have overwritten
//   lsn-order           a read at an LSN saw more or less than what was committed at or below it;
//                       where LSNs are not exact: more
//   session-lsn         a session's LSN went back
std::vector<Anomaly> CheckListAppend(const std::vector<ListTransaction>& history);

}  // namespace sextant::fault
