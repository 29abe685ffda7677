// An integer that is its own type: an LSN cannot be passed where a page number is meant. Core.
//
// Every id, LSN, epoch and page number of Sextant is a StrongInt (see ids.h and log/lsn.h).
// Arithmetic is deliberately poor: order, plus a distance, minus to get a distance.
#pragma once

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>

namespace sextant {

template <typename Tag, typename Rep = uint64_t>
class StrongInt {
 public:
  using rep = Rep;

  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const StrongInt&) const = default;

  constexpr StrongInt operator+(Rep distance) const { return StrongInt(value_ + distance); }
  constexpr StrongInt Next() const { return StrongInt(value_ + 1); }
  // Distance between two points; the caller knows that `other` is not above *this.
  constexpr Rep operator-(StrongInt other) const { return value_ - other.value_; }

  template <typename H>
  friend H AbslHashValue(H h, StrongInt i) {
    return H::combine(std::move(h), i.value_);
  }
  friend std::ostream& operator<<(std::ostream& os, StrongInt i) { return os << i.value_; }
  friend std::string ToString(StrongInt i) { return std::to_string(i.value_); }

 private:
  Rep value_ = 0;
};

}  // namespace sextant
