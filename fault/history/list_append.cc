// See list_append.h.
#include "fault/history/list_append.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/text.h"
#include "fault/history/dependency_graph.h"

namespace sextant::fault {
namespace {

constexpr size_t kMaxOfAKind = 5;

using List = std::vector<int64_t>;

bool IsPrefix(const List& shorter, const List& longer) {
  return shorter.size() <= longer.size() &&
         std::equal(shorter.begin(), shorter.end(), longer.begin());
}

std::string Show(const List& list) {
  constexpr size_t kShown = 12;
  if (list.size() <= kShown) return "[" + absl::StrJoin(list, " ") + "]";
  const List tail(list.end() - kShown, list.end());
  return Text("[... ", list.size() - kShown, " more ... ", std::string(absl::StrJoin(tail, " ")),
              "]");
}

class Judge {
 public:
  explicit Judge(const std::vector<ListTransaction>& history)
      : history_(history), graph_(history.size()) {}

  std::vector<Anomaly> Run() {
    CollectAppends();
    CheckInternally();
    CollectOrders();
    CheckReads();
    // An order of versions that contradicts itself makes every edge of it meaningless.
    if (anomalies_.empty()) {
      AddDependencies();
      AddSessionsAndTime();
      for (const DependencyGraph::Cycle& cycle : graph_.FindCycles()) ReportCycle(cycle);
      CheckLsns();
    }
    return std::move(anomalies_);
  }

 private:
  struct Key {
    std::map<int64_t, size_t> appender;  // by value
    List order;                          // the longest read
    size_t read_by = SIZE_MAX;           // whose it is
    std::vector<Lsn> lsns;  // of the appends that were acknowledged with one, ascending
  };

  std::string Name(size_t i) const {
    const ListTransaction& transaction = history_[i];
    return Text("transaction ", i, " (session ", transaction.session, " on ", transaction.node,
                transaction.lsn == Lsn() ? std::string() : Text(", lsn ", transaction.lsn), ")");
  }
  void Report(std::string kind, std::string detail) {
    if (++counts_[kind] > kMaxOfAKind) return;
    anomalies_.push_back({std::move(kind), std::move(detail)});
  }
  // Its reads can be held against the cluster, and its appends must last.
  bool IsCommitted(size_t i) const { return history_[i].outcome == Outcome::kCommitted; }

  void CollectAppends() {
    for (size_t i = 0; i < history_.size(); ++i) {
      for (const ListOp& op : history_[i].ops) {
        if (!op.appended) continue;
        if (!keys_[op.key].appender.emplace(*op.appended, i).second) {
          Report("malformed", Text("value ", *op.appended, " of key ", op.key, " appended twice"));
        }
      }
    }
  }

  // Reads of one transaction extend each other by its own appends alone.
  void CheckInternally() {
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!IsCommitted(i)) continue;
      std::map<int64_t, List> known;  // what a read must return, where that is known
      std::map<int64_t, List> own;    // appended since the beginning, where nothing was read yet
      for (const ListOp& op : history_[i].ops) {
        const auto expected = known.find(op.key);
        if (op.appended) {
          (expected != known.end() ? expected->second : own[op.key]).push_back(*op.appended);
          continue;
        }
        const List& mine = own[op.key];
        const bool ends_well = mine.size() <= op.list.size() &&
                               std::equal(mine.rbegin(), mine.rend(), op.list.rbegin());
        if (expected != known.end() ? expected->second != op.list : !ends_well) {
          Report(
              "internal",
              Text(Name(i), " read key ", op.key, " as ", Show(op.list), ", against ",
                   expected != known.end() ? "what it read or did before: " : "its own appends: ",
                   Show(expected != known.end() ? expected->second : mine)));
        }
        known[op.key] = op.list;
      }
    }
  }

