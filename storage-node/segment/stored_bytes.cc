// See stored_bytes.h.
#include "storage-node/segment/stored_bytes.h"

#include <algorithm>
#include <iterator>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/log/batch.h"

namespace sextant::storage {

absl::Status AsLoss(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::DataLossError(status.message()) : status;
}

absl::StatusOr<log::RecordView> VerifyRecord(SegmentId segment, const RecordLocation& at,
                                             std::string_view bytes) {
  ASSIGN_OR_RETURN(const log::RecordView record,
                   log::DecodeRecord(segment.volume, segment.pg, &bytes));
  if (record.header.lsn == at.lsn && bytes.empty()) return record;
  return absl::DataLossError(Text("the record stored at position ", at.position, " offset ",
                                  at.offset, " is not lsn ", at.lsn));
}

absl::Status VerifyBatch(SegmentId segment, std::string_view bytes,
                         const std::vector<RecordLocation>& records) {
  ASSIGN_OR_RETURN(const log::BatchView batch, log::DecodeBatch(bytes));
  if (batch.header.volume != segment.volume || batch.header.pg != segment.pg) {
    return absl::DataLossError("the batch is of another segment");
  }
  for (const RecordLocation& at : records) {
    const bool is_there = std::ranges::any_of(batch.entries, [&](const auto& entry) {
      return entry.record.header.lsn == at.lsn && entry.offset == at.offset &&
             entry.size == at.size;
    });
    if (!is_there) return absl::DataLossError(Text("lsn ", at.lsn, " is not in the batch"));
  }
  return absl::OkStatus();
}

CopyPortion NextToCopy(const PageCopyPlan& plan, const std::vector<PageNo>& stored, size_t limit) {
  const bool is_stored_last = !plan.has_stored || stored.size() < limit;
  CopyPortion portion{.is_last = plan.is_last && is_stored_last};
  std::set_union(plan.pages.begin(), plan.pages.end(), stored.begin(), stored.end(),
                 std::back_inserter(portion.pages));
  if (portion.is_last) return portion;
  // Beyond the end of the list that was cut shorter the other one is not the whole truth.
  PageNo last = portion.pages.back();
  if (!plan.is_last) last = std::min(last, plan.pages.back());
  if (!is_stored_last) last = std::min(last, stored.back());
  portion.pages.erase(std::upper_bound(portion.pages.begin(), portion.pages.end(), last),
                      portion.pages.end());
  portion.next = last.Next();
  return portion;
}

}  // namespace sextant::storage
