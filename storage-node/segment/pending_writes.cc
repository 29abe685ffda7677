// See pending_writes.h.
#include "storage-node/segment/pending_writes.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/check.h"

namespace sextant::storage {
namespace {

bool HoldsLsn(const PendingWrite& write, Lsn lsn) {
  for (const PendingBatch& batch : write.batches) {
    auto at = std::lower_bound(
        batch.records.begin(), batch.records.end(), lsn,
        [](const BatchRecord& record, Lsn wanted) { return record.header.lsn < wanted; });
    if (at != batch.records.end() && at->header.lsn == lsn) return true;
  }
  return false;
}

}  // namespace

PendingWrite* PendingWrites::newest() {
  if (!round_.empty()) return &round_;
  return handed_out_.empty() ? nullptr : &handed_out_.back();
}

std::optional<SegmentState> PendingWrites::newest_state() const {
  for (auto write = handed_out_.rbegin(); write != handed_out_.rend(); ++write) {
    if (write->state.has_value()) return write->state;
  }
  return std::nullopt;
}

bool PendingWrites::IsPending(Lsn lsn) const {
  if (lsn > newest_lsn_) return false;  // the common case: a record never seen before
  if (HoldsLsn(round_, lsn)) return true;
  return std::any_of(handed_out_.begin(), handed_out_.end(),
                     [lsn](const PendingWrite& write) { return HoldsLsn(write, lsn); });
}

void PendingWrites::Add(PendingBatch batch) {
  SEXTANT_CHECK(!batch.records.empty()) << "nothing to store";
  newest_lsn_ = std::max(newest_lsn_, batch.records.back().header.lsn);
  round_.batches.push_back(std::move(batch));
}

PendingWrite& PendingWrites::HandOut() {
  SEXTANT_CHECK(!round_.empty()) << "nothing to hand out";
  for (PendingBatch& batch : round_.batches) {
    batch.position = last_position_ = last_position_.Next();
  }
  return HandOut(std::exchange(round_, {}));
}

PendingWrite& PendingWrites::HandOut(PendingWrite write) {
  write.ticket = last_ticket_ = last_ticket_.Next();
  handed_out_.push_back(std::move(write));
  return handed_out_.back();
}

std::optional<PendingWrite> PendingWrites::TakePersisted(PersistTicket ticket) {
  SEXTANT_CHECK(ticket <= last_ticket_) << "ticket " << ticket << " was never given";
  if (handed_out_.empty() || handed_out_.front().ticket > ticket) return std::nullopt;
  PendingWrite write = std::move(handed_out_.front());
  handed_out_.pop_front();
  return write;
}

std::vector<PendingWrite> PendingWrites::TakeRefused(PersistTicket ticket) {
  auto first = std::find_if(handed_out_.begin(), handed_out_.end(),
                            [ticket](const PendingWrite& write) { return write.ticket >= ticket; });
  std::vector<PendingWrite> refused(std::make_move_iterator(first),
                                    std::make_move_iterator(handed_out_.end()));
  handed_out_.erase(first, handed_out_.end());
  for (const PendingWrite& write : refused) {
    if (write.batches.empty()) continue;
    const LogPosition free = write.batches.front().position;
    last_position_ = std::min(last_position_, LogPosition(free - LogPosition(1)));
  }
  return refused;
}

}  // namespace sextant::storage
