// StorageHost: a simulated storage node, the shell around real segments.
//
// Does what storage-node/server does, in events instead of threads: storage_node.cc (loading,
// appending and claims here, creation, drops and what peers gave in storage_segments.cc),
// committer.cc (SimCommitter), segment_reader.cc and page_copier.cc (storage_reads.cc),
// gossip_runner.cc (SimGossip), collect_task.cc and scrub_task.cc (SimUpkeep). Order of disk and
// answers is theirs. A process dies and starts again on the same disk.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage-node/segment/dropped_segments.h"
#include "tests/simulation/disk/sim_disk.h"
#include "tests/simulation/network/network.h"
#include "tests/simulation/network/streams.h"
#include "tests/simulation/storage/sim_committer.h"
#include "tests/simulation/storage/sim_gossip.h"
#include "tests/simulation/storage/sim_upkeep.h"
#include "tests/simulation/storage/slot.h"

namespace sextant::simulation {

class StorageHost final : public StreamServer {
 public:
  struct World {  // what it lives in
    Sim* sim;
    Network* network;
    Streams* streams;
    const GossipPlan* gossip;
    const UpkeepPlan* upkeep;
    // A node by name; null: there is none.
    std::function<StorageHost*(const std::string&)> find;
  };
  StorageHost(World world, NodeNo node, volume::Member member);

  // --- life
  void Start();
  void Kill(bool power_lost);
  bool is_up() const { return running_ != nullptr; }
  ProcessId process() const { return process_; }
  const volume::Member& member() const { return member_; }
  SimDisk& disk() { return disk_; }

  // --- served; each answers once, perhaps never if the process dies
  void GetStatus(Network::Answer<protocol::NodeStatus> answer);
  void RaiseEpoch(const protocol::RaiseEpochRequest& request,
                  Network::Answer<protocol::SegmentStatus> answer);
  void CreateSegment(const protocol::CreateSegmentRequest& request,
                     Network::Answer<protocol::SegmentStatus> answer);
  void DropSegment(const protocol::DropSegmentRequest& request,
                   Network::Answer<protocol::DropSegmentReply> answer);
  void ReadLog(const protocol::ReadLogRequest& request,
               Network::Answer<protocol::ReadLogReply> answer);
  void ReadPages(const protocol::ReadPagesRequest& request,
                 Network::Answer<protocol::ReadPagesReply> answer);
  void CopyPages(const protocol::CopyPagesRequest& request,
                 Network::Answer<protocol::CopyPagesReply> answer);

  // --- StreamServer
  void StreamOpened(StreamId stream) override;
  void BatchArrived(StreamId stream, std::shared_ptr<const std::string> bytes) override;
  void ProbeArrived(StreamId stream, const protocol::EpochProbe& probe) override;
  void StreamEnded(StreamId stream) override;

  // --- for the end of the day
  std::vector<protocol::SegmentStatus> Statuses() const;
  uint64_t gossip_requests() const;

 private:
  struct Running {  // a process's memory
    Slots slots;
    std::map<StreamId, bool> streams;
    std::map<storage::ReplyToken, Network::Answer<protocol::SegmentStatus>> raises;
    std::map<storage::ReplyToken, protocol::RaiseEpochRequest> raise_requests;
    std::map<storage::ReplyToken, std::function<void(absl::Status)>> log_starts;
    std::vector<std::unique_ptr<Slot>> dropped_slots;  // something may still be looking at one
    storage::DroppedSegments dropped;
    std::set<std::pair<SegmentId, storage::DamagedPage>> damaged_pages;
    std::unique_ptr<SimCommitter> committer;
    std::unique_ptr<SimGossip> gossip;
    std::unique_ptr<SimUpkeep> upkeep;
    bool is_creating = false;  // or dropping
  };
  struct PageRead;
  struct PageCopy;
  struct Base {
    std::optional<page::PageImage> image;
    bool is_damaged = false;  // there was a newer one, and it must be replaced
  };
  struct Made {
    page::PageImage image;
    int applied = 0;
  };

  static absl::Status NoSuchSegment(SegmentId segment);
  Slot* Find(SegmentId segment) const;  // null: there is none
  void Load();
  SimCommitter::Out CommitterOut();
  SimGossip::Node GossipNode();
  SimUpkeep::Node UpkeepNode();
  void Append(storage::ReplyToken from, std::shared_ptr<const std::string> bytes);
  void AnswerDamaged(storage::ReplyToken from, const std::string& bytes, const absl::Status& why);
  void Refuse(storage::ReplyToken from, SegmentId segment, absl::Status why);
  void CountLateWrite(const Slot& slot, const log::BatchView& view);
  void Deliver(const storage::SegmentOutput::Ack& ack);
  void DeliverRaise(storage::SegmentOutput::EpochReply reply);
  // --- storage_segments.cc
  absl::Status CheckCreate(const protocol::CreateSegmentRequest& request) const;
  // Runs `again` later if another creation or drop is under way.
  bool IsCreating(std::function<void()> again);
  void MoveLogStart(Slot* slot, const storage::LogStart& to,
                    std::function<void(absl::Status)> done);
  absl::Status StorePages(SegmentId segment,
                          const std::vector<protocol::CopyPagesReply::Page>& pages);
  absl::Status CheckStored(SegmentId segment, const std::vector<storage::PageVersion>& versions);
  void ReadBack(SegmentId segment, const storage::Rebuild::ReadBack& what,
                std::function<void(absl::Status)> done);
  void BeginLogAt(SegmentId segment, IncarnationId incarnation, const storage::LogStart& to,
                  std::function<void(absl::Status)> done);
  absl::Status ReplacePage(SegmentId segment, const storage::PageRepair::Replace& replace);
  // A failed write outside the committer ends the process too.
  absl::Status Written(absl::Status status);
  void BatchDamaged(Slot* slot, storage::LogPosition position);
  void PageDamaged(SegmentId segment, const storage::DamagedPage& damaged);
  // --- storage_reads.cc
  void StartRead(const std::shared_ptr<PageRead>& read);
  void PlanRead(const std::shared_ptr<PageRead>& read);
  void EndRead(const std::shared_ptr<PageRead>& read,
               absl::StatusOr<protocol::ReadPagesReply> reply);
  absl::StatusOr<protocol::ReadPagesReply> FinishRead(const std::shared_ptr<PageRead>& read);
  absl::StatusOr<Base> ReadBase(const Slot& slot, PageNo page, Lsn read_point, Lsn log_start);
  absl::StatusOr<Made> MakePage(Slot* slot, const storage::PageReadPlan& plan, Base base);
  absl::StatusOr<SimUpkeep::Version> MakeVersion(Slot* slot, PageNo page, Lsn through);
  void StartLogRead(Slot* slot, const protocol::ReadLogRequest& request,
                    Network::Answer<protocol::ReadLogReply> answer);
  absl::StatusOr<protocol::ReadLogReply> CarryOut(Slot* slot, const storage::LogReadPlan& plan);
  absl::StatusOr<log::RedoRecord> FetchRecord(Slot* slot, const storage::RecordLocation& at);
  void CopyNext(const std::shared_ptr<PageCopy>& copy);
  void CopyPage(const std::shared_ptr<PageCopy>& copy, size_t index);

  Sim& sim_;
  const World world_;
  const NodeNo node_;
  const volume::Member member_;
  const ProcessId process_;
  SimDisk disk_;
  std::unique_ptr<Running> running_;
  uint64_t last_token_ = 1ull << 60;  // of raises: above every stream
};

}  // namespace sextant::simulation
