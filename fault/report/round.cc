// See round.h.
#include "fault/report/round.h"

#include <algorithm>

#include "common/base/histogram.h"

namespace sextant::fault {
namespace {

constexpr Nanos kTick = 100'000'000;

double Seconds(Nanos nanos) { return static_cast<double>(nanos) * 1e-9; }

// Counts answers, and the latencies of those that committed.
class Tally {
 public:
  void Add(const Sample& sample) {
    switch (sample.outcome) {
      case Outcome::kAborted:
        ++aborted;
        return;
      case Outcome::kUnknown:
        ++unknown;
        return;
      case Outcome::kCommitted:
        break;
    }
    ++(sample.is_commit ? commits : reads);
    if (sample.is_commit) latencies_.Record(static_cast<uint64_t>(sample.latency));
  }
  Nanos At(double fraction) const { return static_cast<Nanos>(latencies_.Percentile(fraction)); }

  int64_t commits = 0, reads = 0, aborted = 0, unknown = 0;

 private:
  Histogram latencies_;
};

template <typename To>
void Fill(const Tally& tally, To* to) {
  to->commits = tally.commits;
  to->reads = tally.reads;
  to->aborted = tally.aborted;
  to->unknown = tally.unknown;
  to->p50 = tally.At(0.50);
  to->p99 = tally.At(0.99);
}

}  // namespace

void Measure(const std::vector<Sample>& samples, Round* round) {
  Tally before, during, after;
  std::vector<Nanos> commits;
  for (const Sample& sample : samples) {
    Tally& tally = sample.completed < round->struck    ? before
                   : sample.completed <= round->healed ? during
                                                       : after;
    tally.Add(sample);
    const bool is_commit = sample.is_commit && sample.outcome == Outcome::kCommitted;
    if (is_commit && sample.completed >= round->struck) commits.push_back(sample.completed);
  }
  Fill(before, &round->before);
  Fill(during, &round->during);
  Fill(after, &round->after);
  round->before.seconds = Seconds(round->struck - round->began);
  round->during.seconds = Seconds(round->healed - round->struck);
  round->after.seconds = Seconds(round->ended - round->healed);
  std::sort(commits.begin(), commits.end());
  Nanos last = round->struck;
  round->stall = 0;
  for (const Nanos commit : commits) {
    round->stall = std::max(round->stall, commit - last);
    last = commit;
  }
  round->stall = std::max(round->stall, round->ended - last);
}

int64_t CommitsWithin(const std::vector<Sample>& samples, Nanos begin, Nanos end) {
  return std::count_if(samples.begin(), samples.end(), [&](const Sample& sample) {
    return sample.is_commit && sample.outcome == Outcome::kCommitted &&
           sample.completed - sample.latency >= begin && sample.completed <= end;
  });
}

std::vector<TimePoint> TimelineOf(const std::vector<Sample>& samples, const Round& round) {
  const auto ticks = static_cast<size_t>(std::max<Nanos>(round.ended - round.began, 0) / kTick + 1);
  std::vector<Tally> tallies(ticks);
  for (const Sample& sample : samples) {
    const Nanos at = (sample.completed - round.began) / kTick;
    if (at >= 0 && static_cast<size_t>(at) < ticks) tallies[static_cast<size_t>(at)].Add(sample);
  }
  std::vector<TimePoint> timeline(ticks);
  for (size_t i = 0; i < ticks; ++i) {
    timeline[i].seconds = Seconds(static_cast<Nanos>(i) * kTick);
    Fill(tallies[i], &timeline[i]);
  }
  return timeline;
}

}  // namespace sextant::fault
