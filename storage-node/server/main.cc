// sextant-storage-node: hosts segments of volumes in a data directory and serves them over gRPC.
#include <prometheus/registry.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/rpc/flags.h"
#include "common/rpc/logging.h"
#include "common/rpc/server.h"
#include "storage-node/server/gossip_peers.h"
#include "storage-node/server/gossip_runner.h"
#include "storage-node/server/node_metrics.h"
#include "storage-node/server/storage_node.h"
#include "storage-node/server/storage_service.h"
#include "storage-node/store/rocksdb_store.h"

namespace sextant::storage {
namespace {

struct Flags {
  rpc::CommonFlags common;
  RocksDbStoreOptions store;
  StorageNodeOptions node;
  std::vector<std::string> peers;
  GossipRunnerOptions repair;
  int64_t scrub_interval_s = 3600;
};

void AddRepairFlags(CLI::App* app, Flags* flags) {
  rpc::AddByteSize(app, "--repair-rate", &flags->repair.bytes_per_second,
                   "Fetches at most so much a second from peers: log, pages, repairs.");
  rpc::AddByteSize(app, "--scrub-rate", &flags->node.upkeep.scrub_bytes_per_second,
                   "Reads and verifies at most so much a second of what is stored.");
  app->add_option("--scrub-interval-s", flags->scrub_interval_s,
                  "Begins verifying everything anew so often, if it is through by then.")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void AddFlags(CLI::App* app, Flags* flags) {
  rpc::AddCommonFlags(app, &flags->common);
  app->add_option("--node-name", flags->node.node, "Names this node, for example az1-a.")
      ->required();
  app->add_option("--zone", flags->node.zone, "Names its availability zone, for example az1.")
      ->required();
  app->add_option("--data-dir", flags->store.directory,
                  "Keeps log and pages here; made if missing, refused if another node's.")
      ->required();
  app->add_option("--peer", flags->peers,
                  "Asks this storage node for log records that are missing here: NAME=HOST:PORT, "
                  "once per node; its own name is passed over.");
  rpc::AddByteSize(app, "--disk-reserve", &flags->store.disk_reserve_bytes,
                   "Refuses writes when less than this would stay free on the disk.");
  rpc::AddByteSize(app, "--block-cache", &flags->store.block_cache_bytes,
                   "Caches so much of the files in memory.");
  rpc::AddByteSize(app, "--log-memtable", &flags->store.log_memtable_bytes,
                   "Buffers so much redo before writing a table; up to three buffers.");
  rpc::AddByteSize(app, "--page-memtable", &flags->store.page_memtable_bytes,
                   "Buffers so much of page versions before writing a table; up to three buffers.");
  rpc::AddByteSize(app, "--max-wal", &flags->store.max_wal_bytes,
                   "Bounds the write-ahead log, and with it the time to open.");
  rpc::AddByteSize(app, "--max-pending", &flags->node.max_pending_bytes,
                   "Refuses batches when so much waits for the disk.");
  app->add_option("--store-page-after-records", flags->node.store_page_after_records,
                  "Keeps a page version when making it applied at least so many records.");
}

void AddUpkeepFlags(CLI::App* app, UpkeepOptions* upkeep) {
  app->add_option("--upkeep", upkeep->is_enabled,
                  "Makes page versions in the background and collects the log they replace.")
      ->capture_default_str();
  rpc::AddByteSize(app, "--upkeep-rate", &upkeep->bytes_per_second,
                   "Reads and writes at most so much a second in the background.");
  rpc::AddByteSize(app, "--collect-log", &upkeep->collect.min_bytes,
                   "Collects a segment's log when that gives back so much.");
}

// A node whose disk failed must not go on: what it would acknowledge next may not be there. Where a
// file is damaged the next start mends it (rocksdb_salvage.h), so the process begins anew at once.
[[noreturn]] void Die(const absl::Status& error, char** argv) {
  const bool is_damage = absl::IsDataLoss(error);
  spdlog::error("{}: the storage node {}{}",
                is_damage ? "a damaged table cannot be compacted" : "first failed write or sync",
                is_damage ? "starts anew to rewrite it" : "ends", rpc::Fields("error", error));
  spdlog::default_logger()->flush();
  if (is_damage) ::execv("/proc/self/exe", argv);
  _exit(rpc::kExitFailure);
}

absl::Status Serve(Flags flags, PeerNodes peers, char** argv) {
  flags.store.node = flags.node.node;
  flags.store.zone = flags.node.zone;
  flags.node.upkeep.scrub.interval = absl::Seconds(flags.scrub_interval_s);
  auto registry = std::make_shared<prometheus::Registry>();
  CommitLatency latency(registry.get());
  flags.node.observe_commit = [&latency](absl::Duration took) { latency.Observe(took); };

  ASSIGN_OR_RETURN(std::unique_ptr<SegmentStore> store, OpenRocksDbStore(flags.store));
  ASSIGN_OR_RETURN(const std::unique_ptr<StorageNode> node,
                   StorageNode::Open(flags.node, std::move(store),
                                     [argv](const absl::Status& error) { Die(error, argv); }));
  const auto gossip = std::make_unique<GossipRunner>(node.get(), std::move(peers), flags.repair);
  const std::unique_ptr<StorageService> service = StorageService::Make(node.get());
  ASSIGN_OR_RETURN(const std::unique_ptr<rpc::Server> server,
                   rpc::Server::Start(flags.common.server, {service->service()}, registry,
                                      {std::make_shared<NodeMetrics>(node.get()),
                                       std::make_shared<GossipMetrics>(gossip.get())}));
  server->SetReady(true);
  spdlog::info("storage node serves{}",
               rpc::Fields("zone", flags.node.zone, "listen", server->address(), "metrics",
                           server->metrics_address(), "data_dir", flags.store.directory));
  const int signal = rpc::WaitForStopSignal();
  spdlog::info("storage node stops{}", rpc::Fields("signal", signal));
  service->EndStreams();
  server->Stop();
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  CLI::App app("Hosts segments of Sextant volumes: keeps their redo log, serves their pages.",
               "sextant-storage-node");
  Flags flags;
  AddFlags(&app, &flags);
  AddUpkeepFlags(&app, &flags.node.upkeep);
  AddRepairFlags(&app, &flags);
  if (const auto exit_code = rpc::ParseFlags(&app, argc, argv)) return *exit_code;
  flags.common.log.process = "storage-node";
  flags.common.log.node = flags.node.node;
  absl::Status usage = rpc::SetUpLogging(flags.common.log);
  rpc::PrepareServerProcess();
  absl::StatusOr<PeerNodes> peers = GrpcPeers(flags.peers);
  usage.Update(peers.status());
  if (!usage.ok()) {
    std::cerr << "sextant-storage-node: " << usage.message() << "\n";
    return rpc::kExitUsage;
  }
  const absl::Status status = Serve(std::move(flags), *std::move(peers), argv);
  if (status.ok()) return 0;
  spdlog::error("the storage node cannot run{}", rpc::Fields("error", status));
  return rpc::kExitFailure;
}

}  // namespace
}  // namespace sextant::storage

int main(int argc, char** argv) { return sextant::storage::Main(argc, argv); }
