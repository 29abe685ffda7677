// ProgressMeter: one line on standard error that tells how far a long load is. Silent off a
// terminal.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace sextant::cli {

class ProgressMeter {
 public:
  // `total_bytes` of the input; 0 where unknown.
  explicit ProgressMeter(uint64_t total_bytes);
  ~ProgressMeter();  // wipes the line
  // Draws at most five times a second, and not in the first half second.
  void Show(uint64_t statements, uint64_t bytes);

 private:
  const bool is_terminal_;
  const uint64_t total_bytes_;
  const absl::Time start_;
  absl::Time drawn_;
  bool is_drawn_ = false;
};

}  // namespace sextant::cli
