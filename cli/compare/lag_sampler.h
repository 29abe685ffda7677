// LagSampler: asks followers for their lag, twenty times a second, until destroyed.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "cli/compare/compare.h"

namespace sextant::cli {

class LagSampler {
 public:
  explicit LagSampler(std::vector<std::string> followers);
  ~LagSampler() { Stop(); }
  // Sorted; final.
  const LagSummary& Stop();

 private:
  const std::vector<std::string> followers_;
  std::atomic<bool> is_over_ = false;
  LagSummary summary_;
  std::thread thread_;
};

}  // namespace sextant::cli
