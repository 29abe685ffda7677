// MeasurePath: one path's cluster, from up to down.
#include <filesystem>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "cli/client/compute_client.h"
#include "cli/client/status_client.h"
#include "cli/compare/commit_ledger.h"
#include "cli/compare/compare.h"
#include "cli/compare/lag_sampler.h"
#include "client/session.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::cli {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(2);
constexpr absl::Duration kPoll = absl::Milliseconds(5);
constexpr int kLedgerClients = 4;
constexpr uint64_t kCommitsBeforeAKill = 200;

bool Leads(const absl::StatusOr<v1::ComputeStatus>& status) {
  return status.ok() && status->phase() == "open" &&
         (status->role() == "writer" || status->role() == "binlog-source");
}
bool Follows(const absl::StatusOr<v1::ComputeStatus>& status) {
  return status.ok() && status->phase() == "following" && status->reader().is_connected();
}

class PathRun {
 public:
  PathRun(const ComparePath& path, const CompareOptions& options, CompareProgress progress)
      : path_(path), options_(options), progress_(std::move(progress)) {
    report_.name = path.name;
    report_.what = path.what;
  }
  ~PathRun() {
    if (cluster_ != nullptr) cluster_->Stop(Names(), absl::Seconds(5));
  }

  absl::StatusOr<PathReport> Run() {
    RETURN_IF_ERROR(Up());
    RETURN_IF_ERROR(Load());
    RETURN_IF_ERROR(CommitLedger::Prepare(Endpoints()));
    for (int i = 0; i < options_.failures; ++i) RETURN_IF_ERROR(Restart());
    for (int i = 0; i < options_.failures; ++i) RETURN_IF_ERROR(FailOver());
    return std::move(report_);
  }

