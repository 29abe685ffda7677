// See progress_meter.h.
#include "cli/sql/progress_meter.h"

#include <unistd.h>

#include <iostream>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace sextant::cli {

ProgressMeter::ProgressMeter(uint64_t total_bytes)
    : is_terminal_(isatty(STDERR_FILENO) == 1),
      total_bytes_(total_bytes),
      start_(absl::Now()),
      drawn_(start_ + absl::Milliseconds(300)) {}

ProgressMeter::~ProgressMeter() {
  if (is_drawn_) std::cerr << "\r\x1b[K" << std::flush;
}

void ProgressMeter::Show(uint64_t statements, uint64_t bytes) {
  if (!is_terminal_) return;
  const absl::Time now = absl::Now();
  if (now - drawn_ < absl::Milliseconds(200)) return;
  drawn_ = now;
  is_drawn_ = true;
  const double rate = static_cast<double>(statements) / absl::ToDoubleSeconds(now - start_);
  std::string text = absl::StrFormat("%d statements, %.1f MB, %.0f statements/s", statements,
                                     static_cast<double>(bytes) / 1e6, rate);
  if (total_bytes_ > 0) {
    text += absl::StrFormat(", %d %%", 100 * bytes / total_bytes_);
  }
  std::cerr << "\r\x1b[K" << text << std::flush;
}

}  // namespace sextant::cli
