// See round_player.h.
#include "fault/run/round_player.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "fault/cluster/digests.h"
#include "fault/cluster/inflict.h"
#include "fault/cluster/zones.h"
#include "fault/load/clock.h"

namespace sextant::fault {
namespace {

// Once something is wrong, the rest is only looked at.
constexpr absl::Duration kLittlePatience = absl::Seconds(2);
constexpr absl::Duration kLookInterval = absl::Milliseconds(200);

void SleepUntil(Nanos at) {
  const Nanos left = at - MonotonicNow();
  if (left > 0) absl::SleepFor(absl::Nanoseconds(left));
}

}  // namespace

RoundPlayer::RoundPlayer(const Scenario& scenario, const RunOptions& options, FaultCluster* cluster,
                         LoadOptions load)
    : scenario_(scenario), options_(options), cluster_(cluster), load_(std::move(load)) {}

void RoundPlayer::Complain(std::string kind, std::string detail) {
  round_.anomalies.push_back({std::move(kind), std::move(detail)});
}

void RoundPlayer::Expect(const char* kind, int64_t (Load::*counter)() const, int64_t more) {
  const int64_t target = (load_.*counter)() + more;
  const absl::Time begin = absl::Now();
  absl::Time next_look = begin;
  while ((load_.*counter)() < target) {
    if (absl::Now() >= next_look) {  // a process that has ended may be what it waits for
      CheckProcesses();
      next_look += kLookInterval;
    }
    if (absl::Now() >= begin + Patience()) {
      return Complain(kind, Text("not ", more, " more in ", absl::FormatDuration(Patience())));
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
}

absl::Duration RoundPlayer::Patience() const {
  return round_.anomalies.empty() ? options_.patience : kLittlePatience;
}

void RoundPlayer::ExpectPromises() {
  // Some may have been under way when the fault came: more than there are clients must follow.
  const int64_t more = options_.clients + 2;
  if (scenario_.promises.commits_go_on) Expect("commits-stopped", &Load::commits, more);
  if (scenario_.promises.reads_go_on) Expect("reads-stopped", &Load::reads, more);
}

void RoundPlayer::CheckProcesses() {
  for (std::string& end : cluster_->UnexpectedEnds()) Complain("process-ended", std::move(end));
}

absl::Status RoundPlayer::DoMoment(const Plan& plan, const Moment& moment) {
  const Step& step = plan[moment.step];
  const std::string what = Describe(step);
  if (moment.is_mend) ExpectPromises();
  live_->SetDoing(Text(moment.is_mend ? "mends: " : "", what));
  JournalEntry entry{MonotonicNow(), 0, what, moment.is_mend};
  const absl::Status done = moment.is_mend ? Mend(step, cluster_) : Inflict(step, cluster_);
  entry.ended = MonotonicNow();
  round_.journal.push_back(std::move(entry));
  if (!moment.is_mend) round_.faults += static_cast<int>(step.targets.size());
  if (!done.ok()) {
    return absl::Status(done.code(),
                        Text(moment.is_mend ? "mending " : "", what, ": ", done.message()));
  }
  CheckProcesses();
  return done;
}

absl::Status RoundPlayer::PlayFaults(const Plan& plan) {
  round_.struck = MonotonicNow();
  absl::Status status;
  for (const Moment& moment : MomentsOf(plan)) {
    SleepUntil(round_.struck + absl::ToInt64Nanoseconds(moment.at));
    status = DoMoment(plan, moment);
    if (!status.ok()) break;
  }
  round_.healed = MonotonicNow();
  return status;
}

absl::Status RoundPlayer::Play(int number, uint64_t seed) {
  round_.number = number;
  round_.seed = seed;
  Prng prng(seed);
  const Plan plan = scenario_.plan(cluster_->topology(), options_.duration * 0.4, &prng);
  round_.began = MonotonicNow();
  load_.Start();
  live_ = std::make_unique<LiveLine>(
      &load_, [state = cluster_->state()] { return ZonesLine(state); }, options_.say);
  Expect("no-commits", &Load::commits, options_.commits_before);
  SleepUntil(round_.began + absl::ToInt64Nanoseconds(options_.duration * 0.3));
  const absl::Status status = PlayFaults(plan);
  if (status.ok()) {
    live_->SetDoing("after");
    Expect("commits-do-not-resume", &Load::commits, 10);
    SleepUntil(round_.healed + absl::ToInt64Nanoseconds(options_.duration * 0.3));
  }
  load_.Stop();
  round_.ended = MonotonicNow();
  live_.reset();
  CheckProcesses();
  if (status.ok()) FinishAndJudge();
  Measure(load_.record().samples, &round_);
  return status;
}

void RoundPlayer::FinishAndJudge() {
  const absl::Status retired = cluster_->RetireOldLeader();
  if (!retired.ok()) Complain("harness", retired.ToString());
  const absl::Status whole = cluster_->AwaitWhole(Patience(), /*idle=*/true);
  if (!whole.ok()) Complain("not-whole", std::string(View(whole.message())));
  const absl::StatusOr<uint32_t> all = load_.ReadAll(Patience());
  if (all.ok()) {
    checksum_ = *all;
  } else {
    Complain("no-last-read", all.status().ToString());
  }
  for (Anomaly& anomaly : Judge(load_.record(), kBankTotal)) {
    round_.anomalies.push_back(std::move(anomaly));
  }
  if (scenario_.promises.commits_wait) CheckCommitsWaited();
  if (whole.ok()) CompareCopies();
}

void RoundPlayer::CheckCommitsWaited() {
  // The journal of such a scenario: a fault, its mending, the next fault.
  for (size_t i = 0; i + 1 < round_.journal.size(); i += 2) {
    const JournalEntry& fault = round_.journal[i];
    const int64_t answered =
        CommitsWithin(load_.record().samples, fault.ended, round_.journal[i + 1].began);
    if (answered > 0) Complain("commits-did-not-wait", Text(answered, " after ", fault.what));
  }
}

void RoundPlayer::CompareCopies() {
  const absl::Time deadline = absl::Now() + Patience();
  while (true) {
    const auto differences = CompareMembers(*cluster_);
    if (differences.ok()) {
      for (const std::string& line : *differences) Complain("digests", line);
      return;
    }
    // A member may still mend a damaged page, and rightly refuses to show it until then.
    if (absl::Now() >= deadline) return Complain("no-digests", differences.status().ToString());
    absl::SleepFor(absl::Milliseconds(50));
  }
}

}  // namespace sextant::fault
