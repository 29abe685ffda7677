// See segment_reader.h.
#include "storage-node/server/segment_reader.h"

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"

namespace sextant::storage {
namespace {

// What the log should hold and does not is lost, not absent.
absl::Status AsLoss(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::DataLossError(status.message()) : status;
}

// Verifies the bytes of one stored record.
absl::StatusOr<log::RecordView> Verify(SegmentId segment, const RecordLocation& at,
                                       std::string_view bytes) {
  ASSIGN_OR_RETURN(const log::RecordView record,
                   log::DecodeRecord(segment.volume, segment.pg, &bytes));
  if (record.header.lsn == at.lsn && bytes.empty()) return record;
  return absl::DataLossError(Text("the record stored at position ", at.position, " offset ",
                                  at.offset, " is not lsn ", at.lsn));
}

}  // namespace

SegmentReader::SegmentReader(SegmentStore* store, NodeCounters* counters,
                             int store_page_after_records,
                             std::function<void(absl::Status)> on_write_error)
    : store_(store),
      counters_(counters),
      store_page_after_records_(store_page_after_records),
      on_write_error_(std::move(on_write_error)) {}

absl::StatusOr<protocol::ReadPagesReply> SegmentReader::ReadPages(
    SegmentSlot* slot, const protocol::ReadPagesRequest& request) {
  std::vector<Base> bases;
  std::vector<Lsn> base_lsns;
  for (const PageNo page : request.pages) {
    ASSIGN_OR_RETURN(Base base, ReadBase(*slot, page, request.read_point));
    base_lsns.push_back(base.image ? base.image->lsn : Lsn());
    bases.push_back(std::move(base));
  }
  absl::StatusOr<std::vector<PageReadPlan>> plans;
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    plans = slot->segment.PlanPageRead(request, base_lsns);
  }
  RETURN_IF_ERROR(plans.status());
  protocol::ReadPagesReply reply;
  for (size_t i = 0; i < plans->size(); ++i) {
    ASSIGN_OR_RETURN(page::PageImage image, MakePage(*slot, (*plans)[i], std::move(bases[i])));
    reply.pages.push_back(std::move(image));
  }
  counters_->page_reads.Add(reply.pages.size());
  return reply;
}

absl::StatusOr<SegmentReader::Base> SegmentReader::ReadBase(const SegmentSlot& slot, PageNo page,
                                                            Lsn read_point) {
  absl::StatusOr<std::optional<page::PageImage>> image =
      store_->ReadPage(slot.id, page, read_point);
  if (image.ok()) return Base{*std::move(image)};
  if (!absl::IsDataLoss(image.status())) return image.status();
  counters_->damaged_pages.Add();
  spdlog::warn("stored page version is damaged, making the page from the log{}",
               rpc::Fields("volume", FormatVolumeId(slot.id.volume), "pg", slot.id.pg, "page", page,
                           "read_point", read_point, "error", image.status()));
  return Base{.is_damaged = true};
}

absl::StatusOr<page::PageImage> SegmentReader::MakePage(const SegmentSlot& slot,
                                                        const PageReadPlan& plan, Base base) {
  ASSIGN_OR_RETURN(PageFold fold,
                   PageFold::Start(plan.page, slot.page_bytes, std::move(base.image)));
  for (const RecordLocation& at : plan.records) {
    const auto bytes = store_->ReadRecord(slot.id, at.position, at.offset, at.size);
    RETURN_IF_ERROR(AsLoss(bytes.status()));
    ASSIGN_OR_RETURN(const log::RecordView record, Verify(slot.id, at, *bytes));
    RETURN_IF_ERROR(fold.Apply(record));
  }
  const int applied = fold.applied();
  counters_->records_applied.Add(applied);
  page::PageImage image = std::move(fold).Take();
  if (plan.may_store && applied > 0 && (applied >= store_page_after_records_ || base.is_damaged)) {
    Keep(slot, plan.page, image);
  }
  return image;
}

void SegmentReader::Keep(const SegmentSlot& slot, PageNo page, const page::PageImage& image) {
  const absl::Status status = store_->WritePage(slot.id, page, image);
  if (status.ok()) {
    counters_->pages_stored.Add();
  } else {
    on_write_error_(status);
  }
}

absl::StatusOr<protocol::ReadLogReply> SegmentReader::ReadLog(
    SegmentSlot* slot, const protocol::ReadLogRequest& request) {
  absl::StatusOr<LogReadPlan> plan;
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    plan = slot->segment.PlanLogRead(request);
  }
  RETURN_IF_ERROR(plan.status());
  protocol::ReadLogReply reply{.scl = plan->scl, .is_last = plan->is_last};
  // Neighbours mostly lie in one batch: it is fetched once.
  LogPosition position;
  std::string batch;
  for (const RecordLocation& at : plan->records) {
    if (at.position != position) {
      absl::StatusOr<std::string> bytes = store_->ReadBatch(slot->id, at.position);
      RETURN_IF_ERROR(AsLoss(bytes.status()));
      batch = *std::move(bytes);
      position = at.position;
    }
    if (at.offset > batch.size() || at.size > batch.size() - at.offset) {
      return absl::DataLossError(Text("the batch at position ", position, " is cut short"));
    }
    const std::string_view bytes = std::string_view(batch).substr(at.offset, at.size);
    ASSIGN_OR_RETURN(const log::RecordView record, Verify(slot->id, at, bytes));
    reply.records.push_back({record.header, std::string(record.payload)});
  }
  return reply;
}

}  // namespace sextant::storage
