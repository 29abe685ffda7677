// See reader_role.h.
#include "compute-node/server/reader_role.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "common/base/status.h"
#include "compute-node/reader/grpc_redo_source.h"
#include "compute-node/server/reader_report.h"

namespace sextant::server {
namespace {

absl::Status NotTheWriter() {
  return absl::FailedPreconditionError(
      "this node only reads: ask its ComputeService who the writer is");
}

std::unique_ptr<compute::RedoSource> MakeSource(const RoleContext& context) {
  compute::GrpcRedoSourceOptions options;
  for (const ComputeNodeAddress& node : context.flags.compute_nodes) {
    if (node.node == context.flags.node) continue;
    options.nodes.push_back({.node = node.node, .address = node.address});
  }
  return compute::MakeGrpcRedoSource(std::move(options));
}

}  // namespace

absl::Status ReaderRole::Start() {
  compute::ReaderVolumeOptions options;
  options.node = context_.flags.node;
  for (const StorageNodeAddress& node : context_.flags.storage_nodes) {
    options.storage_nodes.push_back(node.member.node);
  }
  options.fetch = context_.flags.volume.fetch;
  options.page_cache_bytes = context_.flags.volume.page_cache_bytes;
  ComputeLatencies& latencies = context_.latencies;
  options.on_fetched = [&latencies](absl::Duration took) { latencies.ObservePageRead(took); };
  options.on_visible = [&latencies](absl::Duration lag, uint64_t commits) {
    latencies.ObserveLag(lag, commits);
  };
  context_.redo.Refuse(NotTheWriter());
  volume_ = std::make_unique<compute::ReaderVolume>(
      std::move(options), MakePeers(context_.flags, &timers_), MakeSource(context_));
  log_ = std::make_unique<VolumeBackend>(volume_.get(), VolumeServiceOptions{});
  context_.volume.Attach(log_.get());
  volume_->Start([this] { Serve(); });
  return absl::OkStatus();
}

void ReaderRole::Serve() {
  sql_.Serve([this] {
    sql::SqlOptions options = MakeSqlOptions(context_.flags);
    options.is_read_only = true;
    options.find_writer = [this]() -> std::optional<sql::NodeAddress> {
      const std::optional<ComputeNodeAddress> writer = Writer();
      if (!writer) return std::nullopt;
      return sql::NodeAddress{writer->node, writer->address};
    };
    auto sql = std::make_unique<sql::SqlExecutor>(volume_.get(), &tickets_, std::move(options));
    context_.sql.Attach(sql.get());
    return sql;
  });
  context_.host.SetReady(true);
}

void ReaderRole::Stop(const absl::Status& why) {
  sql::SqlExecutor* const sql = sql_.Close();
  context_.sql.Detach(why);
  context_.volume.Detach(log_.get(), why);
  tickets_.Shutdown();
  if (sql != nullptr) sql->CloseSessions(why);
  // What still waits is answered now, so that the calls that wait can end.
  volume_->Shutdown();
  context_.handover.history = volume_->History();
  context_.sql.AwaitUnused(kAnswerPatience);
  context_.volume.AwaitUnused(log_.get(), kAnswerPatience);
  if (sql != nullptr) sql->Stop();
}

void ReaderRole::FillStatus(v1::ComputeStatus* status) const {
  FillReaderStatus(volume_->status(), status);
}

std::vector<prometheus::MetricFamily> ReaderRole::Metrics() const {
  return ReaderMetrics(*volume_);
}

std::optional<ComputeNodeAddress> ReaderRole::Writer() const {
  const std::optional<compute::ComputeNodeName> writer = volume_->writer();
  if (!writer) return std::nullopt;
  return ComputeNodeAddress{writer->node, writer->address};
}

}  // namespace sextant::server