  void CollectOrders() {
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!IsCommitted(i)) continue;
      for (const ListOp& op : history_[i].ops) {
        Key& key = keys_[op.key];
        if (op.appended || op.list.size() <= key.order.size()) continue;
        key.order = op.list;
        key.read_by = i;
      }
    }
    for (const auto& [number, key] : keys_) CheckOrder(number, key);
  }

  void CheckOrder(int64_t number, const Key& key) {
    std::set<int64_t> seen;
    for (const int64_t value : key.order) {
      if (!seen.insert(value).second) {
        Report("duplicate-elements", Text(Name(key.read_by), " read key ", number, " with value ",
                                          value, " twice: ", Show(key.order)));
      }
      const auto appender = key.appender.find(value);
      if (appender == key.appender.end()) {
        Report("phantom", Text(Name(key.read_by), " read value ", value, " of key ", number,
                               ", which nobody appended"));
      } else if (history_[appender->second].outcome == Outcome::kAborted) {
        Report("G1a", Text(Name(key.read_by), " read value ", value, " of key ", number,
                           ", appended by ", Name(appender->second), ", which aborted"));
      }
    }
  }

  void CheckReads() {
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!IsCommitted(i)) continue;
      for (const ListOp& op : history_[i].ops) {
        if (op.appended) continue;
        const Key& key = keys_[op.key];
        if (!IsPrefix(op.list, key.order)) {
          Report("incompatible-order", Text(Name(i), " read key ", op.key, " as ", Show(op.list),
                                            ", ", Name(key.read_by), " as ", Show(key.order)));
        } else if (EndsWithin(i, key, op.list)) {
          Report("G1b",
                 Text(Name(i), " read key ", op.key, " as ", Show(op.list),
                      ", which ends in the middle of ", Name(key.appender.at(op.list.back()))));
        }
      }
    }
  }

  // Whether the list stops between two appends of another transaction.
  bool EndsWithin(size_t reader, const Key& key, const List& list) const {
    if (list.empty() || list.size() == key.order.size()) return false;
    const size_t last = key.appender.at(list.back());
    return last != reader && key.appender.at(key.order[list.size()]) == last;
  }

  void AddDependencies() {
    for (const auto& [number, key] : keys_) {
      for (size_t n = 1; n < key.order.size(); ++n) {
        graph_.Add(key.appender.at(key.order[n - 1]), key.appender.at(key.order[n]),
                   Edge::kWriteWrite);
      }
      AddUnread(key);
    }
    for (size_t i = 0; i < history_.size(); ++i) {
      if (!IsCommitted(i)) continue;
      for (const ListOp& op : history_[i].ops) {
        if (!op.appended) AddRead(i, keys_.at(op.key), op.list.size());
      }
    }
  }

  // An acknowledged append that no read holds comes after all that was read.
  void AddUnread(const Key& key) {
    if (key.order.empty()) return;
    const size_t last = key.appender.at(key.order.back());
    for (const size_t unread : Unread(key)) graph_.Add(last, unread, Edge::kWriteWrite);
  }

  std::vector<size_t> Unread(const Key& key) const {
    std::vector<size_t> unread;
    const std::set<int64_t> read(key.order.begin(), key.order.end());
    for (const auto& [value, appender] : key.appender) {
      if (history_[appender].outcome == Outcome::kCommitted && read.count(value) == 0) {
        unread.push_back(appender);
      }
    }
    return unread;
  }

  void AddRead(size_t reader, const Key& key, size_t length) {
    // Its own appends at the end of the list are no dependency.
    while (length > 0 && key.appender.at(key.order[length - 1]) == reader) --length;
    if (length > 0) graph_.Add(key.appender.at(key.order[length - 1]), reader, Edge::kWriteRead);
    size_t next = length;
    while (next < key.order.size() && key.appender.at(key.order[next]) == reader) ++next;
    if (next < key.order.size()) {
      graph_.Add(reader, key.appender.at(key.order[next]), Edge::kReadWrite);
    } else {
      for (const size_t unread : Unread(key)) graph_.Add(reader, unread, Edge::kReadWrite);
    }
  }

  void AddSessionsAndTime() {
    std::map<int, size_t> last;  // by session
    std::vector<DependencyGraph::Span> strict;
    for (size_t i = 0; i < history_.size(); ++i) {
      const ListTransaction& transaction = history_[i];
      if (transaction.outcome == Outcome::kAborted) continue;
      if (transaction.is_strict) strict.push_back({i, transaction.invoked, transaction.completed});
      if (!IsCommitted(i)) continue;  // where it ended up in time is not known
      const auto [before, is_first] = last.emplace(transaction.session, i);
      if (!is_first) graph_.Add(std::exchange(before->second, i), i, Edge::kSession);
    }
    graph_.AddRealTime(strict);
  }

  void ReportCycle(const DependencyGraph::Cycle& cycle) {
    static constexpr const char* kWords[] = {"overwritten by", "read by",
                                             "read what was overwritten by",
                                             "followed in its session by", "completed before"};
    std::string detail;
    for (const DependencyGraph::Step& step : cycle) {
      detail += Text(Name(step.from), ", ", kWords[static_cast<size_t>(step.edge)], " ");
    }
    Report(DependencyGraph::NameOf(cycle), detail + Name(cycle.front().from));
  }

  // Everything committed at or below a transaction's LSN is seen by it, and nothing above.
  void CheckLsns() {
    for (auto& [number, key] : keys_) {
      for (const auto& [value, appender] : key.appender) {
        if (CommittedAt(appender) != Lsn()) key.lsns.push_back(CommittedAt(appender));
      }
      std::sort(key.lsns.begin(), key.lsns.end());
    }
    std::map<int, Lsn> positions;  // by session
    for (size_t i = 0; i < history_.size(); ++i) {
      const ListTransaction& transaction = history_[i];
      if (!IsCommitted(i) || transaction.lsn == Lsn()) continue;
      Lsn& position = positions[transaction.session];
      if (transaction.lsn < position) {
        Report("session-lsn",
               Text(Name(i), " is behind lsn ", position, ", where its session was"));
      }
      position = std::max(position, transaction.lsn);
      for (const ListOp& op : transaction.ops) {
        if (!op.appended) CheckSeen(i, op);
      }
    }
  }

  void CheckSeen(size_t reader, const ListOp& op) {
    const Key& key = keys_.at(op.key);
    const Lsn at = history_[reader].lsn;
    const bool is_exact = history_[reader].is_lsn_exact;
    size_t due = std::upper_bound(key.lsns.begin(), key.lsns.end(), at) - key.lsns.begin();
    bool is_explained = true;
    for (const int64_t value : op.list) {
      const Lsn lsn = CommittedAt(key.appender.at(value));
      if (lsn == Lsn()) continue;
      is_explained = is_explained && lsn <= at && due > 0;
      due -= due > 0 ? 1 : 0;
    }
    // Inside the reader's own transaction the order of its steps decides (CheckInternally).
    if (is_explained && (!is_exact || due <= OwnAppends(reader, op.key))) return;
    const std::set<int64_t> seen(op.list.begin(), op.list.end());
    for (const auto& [value, appender] : key.appender) {
      const Lsn lsn = CommittedAt(appender);
      const bool was_seen = seen.count(value) != 0;
      if (appender == reader || lsn == Lsn() || was_seen == (lsn <= at)) continue;
      if (!was_seen && !is_exact) continue;
      Report("lsn-order", Text(Name(reader), was_seen ? " saw" : " did not see", " value ", value,
                               " of key ", op.key, ", committed by ", Name(appender)));
    }
  }

  // {0}: not, or not told.
  Lsn CommittedAt(size_t i) const { return IsCommitted(i) ? history_[i].lsn : Lsn(); }

  size_t OwnAppends(size_t i, int64_t key) const {
    return std::count_if(history_[i].ops.begin(), history_[i].ops.end(),
                         [&](const ListOp& op) { return op.appended && op.key == key; });
  }

  const std::vector<ListTransaction>& history_;
  std::map<int64_t, Key> keys_;
  DependencyGraph graph_;
  std::map<std::string, size_t> counts_;
  std::vector<Anomaly> anomalies_;
};

}  // namespace

std::vector<Anomaly> CheckListAppend(const std::vector<ListTransaction>& history) {
  return Judge(history).Run();
}

}  // namespace sextant::fault
