// See binlog_source_role.h.
#include "compute-node/server/binlog_source_role.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"
#include "compute-node/server/compute_metrics.h"
#include "compute-node/server/role_parts.h"

namespace sextant::server {
namespace {

constexpr auto kWatchInterval = std::chrono::milliseconds(500);

const char* ModeName(binlog::SyncMode mode) {
  if (mode == binlog::SyncMode::kAsync) return "async";
  return mode == binlog::SyncMode::kSemiSync ? "semi-sync" : "degraded";
}

}  // namespace

BinlogSourceRole::BinlogSourceRole(const RoleContext& context)
    : context_(context), peers_(context.flags.compute_nodes, context.flags.node) {}

absl::Status BinlogSourceRole::Start() {
  const BinlogFlags& flags = context_.flags.binlog;
  ASSIGN_OR_RETURN(data_, binlog::LocalData::Open(flags.data_dir, binlog::ReplicaId(DrawId()),
                                                  {.max_file_bytes = flags.file_bytes}));
  if (const std::string why = WhyNotToLead(); !why.empty()) {
    StepDown(why);
    return absl::OkStatus();
  }
  binlog::SourceOptions options;
  options.semi_sync = {.acks = flags.semi_sync_acks,
                       .may_fall_back = flags.fall_back_ms > 0,
                       .fall_back_after = absl::Milliseconds(flags.fall_back_ms)};
  options.on_failed = [this](const absl::Status& why) { context_.host.Fail(why); };
  ASSIGN_OR_RETURN(engine_, binlog::SourceEngine::Start(data_.get(), &tickets_,
                                                        binlog::SourceId(DrawId()), options));
  sql_ =
      std::make_unique<sql::SqlExecutor>(engine_.get(), &tickets_, MakeSqlOptions(context_.flags));
  context_.sql.Attach(sql_.get());
  context_.binlog.Attach(this);
  context_.host.SetReady(true);
  spdlog::info("this node is the source{}", rpc::Fields("tenure", data_->state().tenure, "history",
                                                        engine_->status().history.ToString()));
  watch_ = std::thread([this] { Watch(); });
  return absl::OkStatus();
}

// Only two may begin: whoever was made the source by a promotion (or as the first one) and was not
// replaced since, and the first of all.
std::string BinlogSourceRole::WhyNotToLead() const {
  const binlog::NodeState state = data_->state();
  const std::vector<BinlogPeer> others = peers_.Ask();
  const uint64_t heard = BinlogPeers::HighestTenure(others);
  const bool is_first = state.tenure == 0 && data_->store().history().is_empty();
  if (is_first && heard > 0) {
    return "the other nodes have had a source, and this folder is new";
  }
  if (state.source == binlog::SourceId(0) && !is_first) {
    return "this node was replaced as the source, or never was it";
  }
  if (heard <= state.tenure) return "";
  return Text("there is a tenure ", heard, ", and this node's is ", state.tenure);
}

void BinlogSourceRole::StepDown(const std::string& why) {
  context_.host.ChangeRole(
      RoleKind::kBinlogReplica,
      absl::UnavailableError(Text("this node is not the source (", why, "): connect again")));
}

void BinlogSourceRole::Watch() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    stopping_.wait_for(lock, kWatchInterval);
    if (is_stopping_) return;
    lock.unlock();
    const std::vector<BinlogPeer> others = peers_.Ask();
    const BinlogPeer* source = BinlogPeers::FindSource(others, data_->state().tenure + 1);
    if (source != nullptr) {
      return StepDown(Text(source->address.node, " is, of tenure ", source->status.tenure()));
    }
    lock.lock();
  }
}

void BinlogSourceRole::Stop(const absl::Status& why) {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    stopping_.notify_all();
  }
  if (watch_.joinable()) watch_.join();
  context_.sql.Detach(why);
  context_.binlog.Detach(why);
  tickets_.Shutdown();
  if (sql_ != nullptr) sql_->CloseSessions(why);
  if (engine_ != nullptr) engine_->Stop();
  context_.sql.AwaitUnused(kAnswerPatience);
  context_.binlog.AwaitUnused();
  if (sql_ != nullptr) sql_->Stop();
}

// It goes on as the source: without acknowledgements it answers nobody, and if the promotion is
// given up nothing has happened.
absl::Status BinlogSourceRole::Pledge(const binlog::Pledge& asked) {
  std::lock_guard lock(pledge_mutex_);
  const binlog::NodeState state = data_->state();
  RETURN_IF_ERROR(binlog::CheckPledge(state.pledges, state.tenure, asked));
  return data_->UpdateState([&asked](binlog::NodeState* now) { Give(asked, &now->pledges); });
}

void BinlogSourceRole::FillStatus(v1::ComputeStatus* status) const {
  if (engine_ == nullptr) return status->set_phase("replaced");
  const binlog::SourceStatus now = engine_->status();
  status->set_phase("open");
  status->set_epoch(now.tenure);
  status->set_detail(Text("replication ", ModeName(now.mode), ", ", now.joined, " followers"));
  status->set_head(now.head.value());
  status->set_vcl(now.synced.value());
  status->set_vdl(now.durable.value());
  status->set_waits(now.waits);
  status->set_commits(now.commits);
}

void BinlogSourceRole::FillStatus(v1::BinlogStatus* status) const {
  const binlog::SourceStatus now = engine_->status();
  status->set_node(context_.flags.node);
  status->set_role(RoleName(kind()));
  status->set_history(now.history.Through(now.synced).ToString());
  status->set_applied(now.head.value());
  status->set_mode(ModeName(now.mode));
  status->set_acks(static_cast<uint32_t>(context_.flags.binlog.semi_sync_acks));
  status->set_head(now.head.value());
  status->set_durable(now.durable.value());
  for (const binlog::SourceMachine::Follower& follower : now.followers) {
    v1::FollowerInfo* info = status->add_followers();
    info->set_node(follower.node);
    info->set_acked(follower.acked.value());
    info->set_is_connected(follower.is_joined);
  }
  status->set_is_connected(true);
  status->set_commits(now.commits);
  status->set_syncs(now.syncs);
  status->set_binlog_bytes(now.binlog_bytes);
  FillState(data_->state(), status);
}

std::vector<prometheus::MetricFamily> BinlogSourceRole::Metrics() const {
  if (engine_ == nullptr) return {};
  const binlog::SourceStatus now = engine_->status();
  return {
      Gauge("sextant_binlog_head", "Newest transaction of the binlog", now.head.value()),
      Gauge("sextant_binlog_synced", "Newest transaction synced", now.synced.value()),
      Gauge("sextant_binlog_durable", "Newest transaction answered to clients",
            now.durable.value()),
      Gauge("sextant_binlog_followers", "Replicas that follow", now.joined),
      Gauge("sextant_binlog_degraded", "1 while semi-sync has fallen back to async",
            now.mode == binlog::SyncMode::kDegraded),
      Gauge("sextant_commits_waiting", "Replies parked until enough nodes hold them", now.waits),
      Total("sextant_commits_total", "Transactions appended to the binlog", now.commits),
      Total("sextant_binlog_syncs_total", "Syncs of the binlog, one for a group of commits",
            now.syncs),
      Total("sextant_binlog_bytes_total", "Bytes written to the binlog", now.binlog_bytes),
  };
}

}  // namespace sextant::server
