// See segment_reader.h.
#include "storage-node/server/segment_reader.h"

#include <spdlog/spdlog.h>

#include <string>
#include <string_view>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"
#include "storage-node/segment/stored_bytes.h"

namespace sextant::storage {
namespace {

Lsn LogStartOf(SegmentSlot* slot) {
  std::lock_guard<std::mutex> lock(slot->mutex);
  return slot->segment.log_start();
}

}  // namespace

SegmentReader::SegmentReader(SegmentStore* store, NodeCounters* counters, DamageBook* book,
                             int store_page_after_records,
                             std::function<void(absl::Status)> on_write_error)
    : store_(store),
      counters_(counters),
      book_(book),
      store_page_after_records_(store_page_after_records),
      on_write_error_(std::move(on_write_error)) {}

template <typename Reply, typename Read>
absl::StatusOr<Reply> SegmentReader::Retrying(SegmentSlot* slot, Read read) {
  while (true) {
    const Lsn log_start = LogStartOf(slot);
    absl::StatusOr<Reply> reply = read(log_start);
    // What it found may be what a drop left, or what was made anew since.
    if (slot->is_dropped) return absl::NotFoundError("the segment was dropped: read elsewhere");
    const bool may_be_overtaken =
        absl::IsAborted(reply.status()) || absl::IsDataLoss(reply.status());
    if (!may_be_overtaken || LogStartOf(slot) == log_start) return reply;
  }
}

absl::StatusOr<protocol::ReadPagesReply> SegmentReader::ReadPages(
    SegmentSlot* slot, const protocol::ReadPagesRequest& request) {
  return Retrying<protocol::ReadPagesReply>(
      slot, [&](Lsn log_start) { return TryReadPages(slot, request, log_start); });
}

absl::StatusOr<protocol::ReadPagesReply> SegmentReader::TryReadPages(
    SegmentSlot* slot, const protocol::ReadPagesRequest& request, Lsn log_start) {
  std::vector<Base> bases;
  std::vector<Lsn> base_lsns;
  for (const PageNo page : request.pages) {
    ASSIGN_OR_RETURN(Base base, ReadBase(*slot, page, request.read_point, log_start));
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
    const PageReadPlan& plan = (*plans)[i];
    if (plan.log_start != log_start) return absl::AbortedError("the log starts later by now");
    const bool was_damaged = bases[i].is_damaged;
    ASSIGN_OR_RETURN(Made made, MakePage(slot, plan, std::move(bases[i])));
    const bool is_worth_it = made.applied >= store_page_after_records_ || was_damaged;
    if (plan.may_store && made.applied > 0 && is_worth_it) Keep(*slot, plan.page, made.image);
    reply.pages.push_back(std::move(made.image));
  }
  counters_->page_reads.Add(reply.pages.size());
  return reply;
}

absl::StatusOr<SegmentReader::Base> SegmentReader::ReadBase(const SegmentSlot& slot, PageNo page,
                                                            Lsn read_point, Lsn log_start) {
  absl::StatusOr<std::optional<page::PageImage>> image =
      store_->ReadPage(slot.id, page, read_point);
  if (image.ok()) return Base{*std::move(image)};
  if (!absl::IsDataLoss(image.status())) return image.status();
  counters_->damaged_pages.Add();
  spdlog::warn("stored page version is damaged, making the page from the log{}",
               rpc::Fields("volume", FormatVolumeId(slot.id.volume), "pg", slot.id.pg, "page", page,
                           "read_point", read_point, "error", image.status()));
  book_->PageOf(slot.id, page);
  Base base{.is_damaged = true};
  // The log goes back no further than to the version that was made where it starts.
  if (log_start > Lsn() && log_start < read_point) {
    image = store_->ReadPage(slot.id, page, log_start);
    if (image.ok()) base.image = *std::move(image);
  }
  return base;
}

absl::StatusOr<SegmentReader::Made> SegmentReader::MakePage(SegmentSlot* slot,
                                                            const PageReadPlan& plan, Base base) {
  if (base.is_damaged && plan.records.empty()) {
    return absl::DataLossError(Text("page ", plan.page, " as of ", plan.read_point,
                                    ": its stored version is damaged and its log, up to ",
                                    plan.log_start, ", was collected: read elsewhere"));
  }
  ASSIGN_OR_RETURN(PageFold fold,
                   PageFold::Start(plan.page, slot->page_bytes, std::move(base.image)));
  for (const RecordLocation& at : plan.records) {
    std::string bytes;
    ASSIGN_OR_RETURN(const log::RecordView record, ReadRecord(slot, at, &bytes));
    RETURN_IF_ERROR(fold.Apply(record));
  }
  const int applied = fold.applied();
  counters_->records_applied.Add(applied);
  return Made{std::move(fold).Take(), applied};
}

absl::StatusOr<log::RecordView> SegmentReader::ReadRecord(SegmentSlot* slot,
                                                          const RecordLocation& at,
                                                          std::string* bytes) {
  auto found = store_->ReadRecord(slot->id, at.position, at.offset, at.size);
  const auto verify = [&]() -> absl::StatusOr<log::RecordView> {
    RETURN_IF_ERROR(AsLoss(found.status()));
    *bytes = *std::move(found);
    return VerifyRecord(slot->id, at, *bytes);
  };
  absl::StatusOr<log::RecordView> record = verify();
  if (absl::IsDataLoss(record.status())) book_->Batch(slot, at.position, record.status());
  return record;
}

absl::StatusOr<SegmentReader::Version> SegmentReader::MakeVersion(SegmentSlot* slot, PageNo page,
                                                                  Lsn through) {
  ASSIGN_OR_RETURN(Base base, ReadBase(*slot, page, through, LogStartOf(slot)));
  const bool was_damaged = base.is_damaged;
  PageReadPlan plan;
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    plan = slot->segment.PlanVersion(page, through, base.image ? base.image->lsn : Lsn());
  }
  ASSIGN_OR_RETURN(Made made, MakePage(slot, plan, std::move(base)));
  return Version{std::move(made.image), made.applied > 0 || was_damaged};
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
  return Retrying<protocol::ReadLogReply>(
      slot, [&](Lsn /*log_start*/) { return TryReadLog(slot, request); });
}

absl::StatusOr<protocol::ReadLogReply> SegmentReader::TryReadLog(
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
      const absl::Status status = AsLoss(bytes.status());
      if (absl::IsDataLoss(status)) book_->Batch(slot, at.position, status);
      RETURN_IF_ERROR(status);
      batch = *std::move(bytes);
      position = at.position;
    }
    absl::StatusOr<log::RecordView> record =
        absl::DataLossError(Text("the batch at position ", position, " is cut short"));
    if (at.offset <= batch.size() && at.size <= batch.size() - at.offset) {
      record = VerifyRecord(slot->id, at, std::string_view(batch).substr(at.offset, at.size));
    }
    if (absl::IsDataLoss(record.status())) book_->Batch(slot, at.position, record.status());
    RETURN_IF_ERROR(record.status());
    reply.records.push_back({record->header, std::string(record->payload)});
  }
  return reply;
}

}  // namespace sextant::storage
