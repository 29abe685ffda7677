// ReaderHost: a simulated read-only compute node, the shell around Replica and the page cache.
//
// Does what compute-node/reader/ does, in events: looks for a writer (any that takes itself for
// one, also one that was succeeded), applies redo, publishes VDL, reads pages from the cache or
// from one segment at a time. A process that dies forgets everything.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "compute-node/cache/page_cache.h"
#include "compute-node/replica/replica.h"
#include "tests/simulation/compute/compute_host.h"

namespace sextant::simulation {

using ReaderNo = int;  // 0-based

class ReaderHost {
 public:
  using ReadDone = ComputeHost::ReadDone;
  struct World {
    Sim* sim;
    Network* network;
    const ComputePlan* plan;
    std::vector<StorageHost*> nodes;
    std::vector<ComputeHost*> computes;
  };
  ReaderHost(World world, ReaderNo reader);

  // --- life
  void Start();
  void Kill();
  bool is_up() const { return running_ != nullptr; }
  ProcessId process() const { return process_; }
  std::string Describe() const;

  // --- views
  bool is_open() const { return is_up() && running_->is_open; }
  Lsn published() const { return running_->published; }
  Lsn floor() const { return running_->replica.floor(); }
  VolumeEpoch epoch() const { return running_->replica.epoch(); }
  void OpenPoint(Lsn lsn) { ++running_->points[lsn].count; }
  void ClosePoint(Lsn lsn);
  void Read(PageNo page, Lsn read_point, ReadDone done);

 private:
  struct Point {
    int count = 0;
    uint64_t told_in = 0;  // the first request that the writer answered since it was opened
  };
  struct Running {
    explicit Running(const ComputePlan& plan, const std::string& name);
    compute::Replica replica;
    compute::PageCache cache;
    bool is_open = false;
    Lsn published;
    std::map<Lsn, Point> points;
    size_t writer = 0;  // index of the one that is followed
    compute::FollowerId stream;
    uint64_t turn = 0;
    Instant answered_at = Instant::Min();  // true time of the last answer's question
  };
  struct Fetch;

  Instant now() const { return sim_.loop.LocalNow(process_); }
  Lsn LowestPoint() const;
  void Begin();
  void BeginLater();
  void Ask(RedoRequest request);
  void Took(uint64_t turn, Instant asked_at, absl::StatusOr<protocol::FollowMessage> message);
  void Apply(const compute::Replica::Step& step);
  bool IsHeld(Lsn read_point) const;
  void Fetch1(const std::shared_ptr<Fetch>& fetch);
  void PageAnswered(const std::shared_ptr<Fetch>& fetch, size_t node,
                    const protocol::ReadPagesRequest& request,
                    const absl::StatusOr<protocol::ReadPagesReply>& reply);
  void EndRead(PageNo page, Lsn read_point, const absl::StatusOr<page::PageImage>& image,
               const ReadDone& done);

  Sim& sim_;
  const World world_;
  const ReaderNo reader_;
  const ProcessId process_;
  std::unique_ptr<Running> running_;
};

}  // namespace sextant::simulation
