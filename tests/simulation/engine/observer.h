// Observer: what the simulated world tells the checkers. Checkers see this and disks, never a
// node's memory.
//
// Everything is told at the moment at which it happens, before anybody can react to it.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "common/protocol/storage_messages.h"
#include "compute-node/volume/recovery.h"
#include "compute-node/volume/writer.h"
#include "storage-node/store/segment_store.h"

namespace sextant::simulation {

using NodeNo = int;     // 0-based storage node
using ComputeNo = int;  // 0-based compute node

class Observer {
 public:
  virtual ~Observer() = default;

  // --- disks
  // All of `write` will survive a power loss from now on.
  virtual void Durable(NodeNo node, const storage::StoreWrite& write) {}
  // What the disk holds at this position was damaged or lost behind the node's back.
  virtual void LogInjured(NodeNo node, SegmentId segment, storage::LogPosition position) {}
  // A batch lies at a position where nobody wrote it: a misdirected write.
  virtual void LogAppeared(NodeNo node, const storage::LogAppend& append) {}
  virtual void DiskLost(NodeNo node) {}

  // --- storage nodes
  virtual void NodeStarted(NodeNo node, const std::vector<protocol::SegmentStatus>& segments) {}
  // Answers at the moment at which they leave.
  virtual void AckLeft(NodeNo node, const protocol::AppendAck& ack) {}
  virtual void RaiseAnswered(NodeNo node, const protocol::RaiseEpochRequest& request,
                             const absl::StatusOr<protocol::SegmentStatus>& reply) {}
  // `known_truncations`: what was durable on the segment when it planned the read.
  virtual void LogServed(NodeNo node, const protocol::ReadLogRequest& request,
                         const protocol::ReadLogReply& reply,
                         const std::vector<volume::Truncation>& known_truncations) {}

  // --- compute nodes
  // A recovery, which has claimed `epoch`, is in another phase than before.
  virtual void RecoveryMoved(ComputeNo compute, VolumeEpoch epoch, compute::Recovery::Phase from,
                             compute::Recovery::Phase to) {}
  // It will not open: the error of Opening.
  virtual void OpeningFailed(ComputeNo compute, const absl::Status& why) {}
  virtual void Opened(ComputeNo compute, const compute::RecoveredVolume& volume) {}
  virtual void Appended(ComputeNo compute, VolumeEpoch epoch,
                        const compute::Writer::Appended& appended,
                        const std::vector<page::PageChange>& changes,
                        const std::vector<std::string>& images) {}
  // `lowest_point`: the lowest read point that is open on the writer, or its VDL.
  virtual void BatchSent(ComputeNo compute, const log::EncodedBatch& batch, Lsn lowest_point) {}
  virtual void VdlMoved(ComputeNo compute, VolumeEpoch epoch, Lsn vdl) {}
  virtual void CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) {}
  virtual void CommitUnknown(ComputeNo compute, VolumeEpoch epoch, Lsn commit) {}
  // A reader got these bytes.
  virtual void PageRead(ComputeNo compute, VolumeEpoch epoch, PageNo page, Lsn read_point,
                        const page::PageImage& image) {}
  // A reply left for a client that wanted the newest: what it shows is as of `position`, and the
  // request came in at `asked_at` (true time).
  virtual void NewestShown(ComputeNo compute, VolumeEpoch epoch, Lsn position, Instant asked_at) {}
  // A segment had it that the read point is out of range, while it is open on the writer.
  virtual void ReadRefused(ComputeNo compute, NodeNo node,
                           const protocol::ReadPagesRequest& request, const absl::Status& why) {}
  // --- readers
  // Views may open at `vdl` there.
  virtual void Published(int reader, VolumeEpoch epoch, Lsn vdl) {}
  virtual void ReaderDied(int reader) {}
  virtual void ReaderRead(int reader, VolumeEpoch epoch, PageNo page, Lsn read_point,
                          const page::PageImage& image) {}
  // A segment refused a read point that the writer had been told of, and not long ago.
  virtual void ReaderRefused(int reader, NodeNo node, const protocol::ReadPagesRequest& request,
                             const absl::Status& why) {}
  // After every step of a compute node.
  virtual void WriterStepped(ComputeNo compute, const compute::Writer& writer) {}
};

}  // namespace sextant::simulation
