// Prng: a small seeded generator whose numbers are the same on every platform and library. Core.
//
// SplitMix64. Not for secrets. Core code takes a Prng as a parameter; the shell seeds it.
#pragma once

#include <cstdint>

#include "common/base/check.h"

namespace sextant {

class Prng {
 public:
  explicit Prng(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound); bound > 0. The bias of the modulo is below 2^-32 for bounds below 2^32.
  uint64_t Below(uint64_t bound) {
    SEXTANT_CHECK(bound > 0);
    return Next() % bound;
  }
  // Uniform in [low, high].
  uint64_t Between(uint64_t low, uint64_t high) {
    SEXTANT_CHECK(low <= high) << low << " and " << high;
    const uint64_t span = high - low;
    return low + (span == UINT64_MAX ? Next() : Below(span + 1));
  }
  // True once in `n` calls on average.
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace sextant
