// ClusterPicture: everything `cluster status` shows, gathered from processes and nodes. Plain data.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster/cluster_state.h"
#include "sextant/v1/compute.pb.h"
#include "sextant/v1/storage.pb.h"

namespace sextant::cli {

// One copy of a protection group. `state` is the writer's word for it (streaming, behind,
// raising-epoch, damaged, no-space, down) or "rebuilding"; where no writer answers it is "idle" for
// a segment whose node answers and "down" for one whose node does not.
struct SegmentPicture {
  uint32_t pg = 0;
  std::string state;
  std::optional<uint64_t> scl;  // empty: nobody knows it now
  std::optional<uint64_t> lag;  // LSNs behind the last one of its protection group
  uint64_t epoch = 0;           // 0: the node did not answer
  uint64_t log_bytes = 0;
  uint64_t log_start = 0;  // LSN at or below which the log is not kept any more
  bool is_damaged = false;
  std::optional<int> rebuilt_percent;  // while it is rebuilt from its peers' pages
  uint64_t copied_bytes = 0;           // of them, likewise
};

struct NodePicture {
  std::string name;
  std::string zone;
  std::string process;  // running, stopped, paused; empty where processes are not ours to see
  pid_t pid = 0;
  std::string address;  // gRPC; empty where unknown
  bool answers = false;
  std::string error;  // why it does not
  std::vector<SegmentPicture> segments;
};

// What every compute node shows, whatever its role.
struct ComputePicture {
  std::string name;
  std::string process;  // as NodePicture's
  pid_t pid = 0;
  std::string address;
  bool answers = false;
  std::string error;  // why it does not
  // As it says itself; empty when it does not answer.
  std::string role;   // writer, reader, binlog-source, binlog-replica
  std::string phase;  // recovering, open, fenced, failed, ...
  std::string detail;
};

struct WriterPicture : ComputePicture {
  uint64_t commits = 0;
  uint64_t waits = 0;
  uint64_t unacked_bytes = 0;
  double recovery_seconds = 0;
};

// A compute node that does not write now.
struct ReaderPicture : ComputePicture {
  uint64_t epoch = 0;
  bool is_connected = false;  // to the writer's redo
  uint64_t published = 0;     // the VDL that it shows
  // Commit to visible, of the last while; empty: unknown, for it is cut off or nothing was written.
  std::optional<double> lag_ms;  // of the last one
  std::optional<double> lag_p50_ms, lag_p99_ms, lag_max_ms;
  uint64_t jumps = 0;
};

// The traditional path, as its source has it: numbers of transactions.
struct BinlogPicture {
  uint64_t tenure = 0;
  uint64_t head = 0, synced = 0, answered = 0;
};

struct VolumePicture {
  uint64_t id = 0;
  uint64_t epoch = 0;
  uint64_t vcl = 0, head = 0, pgmrpl = 0;  // known by the writer only
  uint64_t vdl = 0;  // without the writer: the highest that a segment was told
  uint32_t page_bytes = 0;
  uint64_t segment_bytes = 0;
  uint32_t protection_groups = 0;
  bool is_from_writer = false;
};

// A member that is being replaced.
struct ChangePicture {
  uint32_t pg = 0;
  std::string from, to;
  uint64_t scl = 0, target = 0;  // of the new one; the change is over when it gets there
  bool is_held = false;
  std::optional<int> rebuilt_percent;  // of the new one
  uint64_t copied_bytes = 0;           // by it, so far
};

struct ClusterPicture {
  std::vector<ChangePicture> changes;
  bool is_binlog = false;               // the traditional path: no volume, a source that writes
  std::optional<BinlogPicture> binlog;  // of its source; empty: none answers
  std::optional<VolumePicture> volume;  // empty: nobody who answers knows of one
  std::vector<NodePicture> nodes;       // storage nodes, by zone and name
  WriterPicture writer;
  std::vector<ReaderPicture> readers;  // the other compute nodes
  // Members that stream in the protection group that has the fewest; -1 where no writer answers.
  int streaming_members = -1;
};

using StorageAnswer = absl::StatusOr<v1::NodeStatus>;
struct ComputeNodeAnswer {
  std::string address;
  absl::StatusOr<v1::ComputeStatus> status;
};

// Which of them (at least one) is the writer, by what they say: the open one of the highest epoch;
// else one that would like to be; else the first that answers; else the first.
size_t IndexOfWriter(const std::vector<ComputeNodeAnswer>& answers);

// `state`: a local cluster's, or empty when only compute endpoints are known. `storage` answers
// stand in the order of the state's storage nodes (empty without a state). `compute`: at least one.
// Pure: asks nobody.
ClusterPicture MakePicture(const std::optional<ClusterState>& state,
                           const std::vector<StorageAnswer>& storage,
                           const std::vector<ComputeNodeAnswer>& compute);

// "az3-b -> az3-c: SCL 10 of 90, pages copied 41 % (12 MiB)".
std::string DescribeChange(const ChangePicture& change);

// The picture as JSON, complete.
std::string PictureToJson(const ClusterPicture& picture, bool indent);

}  // namespace sextant::cli
