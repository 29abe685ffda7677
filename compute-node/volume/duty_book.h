// DutyBook: which requests are under way, so that each is repeated only after a while. Core.
//
// Recovery works out what it wants after every input; the book keeps it from asking twice. A duty
// whose answer was of use is struck off and may be issued again at once; any other only after the
// interval.
#pragma once

#include <compare>
#include <map>
#include <string>

#include "absl/time/time.h"
#include "common/base/instant.h"
#include "compute-node/volume/member_address.h"

namespace sextant::compute {

class DutyBook {
 public:
  enum class Kind { kAsk, kRaise, kRead, kSend, kCreate };
  struct Key {
    Kind kind;
    MemberAddress member;  // or
    std::string node;
    auto operator<=>(const Key&) const = default;
  };

  explicit DutyBook(absl::Duration retry_interval) : retry_interval_(retry_interval) {}

  // True, and noted, when the duty is not under way or has been for the whole interval.
  bool Issue(const Key& key, Instant now) {
    const auto [it, is_new] = not_before_.try_emplace(key, now);
    if (!is_new && it->second > now) return false;
    it->second = now + retry_interval_;
    return true;
  }
  void Answered(const Key& key) { not_before_.erase(key); }
  void Clear() { not_before_.clear(); }

 private:
  absl::Duration retry_interval_;
  std::map<Key, Instant> not_before_;
};

}  // namespace sextant::compute
