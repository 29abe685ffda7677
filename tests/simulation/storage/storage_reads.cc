// The part of StorageHost (storage_host.h) that reads, as storage-node/server/segment_reader.cc
// does. Other events fall between looking up, planning and fetching, as they do between threads.
#include <utility>

#include "common/base/status.h"
#include "storage-node/segment/page_fold.h"
#include "tests/simulation/storage/storage_host.h"

namespace sextant::simulation {
namespace {

constexpr int kStorePageAfterRecords = 4;

// What the log should hold and does not is lost, not absent.
absl::Status AsLoss(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::DataLossError(status.message()) : status;
}

absl::StatusOr<log::RecordView> Verify(SegmentId segment, const storage::RecordLocation& at,
                                       std::string_view bytes) {
  ASSIGN_OR_RETURN(const log::RecordView record,
                   log::DecodeRecord(segment.volume, segment.pg, &bytes));
  if (record.header.lsn == at.lsn && bytes.empty()) return record;
  return absl::DataLossError(
      Text("the record stored at position ", at.position, " is not lsn ", at.lsn));
}

}  // namespace

struct StorageHost::PageRead {
  Slot* slot;
  protocol::ReadPagesRequest request;
  Network::Answer<protocol::ReadPagesReply> answer;
  std::vector<std::optional<page::PageImage>> bases;
  std::vector<storage::PageReadPlan> plans;
};

void StorageHost::ReadPages(const protocol::ReadPagesRequest& request,
                            Network::Answer<protocol::ReadPagesReply> answer) {
  Slot* slot = Find(request.segment);
  if (slot == nullptr) return answer(NoSuchSegment(request.segment));
  auto read = std::make_shared<PageRead>(PageRead{slot, request, std::move(answer), {}, {}});
  for (const PageNo page : request.pages) {
    auto base = disk_.ReadPage(request.segment, page, request.read_point);
    // A damaged version is passed over: the page is made from the log.
    read->bases.push_back(base.ok() ? *std::move(base) : std::nullopt);
  }
  sim_.loop.After(disk_.ReadTime(), process_, [this, read] {
    std::vector<Lsn> base_lsns;
    for (const auto& base : read->bases) base_lsns.push_back(base ? base->lsn : Lsn());
    auto plans = read->slot->segment.PlanPageRead(read->request, base_lsns);
    if (!plans.ok()) return read->answer(plans.status());
    read->plans = *std::move(plans);
    sim_.loop.After(disk_.ReadTime(), process_, [this, read] { FinishRead(read); });
  });
}

void StorageHost::FinishRead(const std::shared_ptr<PageRead>& read) {
  protocol::ReadPagesReply reply;
  for (size_t i = 0; i < read->plans.size(); ++i) {
    auto image = MakePage(*read->slot, read->plans[i], std::move(read->bases[i]));
    if (!image.ok()) return read->answer(image.status());
    reply.pages.push_back(*std::move(image));
  }
  read->answer(std::move(reply));
}

absl::StatusOr<page::PageImage> StorageHost::MakePage(const Slot& slot,
                                                      const storage::PageReadPlan& plan,
                                                      std::optional<page::PageImage> base) {
  if (base.has_value() && plan.records.empty()) sim_.Count(Rare::kReadWithoutLog);
  ASSIGN_OR_RETURN(storage::PageFold fold,
                   storage::PageFold::Start(plan.page, slot.page_bytes, std::move(base)));
  for (const storage::RecordLocation& at : plan.records) {
    const auto bytes = disk_.ReadRecord(slot.id, at.position, at.offset, at.size);
    RETURN_IF_ERROR(AsLoss(bytes.status()));
    ASSIGN_OR_RETURN(const log::RecordView record, Verify(slot.id, at, *bytes));
    RETURN_IF_ERROR(fold.Apply(record));
  }
  const int applied = fold.applied();
  page::PageImage image = std::move(fold).Take();
  if (plan.may_store && applied >= kStorePageAfterRecords) {
    RETURN_IF_ERROR(disk_.WritePage(slot.id, plan.page, image));
  }
  return image;
}

void StorageHost::ReadLog(const protocol::ReadLogRequest& request,
                          Network::Answer<protocol::ReadLogReply> answer) {
  Slot* slot = Find(request.segment);
  if (slot == nullptr) return answer(NoSuchSegment(request.segment));
  auto plan = slot->segment.PlanLogRead(request);
  if (!plan.ok()) return answer(plan.status());
  sim_.loop.After(
      disk_.ReadTime(), process_,
      [this, slot, request, plan = *plan, answer, known = slot->segment.state().truncations] {
        auto reply = CarryOut(*slot, plan);
        if (reply.ok()) sim_.observer->LogServed(node_, request, *reply, known);
        answer(std::move(reply));
      });
}

absl::StatusOr<protocol::ReadLogReply> StorageHost::CarryOut(const Slot& slot,
                                                             const storage::LogReadPlan& plan) {
  protocol::ReadLogReply reply{.scl = plan.scl, .is_last = plan.is_last};
  for (const storage::RecordLocation& at : plan.records) {
    const auto bytes = disk_.ReadRecord(slot.id, at.position, at.offset, at.size);
    RETURN_IF_ERROR(AsLoss(bytes.status()));
    ASSIGN_OR_RETURN(const log::RecordView record, Verify(slot.id, at, *bytes));
    reply.records.push_back({record.header, std::string(record.payload)});
  }
  return reply;
}

}  // namespace sextant::simulation
