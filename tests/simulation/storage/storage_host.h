// StorageHost: a simulated storage node, the shell around real segments.
//
// Does what storage-node/server does, in events instead of threads: storage_node.cc (loading,
// appending, claims, creation), committer.cc (SimCommitter), segment_reader.cc (storage_reads.cc),
// gossip_runner.cc (SimGossip). Order of disk and answers is theirs. A process dies and starts
// again on the same disk.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "tests/simulation/disk/sim_disk.h"
#include "tests/simulation/network/network.h"
#include "tests/simulation/network/streams.h"
#include "tests/simulation/storage/sim_committer.h"
#include "tests/simulation/storage/sim_gossip.h"
#include "tests/simulation/storage/slot.h"

namespace sextant::simulation {

class StorageHost final : public StreamServer {
 public:
  struct World {  // what it lives in
    Sim* sim;
    Network* network;
    Streams* streams;
    const GossipPlan* gossip;
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
  void ReadLog(const protocol::ReadLogRequest& request,
               Network::Answer<protocol::ReadLogReply> answer);
  void ReadPages(const protocol::ReadPagesRequest& request,
                 Network::Answer<protocol::ReadPagesReply> answer);

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
    std::unique_ptr<SimCommitter> committer;
    std::unique_ptr<SimGossip> gossip;
    bool is_creating = false;
  };
  struct PageRead;

  static absl::Status NoSuchSegment(SegmentId segment);
  Slot* Find(SegmentId segment) const;  // null: there is none
  void Load();
  void StartGossip();
  void Append(storage::ReplyToken from, std::shared_ptr<const std::string> bytes);
  void AnswerDamaged(storage::ReplyToken from, const std::string& bytes, const absl::Status& why);
  void Refuse(storage::ReplyToken from, SegmentId segment, absl::Status why);
  void CountLateWrite(const Slot& slot, const log::BatchView& view);
  void Deliver(const storage::SegmentOutput::Ack& ack);
  void DeliverRaise(storage::SegmentOutput::EpochReply reply);
  void FinishRead(const std::shared_ptr<PageRead>& read);
  absl::StatusOr<page::PageImage> MakePage(const Slot& slot, const storage::PageReadPlan& plan,
                                           std::optional<page::PageImage> base);
  absl::StatusOr<protocol::ReadLogReply> CarryOut(const Slot& slot,
                                                  const storage::LogReadPlan& plan);

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
