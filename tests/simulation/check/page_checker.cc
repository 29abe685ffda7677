// See page_checker.h.
#include "tests/simulation/check/page_checker.h"

#include <algorithm>

namespace sextant::simulation {

void PageChecker::BatchSent(ComputeNo compute, const log::EncodedBatch& batch, Lsn lowest_point) {
  // A point opened below PGMRPL holds nothing back (it never falls); the clients open none.
  if (batch.header.pgmrpl > lowest_point) {
    sim_.Violate("I9", "PGMRPL ", batch.header.pgmrpl, " was sent while a read point was open at ",
                 lowest_point);
  }
}

void PageChecker::PageRead(ComputeNo compute, VolumeEpoch epoch, PageNo page, Lsn read_point,
                           const page::PageImage& image) {
  ++sim_.report.reads;
  const History::Version expected = facts_.history.PageAt(page, epoch, read_point);
  const bool is_zero = std::ranges::all_of(image.bytes, [](char byte) { return byte == '\0'; });
  const bool is_same = expected.image != nullptr ? image.bytes == *expected.image : is_zero;
  if (is_same && image.lsn == expected.lsn && image.bytes.size() == facts_.geometry.page_bytes) {
    return;
  }
  sim_.Violate("I7", "page ", page, " read at ", read_point, " in epoch ", epoch, " is as of LSN ",
               image.lsn, ", must be as of ", expected.lsn,
               is_same ? "" : ", and its bytes differ");
}

void PageChecker::ReadRefused(ComputeNo compute, NodeNo node,
                              const protocol::ReadPagesRequest& request, const absl::Status& why) {
  // One that was rebuilt has no older versions: others do.
  const DurableIndex::Copy& copy = facts_.index.At(node, request.segment.pg);
  if (!copy.state.has_value() || request.read_point < copy.state->read_floor) return;
  // What an earlier writer gave up a later one cannot bring back, even where it does not know.
  for (const auto& [epoch, pgmrpl] : given_up_) {
    if (epoch < request.epoch && pgmrpl > request.read_point) return;
  }
  if (View(why.message()).find("too old") != std::string_view::npos) {
    sim_.Violate("I9", "an open read point was refused: ", View(why.message()));
  }
}

}  // namespace sextant::simulation
