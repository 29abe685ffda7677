// CheckSuite: all checkers behind one observer, facts first.
#pragma once

#include <vector>

#include "tests/simulation/check/collect_checker.h"
#include "tests/simulation/check/commit_checker.h"
#include "tests/simulation/check/endpoint_checker.h"
#include "tests/simulation/check/facts.h"
#include "tests/simulation/check/membership_checker.h"
#include "tests/simulation/check/page_checker.h"
#include "tests/simulation/check/reader_checker.h"
#include "tests/simulation/check/recovery_checker.h"
#include "tests/simulation/check/segment_checker.h"

namespace sextant::simulation {

class CheckSuite final : public Observer {
 public:
  explicit CheckSuite(Sim* sim)
      : facts_(sim),
        commits_(&facts_),
        segments_(&facts_),
        recoveries_(&facts_),
        pages_(&facts_),
        memberships_(&facts_),
        endpoints_(&facts_),
        readers_(&facts_, &pages_),
        collections_(&facts_) {}

  Facts& facts() { return facts_; }
  CollectChecker& collections() { return collections_; }

  void Durable(NodeNo node, const storage::StoreWrite& write) override {
    Tell(&Observer::Durable, node, write);
  }
  void LogInjured(NodeNo node, SegmentId segment, storage::LogPosition position) override {
    Tell(&Observer::LogInjured, node, segment, position);
  }
  void LogAppeared(NodeNo node, const storage::LogAppend& append) override {
    Tell(&Observer::LogAppeared, node, append);
  }
  void DiskLost(NodeNo node) override { Tell(&Observer::DiskLost, node); }
  void NodeStarted(NodeNo node, const std::vector<protocol::SegmentStatus>& segments) override {
    Tell(&Observer::NodeStarted, node, segments);
  }
  void AckLeft(NodeNo node, const protocol::AppendAck& ack) override {
    Tell(&Observer::AckLeft, node, ack);
  }
  void RaiseAnswered(NodeNo node, const protocol::RaiseEpochRequest& request,
                     const absl::StatusOr<protocol::SegmentStatus>& reply) override {
    Tell(&Observer::RaiseAnswered, node, request, reply);
  }
  void LogServed(NodeNo node, const protocol::ReadLogRequest& request,
                 const protocol::ReadLogReply& reply,
                 const std::vector<volume::Truncation>& known_truncations) override {
    Tell(&Observer::LogServed, node, request, reply, known_truncations);
  }
  void RecoveryMoved(ComputeNo compute, VolumeEpoch epoch, compute::Recovery::Phase from,
                     compute::Recovery::Phase to) override {
    Tell(&Observer::RecoveryMoved, compute, epoch, from, to);
  }
  void OpeningFailed(ComputeNo compute, const absl::Status& why) override {
    Tell(&Observer::OpeningFailed, compute, why);
  }
  void Opened(ComputeNo compute, const compute::RecoveredVolume& volume) override {
    Tell(&Observer::Opened, compute, volume);
  }
  void Appended(ComputeNo compute, VolumeEpoch epoch, const compute::Writer::Appended& appended,
                const std::vector<page::PageChange>& changes,
                const std::vector<std::string>& images) override {
    Tell(&Observer::Appended, compute, epoch, appended, changes, images);
  }
  void BatchSent(ComputeNo compute, const log::EncodedBatch& batch, Lsn lowest_point) override {
    Tell(&Observer::BatchSent, compute, batch, lowest_point);
  }
  void VdlMoved(ComputeNo compute, VolumeEpoch epoch, Lsn vdl) override {
    Tell(&Observer::VdlMoved, compute, epoch, vdl);
  }
  void CommitAcked(ComputeNo compute, VolumeEpoch epoch, Lsn commit) override {
    Tell(&Observer::CommitAcked, compute, epoch, commit);
  }
  void CommitUnknown(ComputeNo compute, VolumeEpoch epoch, Lsn commit) override {
    Tell(&Observer::CommitUnknown, compute, epoch, commit);
  }
  void PageRead(ComputeNo compute, VolumeEpoch epoch, PageNo page, Lsn read_point,
                const page::PageImage& image) override {
    Tell(&Observer::PageRead, compute, epoch, page, read_point, image);
  }
  void NewestShown(ComputeNo compute, VolumeEpoch epoch, Lsn position, Instant asked_at) override {
    Tell(&Observer::NewestShown, compute, epoch, position, asked_at);
  }
  void ReadRefused(ComputeNo compute, NodeNo node, const protocol::ReadPagesRequest& request,
                   const absl::Status& why) override {
    Tell(&Observer::ReadRefused, compute, node, request, why);
  }
  void Published(int reader, VolumeEpoch epoch, Lsn vdl) override {
    Tell(&Observer::Published, reader, epoch, vdl);
  }
  void ReaderDied(int reader) override { Tell(&Observer::ReaderDied, reader); }
  void ReaderRead(int reader, VolumeEpoch epoch, PageNo page, Lsn read_point,
                  const page::PageImage& image) override {
    Tell(&Observer::ReaderRead, reader, epoch, page, read_point, image);
  }
  void ReaderRefused(int reader, NodeNo node, const protocol::ReadPagesRequest& request,
                     const absl::Status& why) override {
    Tell(&Observer::ReaderRefused, reader, node, request, why);
  }
  void WriterStepped(ComputeNo compute, const compute::Writer& writer) override {
    Tell(&Observer::WriterStepped, compute, writer);
  }

 private:
  template <typename Method, typename... Args>
  void Tell(Method method, const Args&... args) {
    for (Observer* observer : observers_) (observer->*method)(args...);
  }

  Facts facts_;
  CommitChecker commits_;
  SegmentChecker segments_;
  RecoveryChecker recoveries_;
  PageChecker pages_;
  MembershipChecker memberships_;
  EndpointChecker endpoints_;
  ReaderChecker readers_;
  CollectChecker collections_;
  const std::vector<Observer*> observers_ = {
      &facts_.history, &facts_.index, &commits_,   &segments_, &recoveries_,
      &pages_,         &memberships_, &endpoints_, &readers_,  &collections_};
};

}  // namespace sextant::simulation
