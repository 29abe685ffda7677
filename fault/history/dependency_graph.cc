// See dependency_graph.h.
#include "fault/history/dependency_graph.h"

#include <algorithm>
#include <deque>
#include <set>

#include "common/base/check.h"

namespace sextant::fault {
namespace {

constexpr size_t kNone = SIZE_MAX;

constexpr unsigned Bit(Edge edge) { return 1u << static_cast<unsigned>(edge); }
constexpr unsigned kAllKinds = 0b11111;
// In the order of how bad a cycle of them is.
constexpr unsigned kSearches[] = {
    Bit(Edge::kWriteWrite),
    Bit(Edge::kWriteWrite) | Bit(Edge::kWriteRead),
    Bit(Edge::kWriteWrite) | Bit(Edge::kWriteRead) | Bit(Edge::kReadWrite),
    kAllKinds & ~Bit(Edge::kRealTime),
    kAllKinds,
};

}  // namespace

void DependencyGraph::Add(size_t from, size_t to, Edge edge) {
  SEXTANT_CHECK(from < transactions_ && to < transactions_);
  if (from != to) out_[from].push_back({to, edge});
}

void DependencyGraph::AddRealTime(const std::vector<Span>& spans) {
  std::vector<Span> by_completion, by_invocation = spans;
  for (const Span& span : spans) {
    if (span.completed != kNever) by_completion.push_back(span);
  }
  std::sort(by_completion.begin(), by_completion.end(),
            [](const Span& a, const Span& b) { return a.completed < b.completed; });
  std::sort(by_invocation.begin(), by_invocation.end(),
            [](const Span& a, const Span& b) { return a.invoked < b.invoked; });
  const size_t line = out_.size();
  out_.resize(line + by_completion.size());
  for (size_t i = 0; i < by_completion.size(); ++i) {
    out_[by_completion[i].transaction].push_back({line + i, Edge::kRealTime});
    if (i > 0) out_[line + i - 1].push_back({line + i, Edge::kRealTime});
  }
  size_t completed = 0;
  for (const Span& span : by_invocation) {
    while (completed < by_completion.size() && by_completion[completed].completed < span.invoked) {
      ++completed;
    }
    if (completed > 0) out_[line + completed - 1].push_back({span.transaction, Edge::kRealTime});
  }
}

// Tarjan's algorithm, with a stack of its own: a history may be a hundred thousand long.
std::vector<size_t> DependencyGraph::Components(unsigned kinds) const {
  struct Frame {
    size_t node, next_edge;
  };
  const size_t n = out_.size();
  std::vector<size_t> component(n, kNone), index(n, kNone), low(n);
  std::vector<bool> is_on_stack(n);
  std::vector<size_t> stack;
  std::vector<Frame> frames;
  size_t counter = 0, components = 0;
  const auto enter = [&](size_t node) {
    index[node] = low[node] = counter++;
    stack.push_back(node);
    is_on_stack[node] = true;
    frames.push_back({node, 0});
  };
  const auto leave = [&](size_t node) {
    if (low[node] != index[node]) return;
    size_t size = 0;
    for (size_t member = kNone; member != node; ++size) {
      member = stack.back();
      stack.pop_back();
      is_on_stack[member] = false;
      component[member] = components;
    }
    if (size == 1) component[node] = kNone;
    ++components;
  };
  for (size_t root = 0; root < n; ++root) {
    if (index[root] == kNone) enter(root);
    while (!frames.empty()) {
      const size_t node = frames.back().node;
      if (frames.back().next_edge < out_[node].size()) {
        const Out& out = out_[node][frames.back().next_edge++];
        if ((Bit(out.edge) & kinds) == 0) continue;
        if (index[out.to] == kNone) {
          enter(out.to);
        } else if (is_on_stack[out.to]) {
          low[node] = std::min(low[node], index[out.to]);
        }
        continue;
      }
      frames.pop_back();
      if (!frames.empty()) {
        low[frames.back().node] = std::min(low[frames.back().node], low[node]);
      }
      leave(node);
    }
  }
  return component;
}

DependencyGraph::Cycle DependencyGraph::ShortestThrough(size_t start,
                                                        const std::vector<size_t>& component,
                                                        unsigned kinds) const {
  struct Came {
    size_t from = kNone;
    Edge edge = Edge::kRealTime;
  };
  std::vector<Came> came(out_.size());
  std::deque<size_t> queue = {start};
  while (!queue.empty() && came[start].from == kNone) {
    const size_t node = queue.front();
    queue.pop_front();
    for (const Out& out : out_[node]) {
      if ((Bit(out.edge) & kinds) == 0 || component[out.to] != component[start]) continue;
      if (came[out.to].from != kNone) continue;
      came[out.to] = {node, out.edge};
      queue.push_back(out.to);
    }
  }
  SEXTANT_CHECK(came[start].from != kNone) << "transaction " << start << " is on no cycle";
  Cycle cycle;
  size_t to = start;
  do {
    // A way along the time line is one step.
    size_t from = came[to].from;
    const Edge edge = came[to].edge;
    while (from >= transactions_) from = came[from].from;
    cycle.push_back({from, to, edge});
    to = from;
  } while (to != start);
  std::reverse(cycle.begin(), cycle.end());
  return cycle;
}

std::vector<DependencyGraph::Cycle> DependencyGraph::FindCycles() const {
  std::vector<Cycle> cycles;
  std::set<size_t> reported;  // transactions on a cycle that was found
  for (const unsigned kinds : kSearches) {
    const std::vector<size_t> component = Components(kinds);
    std::set<size_t> done;  // components
    for (size_t node = 0; node < transactions_; ++node) {
      if (component[node] == kNone || done.count(component[node]) != 0) continue;
      if (reported.count(node) != 0) {
        done.insert(component[node]);
        continue;
      }
      done.insert(component[node]);
      Cycle cycle = ShortestThrough(node, component, kinds);
      for (const Step& step : cycle) reported.insert(step.from);
      cycles.push_back(std::move(cycle));
    }
  }
  return cycles;
}

std::string DependencyGraph::NameOf(const Cycle& cycle) {
  size_t anti = 0;
  unsigned kinds = 0;
  for (const Step& step : cycle) {
    anti += step.edge == Edge::kReadWrite ? 1 : 0;
    kinds |= Bit(step.edge);
  }
  std::string name = anti > 1                               ? "G2"
                     : anti == 1                            ? "G-single"
                     : (kinds & Bit(Edge::kWriteRead)) != 0 ? "G1c"
                                                            : "G0";
  if ((kinds & Bit(Edge::kRealTime)) != 0) {
    name += "-realtime";
  } else if ((kinds & Bit(Edge::kSession)) != 0) {
    name += "-session";
  }
  return name;
}

}  // namespace sextant::fault
