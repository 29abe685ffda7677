// See reader_checker.h.
#include "tests/simulation/check/reader_checker.h"

#include <algorithm>

namespace sextant::simulation {

void ReaderChecker::Opened(ComputeNo compute, const compute::RecoveredVolume& volume) {
  // One that was paused may open when its successors have long been there.
  for (const auto& [epoch, shown] : shown_) {
    if (epoch >= volume.epoch || shown <= volume.vdl) continue;
    sim_.Violate("I6", "writer ", compute, " opens epoch ", volume.epoch, " at VDL ", volume.vdl,
                 ", but a reader has shown ", shown, " of epoch ", epoch);
  }
}

void ReaderChecker::Published(int reader, VolumeEpoch epoch, Lsn vdl) {
  const History& history = facts_.history;
  Lsn& before = published_[reader];
  if (vdl < before) {
    sim_.Violate("I8", "reader ", reader, " fell back from ", before, " to ", vdl);
  }
  before = vdl;
  shown_[epoch] = std::max(shown_[epoch], vdl);
  if (vdl > history.highest_vdl()) {
    sim_.Violate("I6", "reader ", reader, " shows LSN ", vdl,
                 ", above every VDL: ", history.highest_vdl());
  }
  if (vdl == Lsn()) return;
  const auto mtr = history.mtrs().find(vdl);
  if (mtr == history.mtrs().end()) {
    sim_.Violate("I8", "reader ", reader, " shows LSN ", vdl, ", which ends no mini-transaction");
  } else if (history.IsAnnulled(vdl, mtr->second.epoch)) {
    sim_.Violate("I6", "reader ", reader, " shows LSN ", vdl, ", which recovery annulled");
  }
}

void ReaderChecker::ReaderRead(int reader, VolumeEpoch epoch, PageNo page, Lsn read_point,
                               const page::PageImage& image) {
  // Judged as a writer's: at or below a durable VDL all epochs see the same.
  pages_.PageRead(reader, epoch, page, read_point, image);
}

void ReaderChecker::ReaderRefused(int reader, NodeNo node,
                                  const protocol::ReadPagesRequest& request,
                                  const absl::Status& why) {
  // Only the newest writer's word binds.
  if (facts_.history.openings().rbegin()->first != request.epoch) return;
  pages_.ReadRefused(reader, node, request, why);
}

}  // namespace sextant::simulation
