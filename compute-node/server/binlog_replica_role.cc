// See binlog_replica_role.h. Following, rewinding and seeding: binlog_replica_follow.cc; pledging
// and being promoted: binlog_replica_promotion.cc.
#include "compute-node/server/binlog_replica_role.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"
#include "compute-node/server/compute_metrics.h"
#include "compute-node/server/role_parts.h"

namespace sextant::server {

BinlogReplicaRole::BinlogReplicaRole(const RoleContext& context)
    : context_(context), peers_(context.flags.compute_nodes, context.flags.node) {}

absl::Status BinlogReplicaRole::Start() {
  RETURN_IF_ERROR(OpenCopy());
  context_.binlog.Attach(this);
  // The source of the last tenure goes on as that, unless it was replaced.
  const binlog::NodeState state = copy()->data->state();
  if (state.source != binlog::SourceId(0)) {
    const std::vector<BinlogPeer> others = peers_.Ask();
    if (BinlogPeers::HighestTenure(others) <= state.tenure) {
      context_.host.ChangeRole(RoleKind::kBinlogSource,
                               absl::UnavailableError("this node is the source: connect again"));
      return absl::OkStatus();
    }
  }
  context_.host.SetReady(state.is_whole);
  follow_ = std::thread([this] { RunFollow(); });
  watch_ = std::thread([this] { Watch(); });
  return absl::OkStatus();
}

void BinlogReplicaRole::Stop(const absl::Status& why) {
  {
    std::lock_guard lock(mutex_);
    is_stopping_ = true;
    if (call_ != nullptr) call_->TryCancel();
    stopping_.notify_all();
  }
  if (follow_.joinable()) follow_.join();
  if (watch_.joinable()) watch_.join();
  SavePromotion();
  context_.binlog.Detach(why);
  context_.binlog.AwaitUnused();
  CloseCopy(why).IgnoreError();  // refused only while it is not stopping
}

std::shared_ptr<BinlogReplicaRole::Copy> BinlogReplicaRole::copy() const {
  std::lock_guard lock(mutex_);
  return copy_;
}

absl::Status BinlogReplicaRole::OpenCopy() {
  const BinlogFlags& flags = context_.flags.binlog;
  auto fresh = std::make_shared<Copy>();
  ASSIGN_OR_RETURN(fresh->data, binlog::LocalData::Open(flags.data_dir, binlog::ReplicaId(DrawId()),
                                                        {.max_file_bytes = flags.file_bytes}));
  fresh->engine =
      std::make_unique<binlog::ReplicaEngine>(fresh->data.get(), binlog::ReplicaOptions{});
  sql::SqlOptions options = MakeSqlOptions(context_.flags);
  options.is_read_only = true;
  options.find_writer = [this]() -> std::optional<sql::NodeAddress> {
    const std::optional<ComputeNodeAddress> writer = Writer();
    if (!writer.has_value()) return std::nullopt;
    return sql::NodeAddress{writer->node, writer->address};
  };
  fresh->sql = std::make_unique<sql::SqlExecutor>(fresh->engine.get(), &fresh->tickets, options);
  context_.sql.Attach(fresh->sql.get());
  std::lock_guard lock(mutex_);
  copy_ = std::move(fresh);
  return absl::OkStatus();
}

absl::Status BinlogReplicaRole::CloseCopy(const absl::Status& why) {
  std::shared_ptr<Copy> old;
  {
    std::lock_guard lock(mutex_);
    if (claim_ != 0 && !is_stopping_) {
      return absl::CancelledError("this node is being promoted with what it holds");
    }
    old = std::exchange(copy_, nullptr);
  }
  if (old == nullptr) return absl::OkStatus();
  context_.sql.Detach(why);
  old->sql->CloseSessions(why);
  old->engine->Stop(/*apply_all=*/false);
  context_.sql.AwaitUnused(kAnswerPatience);
  old->sql->Stop();
  return absl::OkStatus();
}

std::shared_ptr<binlog::LocalData> BinlogReplicaRole::data() {
  const std::shared_ptr<Copy> now = copy();
  return now == nullptr ? nullptr : now->data;
}

binlog::TxnSeq BinlogReplicaRole::synced() const {
  const std::shared_ptr<Copy> now = copy();
  return now == nullptr ? binlog::TxnSeq(0) : now->engine->status().synced;
}

std::optional<ComputeNodeAddress> BinlogReplicaRole::Writer() const {
  std::lock_guard lock(mutex_);
  return source_;
}

void BinlogReplicaRole::FillStatus(v1::ComputeStatus* status) const {
  const std::shared_ptr<Copy> now = copy();
  if (now == nullptr) {
    std::lock_guard lock(mutex_);
    status->set_phase("seeding");
    status->set_detail(seeding_);
    return;
  }
  const binlog::ReplicaStatus replica = now->engine->status();
  status->set_phase(!replica.broken.ok()   ? "failed"
                    : replica.is_connected ? "following"
                                           : "cut-off");
  const binlog::NodeState state = now->data->state();
  const std::optional<binlog::Pledge> awaited = binlog::Awaited(state.pledges, state.tenure);
  if (!replica.broken.ok()) {
    status->set_detail(std::string(View(replica.broken.message())));
  } else if (awaited.has_value()) {
    status->set_detail(Text("waits for ", awaited->candidate, " to lead as tenure ",
                            awaited->tenure, ": bring it back, or promote another replica"));
  }
  // What it lacks of a later one, it cannot show.
  status->set_epoch(state.held);
  status->set_head(replica.received.last().value());
  status->set_vcl(replica.synced.value());
  status->set_vdl(replica.applied.value());
  v1::ReaderProgress* reader = status->mutable_reader();
  reader->set_is_connected(replica.is_connected);
  reader->set_published(replica.applied.value());
  if (replica.lag.has_value()) reader->set_lag_ms(absl::ToDoubleMilliseconds(*replica.lag));
}

void BinlogReplicaRole::FillStatus(v1::BinlogStatus* status) const {
  status->set_node(context_.flags.node);
  status->set_role(RoleName(kind()));
  status->set_acks(static_cast<uint32_t>(context_.flags.binlog.semi_sync_acks));
  std::shared_ptr<Copy> now;
  {
    std::lock_guard lock(mutex_);
    status->set_claim(claim_);
    status->set_seeding(seeding_);
    now = copy_;
  }
  if (now == nullptr) return;
  const binlog::ReplicaStatus replica = now->engine->status();
  status->set_history(replica.received.Through(replica.synced).ToString());
  status->set_applied(replica.applied.value());
  status->set_is_connected(replica.is_connected);
  if (replica.lag.has_value()) status->set_lag_ms(absl::ToDoubleMilliseconds(*replica.lag));
  if (!replica.broken.ok()) status->set_broken(std::string(View(replica.broken.message())));
  status->set_binlog_bytes(replica.relay_bytes);
  FillState(now->data->state(), status);
}

std::vector<prometheus::MetricFamily> BinlogReplicaRole::Metrics() const {
  const std::shared_ptr<Copy> now = copy();
  if (now == nullptr) return {};
  const binlog::ReplicaStatus replica = now->engine->status();
  std::vector<prometheus::MetricFamily> families = {
      Gauge("sextant_binlog_synced", "Newest transaction in the synced relay log",
            replica.synced.value()),
      Gauge("sextant_binlog_applied", "Newest transaction visible to reads",
            replica.applied.value()),
      Gauge("sextant_binlog_connected", "1 while the source can be heard", replica.is_connected),
      Gauge("sextant_binlog_broken", "1 when nothing is applied any more", !replica.broken.ok()),
      Total("sextant_binlog_bytes_total", "Bytes written to the relay log", replica.relay_bytes),
  };
  if (replica.lag.has_value()) {  // unknown is not 0
    families.push_back(Gauge("sextant_binlog_lag_milliseconds",
                             "Commit on the source to visible here, by both clocks",
                             static_cast<uint64_t>(absl::ToInt64Milliseconds(*replica.lag))));
  }
  return families;
}

}  // namespace sextant::server
