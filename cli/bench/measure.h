// The course of a benchmark, whatever it loads: warm up, measure, count, stop.
#pragma once

#include <chrono>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "cli/bench/bench.h"
#include "cli/bench/load_generator.h"
#include "cli/client/status_client.h"

namespace sextant::cli {

// Waits, telling once a second how many answers came; false when a stream broke meanwhile.
template <typename Generator>
bool WatchFor(const Generator& generator, double seconds, const char* phase,
              const BenchProgress& progress) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  auto told = Clock::now();
  uint64_t answered = generator.answered();
  while (Clock::now() < end && !generator.is_broken()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (Clock::now() - told < std::chrono::seconds(1)) continue;
    told += std::chrono::seconds(1);
    const uint64_t now = generator.answered();
    progress(absl::StrFormat("%s: %d answers/s", phase, now - answered));
    answered = now;
  }
  return !generator.is_broken();
}

// Runs the load to its end and fills the report's figures.
template <typename Generator>
absl::Status Measure(Generator* generator, const BenchProgress& progress, BenchReport* report) {
  using Clock = std::chrono::steady_clock;
  const BenchOptions& options = report->options;
  if (WatchFor(*generator, options.warmup_seconds, "warm-up", progress)) {
    auto before = AskComputeNodes({options.endpoint})[0];
    if (options.on_measuring) options.on_measuring(true);
    const auto start = Clock::now();
    generator->SetMeasuring(true);
    WatchFor(*generator, options.seconds, "measuring", progress);
    generator->SetMeasuring(false);
    report->seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (options.on_measuring) options.on_measuring(false);
    auto after = AskComputeNodes({options.endpoint})[0];
    report->has_counters = before.ok() && after.ok();
    if (report->has_counters) {
      report->before = *std::move(before);
      report->after = *std::move(after);
    }
  }
  const LoadResult& result = generator->Stop();
  report->commits = result.commits;
  report->errors = result.errors;
  report->first_error = result.first_error;
  report->latency_ns = result.latency_ns;
  if (!result.broken.ok()) return result.broken;
  if (result.commits == 0) {
    return absl::UnavailableError(result.first_error.empty() ? "nothing was answered in time"
                                                             : result.first_error);
  }
  return absl::OkStatus();
}

}  // namespace sextant::cli
