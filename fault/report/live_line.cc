// See live_line.h.
#include "fault/report/live_line.h"

#include <chrono>

#include "absl/strings/str_format.h"
#include "common/base/histogram.h"
#include "common/base/text.h"
#include "fault/load/clock.h"

namespace sextant::fault {

LiveLine::LiveLine(const Load* load, std::function<std::string()> zones, Say say)
    : load_(load), zones_(std::move(zones)), say_(std::move(say)), thread_([this] { Run(); }) {}

LiveLine::~LiveLine() {
  stop_.store(true);
  thread_.join();
}

void LiveLine::SetDoing(const std::string& doing) {
  std::lock_guard<std::mutex> lock(mutex_);
  doing_ = doing;
}

void LiveLine::Run() {
  constexpr Nanos kSecond = 1'000'000'000;
  const Nanos began = MonotonicNow();
  Nanos last = began;
  size_t seen = 0;
  while (!stop_.load()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const Nanos now = MonotonicNow();
    if (now - last < kSecond) continue;
    const std::vector<Sample> samples = load_->SamplesFrom(seen);
    seen += samples.size();
    Histogram latencies;
    int64_t unknown = 0;
    for (const Sample& sample : samples) {
      if (sample.outcome == Outcome::kUnknown) ++unknown;
      if (sample.outcome != Outcome::kCommitted || !sample.is_commit) continue;
      latencies.Record(static_cast<uint64_t>(sample.latency));
    }
    const auto millis = [&](double fraction) {
      return static_cast<double>(latencies.Percentile(fraction)) * 1e-6;
    };
    const double seconds = static_cast<double>(now - last) * 1e-9;
    last = now;
    std::string doing;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      doing = doing_;
    }
    const std::string zones = zones_();
    if (stop_.load()) return;
    say_(absl::StrFormat("%5.1f s  %6.0f commits/s  p50 %7.2f ms  p99 %7.2f ms  %s  %s%s",
                         static_cast<double>(now - began) * 1e-9,
                         static_cast<double>(latencies.count()) / seconds, millis(0.5),
                         millis(0.99), zones, doing,
                         unknown > 0 ? Text("  (", unknown, " unknown)") : ""));
  }
}

}  // namespace sextant::fault
