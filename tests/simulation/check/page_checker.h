// PageChecker: I7 (a page read is the fold of its records, byte for byte, or an error) and I9 (what
// an open read point may need is not collected).
#pragma once

#include <map>

#include "tests/simulation/check/facts.h"

namespace sextant::simulation {

class PageChecker final : public Checker {
 public:
  using Checker::Checker;

  void BatchSent(ComputeNo compute, const log::EncodedBatch& batch, Lsn lowest_point) override;
  void PageRead(ComputeNo compute, VolumeEpoch epoch, PageNo page, Lsn read_point,
                const page::PageImage& image) override;
  void ReadRefused(ComputeNo compute, NodeNo node, const protocol::ReadPagesRequest& request,
                   const absl::Status& why) override;
  void WriterStepped(ComputeNo compute, const compute::Writer& writer) override {
    given_up_[writer.epoch()] = writer.pgmrpl();
  }

 private:
  std::map<VolumeEpoch, Lsn> given_up_;  // PGMRPL of every writer, by epoch
};

}  // namespace sextant::simulation
