// See writer_role.h.
#include "compute-node/server/writer_role.h"

#include <prometheus/registry.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/rpc/logging.h"
#include "common/rpc/server.h"
#include "compute-node/net/grpc_storage_peer.h"
#include "compute-node/server/compute_metrics.h"
#include "compute-node/server/compute_service.h"
#include "compute-node/server/sql_service.h"
#include "compute-node/server/volume_service.h"
#include "compute-node/sql/executor.h"

namespace sextant::server {
namespace {

using compute::VolumePhase;

std::vector<std::unique_ptr<compute::StoragePeer>> MakePeers(const ComputeFlags& flags,
                                                             compute::TimerQueue* timers) {
  std::vector<std::unique_ptr<compute::StoragePeer>> peers;
  for (const StorageNodeAddress& node : flags.storage_nodes) {
    compute::GrpcPeerOptions options;
    options.node = node.member.node;
    options.address = node.address;
    options.max_queued_bytes = flags.max_peer_queue_bytes;
    peers.push_back(compute::MakeGrpcStoragePeer(std::move(options), timers));
  }
  return peers;
}

sql::SqlOptions MakeSqlOptions(const ComputeFlags& flags) {
  sql::SqlOptions options;
  options.threads = flags.sql_threads;
  options.max_sessions = flags.sql_max_sessions;
  options.default_timeout = absl::Milliseconds(flags.commit_timeout_ms);
  return options;
}

}  // namespace

absl::Status RunWriter(ComputeFlags flags) {
  auto registry = std::make_shared<prometheus::Registry>();
  ComputeLatencies latencies(registry.get());
  flags.volume.on_durable = [&](absl::Duration took) { latencies.ObserveCommit(took); };
  flags.volume.on_grown = [&](absl::Duration took) { latencies.ObserveGrowth(took); };
  flags.volume.on_fetched = [&](absl::Duration took) { latencies.ObservePageRead(took); };

  compute::TimerQueue timers;
  ASSIGN_OR_RETURN(const std::unique_ptr<compute::WriterVolume> volume,
                   compute::WriterVolume::Make(flags.volume, MakePeers(flags, &timers)));
  compute::WriteTicketQueue tickets;
  ComputeService compute_service(flags.node, volume.get());
  VolumeService volume_service(volume.get(), &tickets,
                               {.commit_timeout = absl::Milliseconds(flags.commit_timeout_ms)});
  SqlService sql_service;
  std::unique_ptr<sql::SqlExecutor> sql;
  ASSIGN_OR_RETURN(
      const std::unique_ptr<rpc::Server> server,
      rpc::Server::Start(flags.common.server, {&compute_service, &volume_service, &sql_service},
                         registry, {std::make_shared<ComputeMetrics>(volume.get())}));
  spdlog::info("compute node listens{}",
               rpc::Fields("listen", server->address(), "metrics", server->metrics_address()));
  volume->Start([&](VolumePhase phase) {
    if (phase == VolumePhase::kOpen) {
      sql = std::make_unique<sql::SqlExecutor>(volume.get(), &tickets, MakeSqlOptions(flags));
      sql_service.Attach(sql.get());
    }
    server->SetReady(phase == VolumePhase::kOpen);
    if (phase == VolumePhase::kFenced) {
      spdlog::error("this node is no longer the writer{}",
                    rpc::Fields("error", volume->CheckOpen()));
    }
    // A volume that cannot be opened ends the process; a person must look at the storage nodes
    // first.
    if (phase == VolumePhase::kFailed) ::kill(::getpid(), SIGTERM);
  });

  const int signal = rpc::WaitForStopSignal();
  server->SetReady(false);
  const bool has_failed = volume->phase() == VolumePhase::kFailed;
  const absl::Status result = has_failed ? volume->CheckOpen() : absl::OkStatus();
  if (!has_failed) spdlog::info("compute node stops{}", rpc::Fields("signal", signal));
  sql_service.Detach();
  tickets.Shutdown();
  volume_service.EndStreams();
  const absl::Status drained = volume->Drain(absl::Milliseconds(flags.drain_timeout_ms));
  if (!drained.ok()) spdlog::warn("commits were left waiting{}", rpc::Fields("error", drained));
  // What still waits is answered now, so that the calls that wait can end.
  volume->Shutdown();
  if (sql) sql->Stop();
  server->Stop();
  return result;
}

}  // namespace sextant::server
