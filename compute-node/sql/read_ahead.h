// ReadAhead: tells a scan from other reads, and which pages it will want next. Pure.
//
// A table that was filled in order lies in pages of rising number, so a scan reads upwards with few
// gaps. Once a connection has done so for a while, what follows is asked for in one request, twice
// as much each time, up to a bound. It is asked for again when half of it is used up.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/base/ids.h"

namespace sextant::sql {

class ReadAhead {
 public:
  static constexpr uint64_t kMaxGap = 4;     // interior pages, pages of others
  static constexpr int kStepsToBelieve = 4;  // upwards, before anything is fetched
  static constexpr uint64_t kFirstPages = 8;
  static constexpr uint64_t kMaxPages = 64;

  struct Range {
    PageNo first;
    uint64_t count = 0;
  };
  // `page` is read. What to fetch, below `end`.
  Range Read(PageNo page, PageNo end) {
    const bool is_upwards = page > last_ && page - last_ <= kMaxGap;
    const bool is_again = page == last_;
    last_ = page;
    if (is_again) return {};
    if (!is_upwards) {
      steps_ = 0;
      return {};
    }
    if (++steps_ < kStepsToBelieve) return {};
    if (steps_ == kStepsToBelieve) {
      pages_ = kFirstPages;
      fetched_ = page.Next();
    } else if (page + pages_ / 4 < fetched_) {
      return {};  // more than half of the last, which was half as large, is ahead
    }
    const PageNo first = std::max(fetched_, page.Next());
    if (first >= end) return {};
    const uint64_t count = std::min(pages_, end - first);
    fetched_ = first + count;
    pages_ = std::min(pages_ * 2, kMaxPages);
    return {first, count};
  }

 private:
  PageNo last_;
  int steps_ = 0;
  uint64_t pages_ = kFirstPages;
  PageNo fetched_;  // what lies below it was asked for
};

}  // namespace sextant::sql
