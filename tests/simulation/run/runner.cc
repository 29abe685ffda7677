// See runner.h.
#include "tests/simulation/run/runner.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "common/base/check.h"
#include "common/base/text.h"
#include "tests/simulation/run/day.h"

namespace sextant::simulation {
namespace {

// What is printed when the process ends itself: made before each seed, since a handler of a signal
// may not allocate.
char abort_note[1024];

void OnDeath(int) {
  const ssize_t written = write(STDERR_FILENO, abort_note, std::strlen(abort_note));
  _exit(written >= 0 ? 1 : 2);
}

std::string Note(const RunOptions& options, uint64_t seed, std::string_view what) {
  return Text("VIOLATION at seed ", seed, " (commit ", options.commit, "): ", what,
              "\n  replay: ", options.replay, " --seed ", seed, "\n");
}

Report RunSeed(const RunOptions& options, uint64_t seed) {
  const std::string note =
      Note(options, seed, "the process ended itself: a broken invariant (see above) or a crash");
  std::snprintf(abort_note, sizeof(abort_note), "%s", note.c_str());
  Report report = Day(seed, options.is_verbose).Run();
  if (!options.is_twice || !report.violation.empty()) return report;
  const Report again = Day(seed, false).Run();
  if (again.trace_hash != report.trace_hash) {
    report.violation = Text("the same seed took two courses: traces ", report.trace_hash, " and ",
                            again.trace_hash);
  }
  return report;
}

// On a terminal, once a second, how far the worker of the first seed is: the others are alike.
class ProgressLine {
 public:
  ProgressLine(const RunOptions& options, uint64_t first)
      : options_(options),
        is_shown_(first == options.first_seed && !options.is_verbose &&
                  isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() { Clear(); }
  void At(uint64_t seed) {
    const auto now = std::chrono::steady_clock::now();
    if (!is_shown_ || now - shown_at_ < std::chrono::seconds(1)) return;
    shown_at_ = now;
    std::fprintf(stderr, "\r%llu of %llu seeds\x1b[K",
                 static_cast<unsigned long long>(seed - options_.first_seed),
                 static_cast<unsigned long long>(options_.last_seed - options_.first_seed + 1));
  }
  void Clear() {
    if (is_shown_) std::fprintf(stderr, "\r\x1b[K");
  }

 private:
  const RunOptions& options_;
  const bool is_shown_;
  std::chrono::steady_clock::time_point shown_at_ = std::chrono::steady_clock::now();
};

// Every `stride`-th seed from `first` on.
RunResult RunShare(const RunOptions& options, uint64_t first, uint64_t stride) {
  RunResult result;
  ProgressLine progress(options, first);
  for (uint64_t seed = first; seed <= options.last_seed; seed += stride) {
    progress.At(seed);
    const Report report = RunSeed(options, seed);
    result.report.Add(report);
    if (report.violation.empty()) continue;
    progress.Clear();
    std::fprintf(stderr, "%s", Note(options, seed, report.violation).c_str());
    if (result.failures++ == 0) result.first_failure = seed;
    if (!options.keeps_going) break;
  }
  return result;
}

// A worker's result, as it comes through its pipe in one piece.
struct Parcel {
  ReportNumbers numbers;
  uint64_t failures = 0, first_failure = 0;
};

}  // namespace

RunResult RunSeeds(const RunOptions& options) {
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, OnDeath);
  if (options.jobs <= 1) return RunShare(options, options.first_seed, 1);
  std::fflush(nullptr);
  std::vector<std::pair<pid_t, int>> workers;
  for (int job = 0; job < options.jobs; ++job) {
    int ends[2];
    SEXTANT_CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    SEXTANT_CHECK(child >= 0);
    if (child > 0) {
      close(ends[1]);
      workers.emplace_back(child, ends[0]);
      continue;
    }
    RunResult result = RunShare(options, options.first_seed + static_cast<uint64_t>(job),
                                static_cast<uint64_t>(options.jobs));
    const Parcel parcel{result.report, result.failures, result.first_failure};
    const bool is_sent = write(ends[1], &parcel, sizeof(parcel)) == sizeof(parcel);
    _exit(is_sent && result.failures == 0 ? 0 : 1);
  }
  RunResult all;
  for (const auto& [child, end] : workers) {
    Parcel parcel{.failures = 1};  // of one that died
    if (read(end, &parcel, sizeof(parcel)) == sizeof(parcel)) {
      all.report.Add(Report{parcel.numbers, ""});
    }
    all.failures += parcel.failures;
    if (parcel.first_failure > 0 &&
        (all.first_failure == 0 || parcel.first_failure < all.first_failure)) {
      all.first_failure = parcel.first_failure;
    }
    close(end);
    waitpid(child, nullptr, 0);
  }
  return all;
}

}  // namespace sextant::simulation
