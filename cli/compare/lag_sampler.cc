// See lag_sampler.h.
#include "cli/compare/lag_sampler.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "cli/client/status_client.h"

namespace sextant::cli {
namespace {

constexpr absl::Duration kInterval = absl::Milliseconds(50);

}  // namespace

double LagSummary::Percentile(double fraction) const {
  if (samples_ms.empty()) return 0;
  const auto at = static_cast<size_t>(fraction * static_cast<double>(samples_ms.size()));
  return samples_ms[std::min(at, samples_ms.size() - 1)];
}

LagSampler::LagSampler(std::vector<std::string> followers) : followers_(std::move(followers)) {
  thread_ = std::thread([this] {
    while (!is_over_) {
      for (const auto& answer : AskComputeNodes(followers_)) {
        if (answer.ok() && answer->reader().has_lag_ms()) {
          summary_.samples_ms.push_back(answer->reader().lag_ms());
        } else {
          ++summary_.unknown;
        }
      }
      absl::SleepFor(kInterval);
    }
  });
}

const LagSummary& LagSampler::Stop() {
  is_over_ = true;
  if (thread_.joinable()) thread_.join();
  std::sort(summary_.samples_ms.begin(), summary_.samples_ms.end());
  return summary_;
}

}  // namespace sextant::cli