 private:
  std::vector<std::string> Endpoints() const { return cluster_->state().ComputeAddresses(); }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const NodeState& node : cluster_->state().nodes) names.push_back(node.name);
    return names;
  }

  void Say(const std::string& text) { progress_(path_.name + ": " + text); }

  absl::Status Up() {
    Say("up");
    const std::string dir = Text(options_.dir, "/", path_.name);
    std::error_code ignored;
    std::filesystem::create_directories(options_.dir, ignored);
    ASSIGN_OR_RETURN(LocalCluster cluster,
                     LocalCluster::OpenOrCreate(dir, path_.settings, [](const std::string&) {}));
    cluster_ = std::make_unique<LocalCluster>(std::move(cluster));
    RETURN_IF_ERROR(cluster_->Start(Names(), "warn", kPatience).status());
    RETURN_IF_ERROR(client::Client(Endpoints()).FindWriter(kPatience).status());
    RETURN_IF_ERROR(cluster_->MarkVolumeCreated());
    return AwaitFollowers();
  }

  template <typename Condition>
  absl::Status Await(const std::string& what, Condition condition) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (!condition()) {
      if (absl::Now() > deadline) {
        return absl::UnavailableError(Text(path_.name, ": ", what, " took too long"));
      }
      absl::SleepFor(kPoll);
    }
    return absl::OkStatus();
  }

  // One leads, all others follow it.
  absl::Status AwaitFollowers() {
    return Await("the followers' catching up", [&] {
      size_t following = 0, leading = 0;
      for (const auto& status : AskComputeNodes(Endpoints())) {
        following += Follows(status) ? 1 : 0;
        leading += Leads(status) ? 1 : 0;
      }
      return leading == 1 && following + 1 == Endpoints().size();
    });
  }

  absl::Status Load() {
    std::vector<pid_t> processes;
    for (const NodeState& node : cluster_->state().nodes) processes.push_back(node.process.pid);
    TrafficMeter meter(processes);
    ASSIGN_OR_RETURN(const std::string writer, client::Client(Endpoints()).FindWriter(kPatience));
    std::vector<std::string> followers;
    for (const std::string& address : Endpoints()) {
      if (address != writer) followers.push_back(address);
    }
    absl::Status measured;
    std::unique_ptr<LagSampler> sampler;
    BenchOptions load = options_.load;
    load.endpoint = writer;
    load.on_measuring = [&](bool begins) {
      if (begins) {
        measured = meter.Begin();
        sampler = std::make_unique<LagSampler>(followers);
        return;
      }
      if (!measured.ok()) return;
      absl::StatusOr<Traffic> traffic = meter.Read();
      measured = traffic.status();
      if (traffic.ok()) report_.traffic = *traffic;
      report_.lag = sampler->Stop();
    };
    ASSIGN_OR_RETURN(report_.load, RunSqlBench(load, [&](const std::string& text) { Say(text); }));
    return measured;
  }

  absl::StatusOr<std::string> Leader() {
    std::string name;
    const std::vector<std::string> endpoints = Endpoints();
    RETURN_IF_ERROR(Await("finding who leads", [&] {
      const auto answers = AskComputeNodes(endpoints);
      for (size_t i = 0; i < answers.size(); ++i) {
        if (Leads(answers[i])) name = answers[i]->node();
      }
      return !name.empty();
    }));
    return name;
  }

  absl::Status AwaitCommits(const CommitLedger& ledger) {
    return Await("commits before the kill",
                 [&] { return ledger.answered() >= kCommitsBeforeAKill; });
  }

  // The first commit asked for after `since` that is answered, in ms since then.
  absl::StatusOr<double> AwaitAnswer(const CommitLedger& ledger, absl::Time since) {
    std::optional<absl::Time> answered;
    RETURN_IF_ERROR(Await("the first commit after the kill", [&] {
      answered = ledger.FirstAnswered(since);
      return answered.has_value();
    }));
    return absl::ToDoubleMilliseconds(*answered - since);
  }

  absl::Status Restart() {
    ASSIGN_OR_RETURN(const std::string leader, Leader());
    Say(Text("kill -9 of ", leader, ", and its restart"));
    CommitLedger ledger(Endpoints(), kLedgerClients, next_);
    RETURN_IF_ERROR(AwaitCommits(ledger));
    const absl::Time killed = absl::Now();
    KillNodes(cluster_->state(), {leader});
    RETURN_IF_ERROR(cluster_->Start({leader}, "warn", kPatience).status());
    ASSIGN_OR_RETURN(const double ms, AwaitAnswer(ledger, killed));
    report_.restart_ms.push_back(ms);
    ledger.Stop();
    next_ = ledger.next();
    return AwaitFollowers();
  }

  absl::Status FailOver() {
    ASSIGN_OR_RETURN(const std::string leader, Leader());
    Say(Text("kill -9 of ", leader, ", and a promotion"));
    CommitLedger ledger(Endpoints(), kLedgerClients, next_);
    RETURN_IF_ERROR(AwaitCommits(ledger));
    const absl::Time killed = absl::Now();
    KillNodes(cluster_->state(), {leader});
    RETURN_IF_ERROR(PromoteBest());
    ASSIGN_OR_RETURN(const double ms, AwaitAnswer(ledger, killed));
    report_.failover_ms.push_back(ms);
    const std::set<int64_t>& answered = ledger.Stop();
    next_ = ledger.next();
    ASSIGN_OR_RETURN(const uint64_t lost, CommitLedger::CountLost(Endpoints(), answered));
    report_.answered += answered.size();
    report_.lost += lost;
    RETURN_IF_ERROR(cluster_->Start({leader}, "warn", kPatience).status());
    return AwaitFollowers();
  }

  // The follower that shows most; asked again while it refuses, for others may still answer late.
  absl::Status PromoteBest() {
    const std::vector<std::string> endpoints = Endpoints();
    return Await("a promotion", [&] {
      const std::optional<size_t> best = MostAdvanced(AskComputeNodes(endpoints));
      return best.has_value() &&
             Promote(endpoints[*best], /*is_forced=*/false, absl::Seconds(5)).ok();
    });
  }

  const ComparePath& path_;
  const CompareOptions& options_;
  const CompareProgress progress_;
  PathReport report_;
  std::unique_ptr<LocalCluster> cluster_;
  int64_t next_ = 1;
};

}  // namespace

std::vector<ComparePath> PathsToCompare(const CompareOptions& options) {
  ComparePath log{.name = "log",
                  .what = Text("6 storage nodes, writer, ", options.followers, " readers")};
  log.settings.readers = options.followers;
  const auto binlog = [&](const char* name, uint32_t acks) {
    ComparePath path{.name = name, .what = Text("source, ", options.followers, " replicas")};
    if (acks > 0) path.what += Text(", ", acks, " acknowledges each commit");
    path.settings.mode = "binlog";
    path.settings.replicas = options.followers;
    path.settings.semi_sync_acks = acks;
    return path;
  };
  return {log, binlog("semi-sync", options.semi_sync_acks), binlog("async", 0)};
}

absl::StatusOr<PathReport> MeasurePath(const ComparePath& path, const CompareOptions& options,
                                       const CompareProgress& progress) {
  return PathRun(path, options, progress).Run();
}

}  // namespace sextant::cli
