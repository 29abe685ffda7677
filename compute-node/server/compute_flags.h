// The command line of sextant-compute-node. Internal to server/.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/rpc/flags.h"
#include "common/volume/descriptor.h"
#include "common/volume/geometry.h"
#include "compute-node/writer/writer_volume.h"

namespace sextant::server {

struct StorageNodeAddress {
  volume::Member member;
  std::string address;
};

struct ComputeNodeAddress {
  std::string node;
  std::string address;  // HOST:PORT
};

// Of the traditional path.
struct BinlogFlags {
  std::string data_dir;
  size_t semi_sync_acks = 0;
  int fall_back_ms = 0;  // 0: never
  uint64_t file_bytes = 64ull << 20;
};

struct ComputeFlags {
  rpc::CommonFlags common;
  std::string node = "writer";
  std::string role = "writer";
  bool takes_over = false;
  std::vector<std::string> storage_node_texts;  // NAME@ZONE=HOST:PORT
  std::vector<std::string> spare_node_texts;    // likewise
  std::vector<std::string> compute_node_texts;  // NAME=HOST:PORT
  bool create_volume = false;
  uint32_t page_bytes = 4096;
  uint64_t segment_bytes = volume::kDefaultSegmentBytes;
  uint32_t protection_groups = 1;
  int commit_timeout_ms = 10'000;
  int drain_timeout_ms = 5'000;
  int heartbeat_interval_ms = 200;
  int max_member_absence_s = 600;
  int reader_hold_s = 30;
  int retain_s = 60;
  uint64_t max_peer_queue_bytes = 64ull << 20;
  int sql_threads = 0;
  size_t sql_max_sessions = 1024;
  compute::WriterVolumeOptions volume;
  BinlogFlags binlog;

  // By CheckComputeFlags:
  std::vector<StorageNodeAddress> storage_nodes;  // of both
  std::vector<ComputeNodeAddress> compute_nodes;  // this one too, if it was named

  bool HasOtherComputeNodes() const;
};

void AddComputeFlags(CLI::App* app, ComputeFlags* flags);

// Fills in what follows from the flags. INVALID_ARGUMENT: what is wrong, and what would be right.
absl::Status CheckComputeFlags(ComputeFlags* flags);

}  // namespace sextant::server
