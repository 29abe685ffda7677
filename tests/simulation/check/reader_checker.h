// ReaderChecker: readers show durable, whole mini-transactions, never fall back (I6, I8), see the
// bytes that belong to their view (I7), and keep what they were told to (I9).
#pragma once

#include <map>

#include "tests/simulation/check/page_checker.h"

namespace sextant::simulation {

class ReaderChecker final : public Checker {
 public:
  ReaderChecker(Facts* facts, PageChecker* pages) : Checker(facts), pages_(*pages) {}

  void Opened(ComputeNo compute, const compute::RecoveredVolume& volume) override;
  void Published(int reader, VolumeEpoch epoch, Lsn vdl) override;
  void ReaderDied(int reader) override { published_.erase(reader); }
  void ReaderRead(int reader, VolumeEpoch epoch, PageNo page, Lsn read_point,
                  const page::PageImage& image) override;
  void ReaderRefused(int reader, NodeNo node, const protocol::ReadPagesRequest& request,
                     const absl::Status& why) override;

 private:
  PageChecker& pages_;
  std::map<int, Lsn> published_;      // by reader, in its life
  std::map<VolumeEpoch, Lsn> shown_;  // the highest, by any
};

}  // namespace sextant::simulation
