// See registers.h.
#include "fault/history/registers.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "common/base/text.h"

namespace sextant::fault {
namespace {

constexpr size_t kMaxStates = 2'000'000;

std::string Show(const RegisterOp& op) {
  return Text(op.is_write ? "write " : "read ", op.value, " of register ", op.key, " at ",
              op.invoked, "..", op.completed == kNever ? std::string("?") : Text(op.completed),
              " ns");
}

class Search {
 public:
  explicit Search(std::vector<RegisterOp> ops) : ops_(std::move(ops)), is_placed_(ops_.size()) {
    std::stable_sort(ops_.begin(), ops_.end(), [](const RegisterOp& a, const RegisterOp& b) {
      return a.invoked < b.invoked;
    });
  }

  std::optional<Anomaly> Run() {
    while (true) {
      if (IsDone()) return std::nullopt;
      if (seen_.size() > kMaxStates) {
        return Anomaly{"undecided",
                       Text("register ", ops_.front().key, ": too many operations overlap")};
      }
      if (const auto next = NextCandidate()) {
        Place(*next);
      } else if (!TakeBack()) {
        return Anomaly{"not-linearizable", "no moment can be found for " + Show(ops_[*stuck_])};
      }
    }
  }

 private:
  struct Frame {
    size_t op;
    int64_t value_before;
    size_t first_before;
  };
  // What is placed: all below first_, and these above it.
  using State = std::pair<std::vector<size_t>, int64_t>;

  // Only writes of unknown outcome are left.
  bool IsDone() const {
    for (size_t i = first_; i < ops_.size(); ++i) {
      if (!is_placed_[i] && ops_[i].completed != kNever) return false;
    }
    return true;
  }

  // The next one from resume_ on that may come now: begun before any unplaced one completed, right
  // in what it read, and leading to a state that was not tried.
  std::optional<size_t> NextCandidate() {
    Nanos deadline = kNever;
    size_t first_to_complete = first_;
    for (size_t i = first_; i < ops_.size() && ops_[i].invoked <= deadline; ++i) {
      if (is_placed_[i] || ops_[i].completed >= deadline) continue;
      deadline = ops_[i].completed;
      first_to_complete = i;
    }
    for (size_t i = std::max(first_, resume_); i < ops_.size() && ops_[i].invoked <= deadline;
         ++i) {
      if (is_placed_[i] || (!ops_[i].is_write && ops_[i].value != value_)) continue;
      if (seen_.insert(StateWith(i)).second) return i;
    }
    if (!stuck_ || ops_[first_to_complete].completed > ops_[*stuck_].completed) {
      stuck_ = first_to_complete;
    }
    return std::nullopt;
  }

  State StateWith(size_t op) const {
    std::vector<size_t> placed = {first_};
    size_t first = first_;
    while (first < ops_.size() && (is_placed_[first] || first == op)) ++first;
    placed[0] = first;
    for (size_t i = first; i < ops_.size() && i <= furthest_; ++i) {
      if (is_placed_[i]) placed.push_back(i);
    }
    if (op > first) placed.push_back(op);
    std::sort(placed.begin() + 1, placed.end());
    return {std::move(placed), ops_[op].is_write ? ops_[op].value : value_};
  }

  void Place(size_t op) {
    frames_.push_back({op, value_, first_});
    is_placed_[op] = true;
    furthest_ = std::max(furthest_, op);
    if (ops_[op].is_write) value_ = ops_[op].value;
    while (first_ < ops_.size() && is_placed_[first_]) ++first_;
    resume_ = 0;
  }

  bool TakeBack() {
    if (frames_.empty()) return false;
    const Frame frame = frames_.back();
    frames_.pop_back();
    is_placed_[frame.op] = false;
    value_ = frame.value_before;
    first_ = frame.first_before;
    resume_ = frame.op + 1;
    return true;
  }

  std::vector<RegisterOp> ops_;  // by invocation
  std::vector<bool> is_placed_;
  size_t first_ = 0;     // all below it are placed
  size_t furthest_ = 0;  // none above it is
  size_t resume_ = 0;    // candidates below it were tried in this state
  int64_t value_ = kUnwritten;
  std::vector<Frame> frames_;
  std::set<State> seen_;
  std::optional<size_t> stuck_;  // the latest operation that had to come and could not
};

}  // namespace

std::vector<Anomaly> CheckRegisters(const std::vector<RegisterOp>& history) {
  std::map<int64_t, std::vector<RegisterOp>> by_key;
  for (const RegisterOp& op : history) {
    // A read that was never answered says nothing.
    if (op.is_write || op.completed != kNever) by_key[op.key].push_back(op);
  }
  std::vector<Anomaly> anomalies;
  for (auto& [key, ops] : by_key) {
    if (auto anomaly = Search(std::move(ops)).Run()) anomalies.push_back(std::move(*anomaly));
  }
  return anomalies;
}

}  // namespace sextant::fault
