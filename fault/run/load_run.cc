// RunLoad: only load and judgement. See run.h.
#include <algorithm>

#include "absl/time/clock.h"
#include "cli/client/status_client.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "fault/load/clock.h"
#include "fault/load/load.h"
#include "fault/report/live_line.h"
#include "fault/run/run.h"

namespace sextant::fault {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(120);

bool AnyIsOfBinlog(const std::vector<std::string>& endpoints) {
  const auto answers = cli::AskComputeNodes(endpoints);
  return std::any_of(answers.begin(), answers.end(), [](const auto& answer) {
    return answer.ok() && answer->role().rfind("binlog-", 0) == 0;
  });
}

}  // namespace

absl::StatusOr<RunResult> RunLoad(const std::vector<std::string>& endpoints,
                                  const RunOptions& options) {
  RETURN_IF_ERROR(Load::Prepare(endpoints, kPatience));
  LoadOptions load_options;
  load_options.writers = endpoints;
  load_options.has_exact_lsns = !AnyIsOfBinlog(endpoints);
  if (endpoints.size() > 1) {  // readers among them, one of which may be promoted meanwhile
    load_options.readers = endpoints;
    load_options.writers_move = true;
  }
  load_options.clients = options.clients;
  load_options.seed = options.seed;
  load_options.first_key = absl::ToUnixMicros(absl::Now());  // beyond those of runs before
  Load load(load_options);
  Round round;
  round.seed = options.seed;
  round.began = round.struck = MonotonicNow();
  load.Start();
  {
    LiveLine live(
        &load, [] { return std::string(); }, options.say);
    live.SetDoing("");
    absl::SleepFor(options.duration);
    const absl::Time deadline = absl::Now() + kPatience;
    const int64_t target = load.commits() + 1;  // it is open at the end
    while (load.commits() < target && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    load.Stop();
  }
  round.healed = round.ended = MonotonicNow();
  const auto all = load.ReadAll(kPatience);
  if (!all.ok()) round.anomalies.push_back({"no-last-read", all.status().ToString()});
  for (Anomaly& anomaly : Judge(load.record(), kBankTotal)) {
    round.anomalies.push_back(std::move(anomaly));
  }
  Measure(load.record().samples, &round);
  RunResult result{{"load", options.seed, 1, options.clients, ""}, {round}};
  if (options.directory.empty()) return result;
  RETURN_IF_ERROR(WriteRound(options.directory, "load", round, load.record()));
  RETURN_IF_ERROR(WriteResult(options.directory, result.facts, result.rounds));
  return result;
}

}  // namespace sextant::fault
