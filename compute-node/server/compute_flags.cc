// See compute_flags.h.
#include "compute-node/server/compute_flags.h"

#include <algorithm>

#include "common/base/status.h"
#include "common/base/text.h"
#include "compute-node/writer/founding.h"

namespace sextant::server {
namespace {

absl::StatusOr<StorageNodeAddress> ParseStorageNode(const std::string& text) {
  const size_t at = text.find('@');
  const size_t equals = text.find('=', at == std::string::npos ? 0 : at);
  const size_t colon = text.rfind(':');
  const bool is_whole = at != std::string::npos && at > 0 && equals != std::string::npos &&
                        equals > at + 1 && colon != std::string::npos && colon > equals + 1 &&
                        colon + 1 < text.size();
  if (!is_whole) {
    return absl::InvalidArgumentError(Text("--storage-node ", text,
                                           " is not NAME@ZONE=HOST:PORT, for example "
                                           "az1-a@az1=127.0.0.1:7001"));
  }
  return StorageNodeAddress{{text.substr(0, at), text.substr(at + 1, equals - at - 1)},
                            text.substr(equals + 1)};
}

absl::StatusOr<ComputeNodeAddress> ParseComputeNode(const std::string& text) {
  const size_t equals = text.find('=');
  const size_t colon = text.rfind(':');
  const bool is_whole = equals != std::string::npos && equals > 0 && colon != std::string::npos &&
                        colon > equals + 1 && colon + 1 < text.size();
  if (!is_whole) {
    return absl::InvalidArgumentError(Text(
        "--compute-node ", text, " is not NAME=HOST:PORT, for example reader-1=127.0.0.1:7011"));
  }
  return ComputeNodeAddress{text.substr(0, equals), text.substr(equals + 1)};
}

void AddWriterFlags(CLI::App* app, ComputeFlags* flags) {
  compute::WriterOptions& writer = flags->volume.writer;
  app->add_option("--lal", flags->volume.recovery.lal,
                  "Allocates no LSN so far above VDL (back-pressure).");
  rpc::AddByteSize(app, "--max-unacked-redo", &writer.max_unacked_bytes,
                   "Refuses appends while so much redo waits for its write quorum.");
  rpc::AddByteSize(app, "--max-retained-redo", &writer.max_retained_bytes,
                   "Keeps so much redo for members that are behind.");
  app->add_option("--max-batches-in-flight", writer.max_batches_in_flight,
                  "Seals a batch early while fewer than so many await their quorum.")
      ->check(CLI::PositiveNumber);
  rpc::AddByteSize(app, "--min-overlap", &writer.min_overlap_bytes,
                   "Lets a batch join others that await their quorum once it holds so much.");
  rpc::AddByteSize(app, "--max-batch", &writer.max_batch_bytes, "Seals a batch at this size.");
  rpc::AddByteSize(app, "--max-mtr", &writer.max_mtr_bytes,
                   "Refuses mini-transactions with more redo.");
  rpc::AddByteSize(app, "--max-volume-bytes", &writer.growth.max_volume_bytes,
                   "Lets the volume grow no larger than this.");
  app->add_option("--heartbeat-interval-ms", flags->heartbeat_interval_ms,
                  "Tells idle segments how far the volume is durable, this often.")
      ->check(CLI::PositiveNumber);
  app->add_option("--max-member-absence-s", flags->max_member_absence_s,
                  "Has segments keep their log for a member that is away so long; one that returns "
                  "later may be rebuilt from pages.")
      ->check(CLI::PositiveNumber);
  app->add_option("--reader-hold-s", flags->reader_hold_s,
                  "Keeps what a reader reads until nothing was heard of it for so long, and after "
                  "an opening so long for readers that have yet to come back.")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app->add_option("--retain-s", flags->retain_s,
                  "Keeps the volume as it was so long ago, to be read as of then.")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  rpc::AddByteSize(app, "--redo-ring", &flags->volume.redo_ring_bytes,
                   "Keeps so much recent redo in memory; a reader further behind jumps.");
  rpc::AddByteSize(app, "--max-peer-queue", &flags->max_peer_queue_bytes,
                   "Drops the stream to a storage node when so much waits to be sent.");
}

void AddBinlogFlags(CLI::App* app, BinlogFlags* flags) {
  app->add_option("--data-dir", flags->data_dir,
                  "Keeps data and binlog in this folder (traditional path).");
  app->add_option("--semi-sync-acks", flags->semi_sync_acks,
                  "Answers commits when so many replicas have synced them; 0: asynchronous.")
      ->capture_default_str();
  app->add_option("--semi-sync-fall-back-ms", flags->fall_back_ms,
                  "Goes on without replicas when they are silent for so long; 0: never. Commits "
                  "answered then may be lost at a failover.")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  rpc::AddByteSize(app, "--binlog-file-size", &flags->file_bytes,
                   "Begins a new binlog file when one is so large.");
}

// The traditional path has no storage nodes.
absl::Status CheckBinlogFlags(const ComputeFlags& flags) {
  if (flags.binlog.data_dir.empty()) {
    return absl::InvalidArgumentError(
        Text("--role ", flags.role, " keeps its data in a folder: give --data-dir"));
  }
  if (flags.storage_node_texts.empty() && flags.spare_node_texts.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      Text("--role ", flags.role, " uses no storage nodes: leave --storage-node out"));
}

}  // namespace

void AddComputeFlags(CLI::App* app, ComputeFlags* flags) {
  rpc::AddCommonFlags(app, &flags->common);
  app->add_option("--node-name", flags->node, "Names this node.")->capture_default_str();
  app->add_option("--role", flags->role,
                  "Sets what this node does: writer, or reader; or, in the traditional path, "
                  "binlog-source or binlog-replica.")
      ->capture_default_str()
      ->check(CLI::IsMember({"writer", "reader", "binlog-source", "binlog-replica"}));
  app->add_flag("--take-over", flags->takes_over,
                "Starts as the writer even if another compute node is; without it, this one reads "
                "then.");
  app->add_option("--storage-node", flags->storage_node_texts,
                  "Names a storage node, NAME@ZONE=HOST:PORT; six times, two in each of three "
                  "zones. Not in the traditional path.");
  app->add_option(
      "--spare-node", flags->spare_node_texts,
      "Names a storage node that a volume is not made on and that may replace a member, "
      "NAME@ZONE=HOST:PORT; any number.");
  app->add_option(
      "--compute-node", flags->compute_node_texts,
      "Names a compute node of the cluster, NAME=HOST:PORT; any number, this one may be "
      "among them. Clients are told of them, and readers look for the writer there.");
  app->add_flag("--create-volume", flags->create_volume,
                "Makes a volume if the storage nodes hold none; without it that is an error.");
  app->add_option("--page-size", flags->page_bytes, "Sets a new volume's page size, in bytes.")
      ->capture_default_str();
  rpc::AddByteSize(app, "--segment-size", &flags->segment_bytes,
                   "Sets a new volume's segment size.");
  app->add_option("--protection-groups", flags->protection_groups,
                  "Sets how many protection groups a new volume has.")
      ->capture_default_str();
  rpc::AddByteSize(app, "--page-cache", &flags->volume.page_cache_bytes,
                   "Caches so much of the pages in memory.");
  app->add_option("--commit-timeout-ms", flags->commit_timeout_ms,
                  "Waits at most so long for a commit where the client names no time.")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app->add_option("--drain-timeout-ms", flags->drain_timeout_ms,
                  "Waits at most so long for commits under way when stopped.")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app->add_option("--sql-threads", flags->sql_threads,
                  "Runs SQL on so many threads; 0: four per core, at least eight.");
  app->add_option("--sql-max-sessions", flags->sql_max_sessions,
                  "Refuses more SQL sessions than this at once.");
  AddWriterFlags(app, flags);
  AddBinlogFlags(app, &flags->binlog);
}

bool ComputeFlags::HasOtherComputeNodes() const {
  return std::any_of(compute_nodes.begin(), compute_nodes.end(),
                     [this](const ComputeNodeAddress& other) { return other.node != node; });
}

absl::Status CheckComputeFlags(ComputeFlags* flags) {
  for (const std::string& text : flags->compute_node_texts) {
    ASSIGN_OR_RETURN(ComputeNodeAddress node, ParseComputeNode(text));
    flags->compute_nodes.push_back(std::move(node));
  }
  if (flags->role.rfind("binlog-", 0) == 0) return CheckBinlogFlags(*flags);
  for (const std::string& text : flags->storage_node_texts) {
    ASSIGN_OR_RETURN(StorageNodeAddress node, ParseStorageNode(text));
    flags->volume.nodes.push_back(node.member);
    flags->storage_nodes.push_back(std::move(node));
  }
  RETURN_IF_ERROR(compute::MembershipOf(flags->volume.nodes).status());
  for (const std::string& text : flags->spare_node_texts) {
    ASSIGN_OR_RETURN(StorageNodeAddress node, ParseStorageNode(text));
    flags->volume.nodes.push_back(node.member);
    flags->storage_nodes.push_back(std::move(node));
  }
  RETURN_IF_ERROR(
      volume::ValidateGeometry(flags->page_bytes, flags->segment_bytes, flags->protection_groups));
  if (flags->create_volume) {
    flags->volume.create =
        volume::Geometry{.page_bytes = flags->page_bytes,
                         .pages_per_pg = flags->segment_bytes / flags->page_bytes,
                         .pg_count = flags->protection_groups};
  }
  flags->volume.writer.heartbeat_interval = absl::Milliseconds(flags->heartbeat_interval_ms);
  flags->volume.writer.max_member_absence = absl::Seconds(flags->max_member_absence_s);
  flags->volume.followers.hold = absl::Seconds(flags->reader_hold_s);
  flags->volume.retain = absl::Seconds(flags->retain_s);
  return absl::OkStatus();
}

}  // namespace sextant::server
