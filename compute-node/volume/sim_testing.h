// A small world to test the writer's machines in: real segments on simulated nodes, one clock.
// Tests only.
//
// Everything happens in one thread, in the order of a seeded event queue. Nodes lose what was not
// synced when they crash; links delay, lose and duplicate requests, and break streams. It checks
// nothing by itself. tests/simulation is the large one, with disks, partitions and checkers.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/instant.h"
#include "common/base/prng.h"
#include "common/log/batch.h"
#include "common/protocol/storage_messages.h"
#include "compute-node/volume/member_address.h"
#include "storage-node/segment/gossip.h"
#include "storage-node/segment/segment.h"
#include "storage-node/segment/segment_testing.h"

namespace sextant::compute::testing {

inline constexpr VolumeId kVolume{7};
inline constexpr uint64_t kPagesPerPg = 8;

// Chances are one in that many messages; 0 is never.
struct SimFaults {
  uint64_t lose_one_in = 0;
  uint64_t duplicate_one_in = 0;
  uint64_t break_stream_one_in = 0;
  uint64_t damage_one_in = 0;
};

class SimCluster {
 public:
  using AckSink = std::function<void(MemberAddress, const protocol::AppendAck&)>;
  using AnswerSink = std::function<void(MemberAddress, const protocol::EpochAnswer&)>;

  SimCluster(uint64_t seed, uint32_t pg_count);

  // --- time
  Instant now() const { return now_; }
  void After(absl::Duration delay, std::function<void()> event);
  void RunFor(absl::Duration time);
  bool RunUntil(const std::function<bool()>& is_done, absl::Duration limit);
  absl::Duration SomeDelay() { return absl::Microseconds(rng.Between(50, 2000)); }
  bool Happens(uint64_t one_in) { return one_in > 0 && rng.OneIn(one_in); }

  // --- nodes
  static std::vector<std::string> Names();
  static int IndexOf(const std::string& node);
  bool IsUp(int node) const { return nodes_[node].is_up; }
  void Crash(int node);
  void Restart(int node);
  // Only where HasSegment.
  storage::Segment& segment(int node, PgId pg) { return *nodes_[node].hosts[pg.value()].segment; }
  bool HasSegment(int node, PgId pg) const {
    return pg.value() < nodes_[node].hosts.size() && nodes_[node].hosts[pg.value()].segment;
  }
  // What the member's log holds in its chain, read back and verified.
  std::vector<log::RedoRecord> ReadAll(int node, PgId pg);

  // --- requests; each answered once, or twice, UNAVAILABLE when lost.
  void GetStatus(int node, std::function<void(absl::StatusOr<protocol::NodeStatus>)> done);
  void CreateSegment(int node, const protocol::CreateSegmentRequest& request,
                     std::function<void(absl::StatusOr<protocol::SegmentStatus>)> done);
  void RaiseEpoch(int node, const protocol::RaiseEpochRequest& request,
                  std::function<void(absl::StatusOr<protocol::SegmentStatus>)> done);
  void ReadLog(int node, const protocol::ReadLogRequest& request,
               std::function<void(absl::StatusOr<protocol::ReadLogReply>)> done);

  // --- streams: in order while they last. Acknowledgements and `on_down` come through the caller's
  // functions until CloseStream. Returns 0 when the node is down.
  uint64_t OpenStream(int node, AckSink on_ack, std::function<void()> on_down,
                      AnswerSink on_answer = nullptr);
  void CloseStream(uint64_t stream);
  void SendBatch(uint64_t stream, MemberAddress member, const log::EncodedBatch& batch);
  // Out of order with batches, as in the processes.
  void SendProbe(uint64_t stream, MemberAddress member, const protocol::EpochProbe& probe);

  Prng rng;
  SimFaults faults;

 private:
  struct Host {  // of one segment
    storage::Gossip gossip{{}, Prng(0)};
    storage::testing::Disk disk;
    std::unique_ptr<storage::Segment> segment;
    std::deque<std::pair<storage::PersistTicket, storage::StoreWrite>> unsynced;
    std::map<storage::ReplyToken, std::function<void(absl::StatusOr<protocol::SegmentStatus>)>>
        raises;
  };
  struct Node {
    bool is_up = true;
    int generation = 0;
    std::deque<Host> hosts;  // by PG; without a segment where it was not created
  };
  struct Stream {
    int node;
    AckSink on_ack;
    std::function<void()> on_down;
    AnswerSink on_answer;
    Instant last_down, last_up;  // latest delivery in each direction, so that order is kept
  };

  void AddHost(int node, storage::SegmentState state);
  // Runs `request` on the node, if it gets there, and `lost` otherwise.
  void Request(int node, std::function<void()> request, std::function<void()> lost);
  protocol::ReadLogReply CarryOutRead(Host* host, const storage::LogReadPlan& plan);
  void Pump(int node, PgId pg);
  void Gossip(int node, PgId pg);
  void GossipAnswered(int node, PgId pg, const storage::Gossip::Ask& ask,
                      const absl::StatusOr<protocol::ReadLogReply>& reply);
  void Sync(int node, PgId pg, int generation);
  void SendAck(uint64_t stream, MemberAddress member, const protocol::AppendAck& ack);
  void BreakStream(uint64_t stream);

  Instant now_;
  uint64_t next_incarnation_ = 1;
  std::multimap<Instant, std::function<void()>> events_;
  std::deque<Node> nodes_;
  std::map<uint64_t, Stream> streams_;
  uint64_t next_token_ = 1;
};

}  // namespace sextant::compute::testing
