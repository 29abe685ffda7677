// DependencyGraph: which transaction must come before which, and the cycles that forbid any order.
// Core.
//
// Adya's graph (MIT PhD thesis 1999, chapter 3) with two more kinds of edges, session order and
// real time. Real time is not an edge per pair: every completion is a node on a time line, so that
// n transactions cost about 3 n edges (as Elle does it).
#pragma once

#include <cstdint>
#include <vector>

#include "fault/history/history.h"

namespace sextant::fault {

enum class Edge : uint8_t {
  kWriteWrite,  // overwrote what the other one wrote
  kWriteRead,   // read what the other one wrote
  kReadWrite,   // overwrote what the other one had read
  kSession,
  kRealTime,
};

class DependencyGraph {
 public:
  struct Step {
    size_t from, to;  // transactions
    Edge edge;        // kRealTime: the one completed before the other was invoked
  };
  using Cycle = std::vector<Step>;

  explicit DependencyGraph(size_t transactions) : out_(transactions), transactions_(transactions) {}

  void Add(size_t from, size_t to, Edge edge);
  struct Span {
    size_t transaction;
    Nanos invoked, completed;
  };
  // Orders each of them after those that completed before it was invoked.
  void AddRealTime(const std::vector<Span>& spans);

  // A shortest cycle of every knot (strongly connected component), that with the fewest kinds of
  // edges that can be found: first those of writes alone, then with reads, then all.
  std::vector<Cycle> FindCycles() const;
  // "G0", "G1c", "G-single", "G2", with "-session" or "-realtime".
  static std::string NameOf(const Cycle& cycle);

 private:
  struct Out {
    size_t to;
    Edge edge;
  };
  // Component numbers by node, over edges up to `most`; nodes alone in theirs have none (SIZE_MAX).
  std::vector<size_t> Components(unsigned kinds) const;
  Cycle ShortestThrough(size_t start, const std::vector<size_t>& component, unsigned kinds) const;

  std::vector<std::vector<Out>> out_;  // by node: the transactions, then the time line
  size_t transactions_;
};

}  // namespace sextant::fault
