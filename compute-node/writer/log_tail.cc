// See log_tail.h.
#include "compute-node/writer/log_tail.h"

#include <algorithm>
#include <future>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::compute {
namespace {

constexpr uint64_t kPieceBytes = 1 << 20;

void AppendRecords(const AppendedMtr& mtr, VolumeEpoch epoch, std::vector<log::RedoRecord>* out) {
  Lsn prev = mtr.prev_lsn;
  for (size_t i = 0; i < mtr.changes.size(); ++i) {
    const page::PageChange& change = mtr.changes[i];
    log::RedoRecord record;
    record.header.lsn = mtr.first_lsn + i;
    record.header.prev_volume_lsn = std::exchange(prev, record.header.lsn);
    record.header.prev_page_lsn = change.base_lsn;
    record.header.page = change.page;
    record.header.epoch = epoch;
    record.header.is_cpl = record.header.lsn == mtr.commit_lsn;
    record.header.is_full_image = change.is_full_image;
    record.payload = change.payload;
    out->push_back(std::move(record));
  }
}

}  // namespace

absl::StatusOr<std::vector<log::RedoRecord>> LogTail::Next(absl::Duration wait) {
  RETURN_IF_ERROR(volume_.CheckOpen());
  if (volume_.vdl() <= position_) WaitForMore(wait);
  std::vector<log::RedoRecord> records;
  if (volume_.vdl() <= position_) return records;
  std::vector<std::shared_ptr<const AppendedMtr>> recent;
  if (!volume_.RecentRedo(position_, kPieceBytes, &recent)) {
    ASSIGN_OR_RETURN(records, FromSegments());
  } else {
    pieces_.clear();
    for (const auto& mtr : recent) AppendRecords(*mtr, volume_.epoch(), &records);
  }
  if (!records.empty()) position_ = records.back().header.lsn;
  return records;
}

void LogTail::WaitForMore(absl::Duration wait) {
  auto moved = std::make_shared<std::promise<void>>();
  auto future = moved->get_future();
  volume_.WhenDurable(position_.Next(), wait, [moved](const absl::Status&) { moved->set_value(); });
  future.wait();
}

absl::StatusOr<std::vector<log::RedoRecord>> LogTail::FromSegments() {
  const Lsn through = volume_.vdl();
  // Asked after VDL: what is durable lies in groups that exist by now. Nothing of a group that was
  // added since the last time has been returned yet.
  while (pieces_.size() < volume_.geometry().pg_count) {
    pieces_.emplace_back().read_through = position_;
  }
  std::vector<log::RedoRecord> merged;
  while (true) {
    // What every group has been read through can be put in order.
    const auto behind = std::min_element(
        pieces_.begin(), pieces_.end(),
        [](const Piece& a, const Piece& b) { return a.read_through < b.read_through; });
    const Lsn complete = behind->read_through;
    for (Piece& piece : pieces_) {
      while (!piece.records.empty() && piece.records.front().header.lsn <= complete) {
        merged.push_back(std::move(piece.records.front()));
        piece.records.pop_front();
      }
    }
    std::sort(merged.begin(), merged.end(),
              [](const auto& a, const auto& b) { return a.header.lsn < b.header.lsn; });
    auto end = merged.end();
    while (end != merged.begin() && !std::prev(end)->header.is_cpl) --end;
    if (end != merged.begin()) {
      // The beginning of a mini-transaction that goes on goes back to where it came from.
      for (auto it = merged.end(); it != end;) {
        --it;
        const PgId pg = volume_.geometry().PgOf(it->header.page);
        pieces_[pg.value()].records.push_front(std::move(*it));
      }
      merged.erase(end, merged.end());
      RETURN_IF_ERROR(CheckChain(merged));
      return merged;
    }
    if (complete >= through) {
      return absl::OutOfRangeError(Text("the log above lsn ", position_, " is not held any more"));
    }
    RETURN_IF_ERROR(ReadMore(PgId(static_cast<uint32_t>(behind - pieces_.begin())), through));
  }
}

absl::Status LogTail::ReadMore(PgId pg, Lsn through) {
  Piece& piece = pieces_[pg.value()];
  ASSIGN_OR_RETURN(protocol::ReadLogReply reply,
                   volume_.ReadLog(pg, piece.read_through, through, kPieceBytes));
  if (reply.records.empty() && !reply.is_last) {
    return absl::DataLossError(Text("a segment of pg ", pg, " holds log above lsn ",
                                    piece.read_through, " and does not return it"));
  }
  piece.read_through = reply.is_last ? through : reply.records.back().header.lsn;
  for (log::RedoRecord& record : reply.records) piece.records.push_back(std::move(record));
  return absl::OkStatus();
}

absl::Status LogTail::CheckChain(const std::vector<log::RedoRecord>& records) const {
  if (records.front().header.prev_volume_lsn > position_) {
    return absl::OutOfRangeError(Text("the log from lsn ", position_, " to lsn ",
                                      records.front().header.prev_volume_lsn,
                                      " is not held any more"));
  }
  for (size_t i = 1; i < records.size(); ++i) {
    if (records[i].header.prev_volume_lsn == records[i - 1].header.lsn) continue;
    return absl::DataLossError(Text("the log has a gap: lsn ", records[i].header.lsn,
                                    " follows lsn ", records[i].header.prev_volume_lsn,
                                    ", found lsn ", records[i - 1].header.lsn));
  }
  return absl::OkStatus();
}

}  // namespace sextant::compute
