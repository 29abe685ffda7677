// The part of StorageHost (storage_host.h) that reads, as storage-node/server/segment_reader.cc and
// page_copier.cc do. Other events fall between looking up, planning and fetching, as they do
// between threads.
#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "storage-node/segment/page_fold.h"
#include "storage-node/segment/stored_bytes.h"
#include "tests/simulation/storage/storage_host.h"

namespace sextant::simulation {
namespace {

constexpr int kStorePageAfterRecords = 4;
constexpr size_t kPagesToCopyAtOnce = 3;

bool MayBeOvertaken(const absl::Status& status) {
  return absl::IsAborted(status) || absl::IsDataLoss(status);
}

}  // namespace

// --- pages

struct StorageHost::PageRead {
  Slot* slot;
  protocol::ReadPagesRequest request;
  Network::Answer<protocol::ReadPagesReply> answer;
  Lsn log_start;  // when the bases were looked up
  std::vector<Base> bases;
  std::vector<storage::PageReadPlan> plans;
};

void StorageHost::ReadPages(const protocol::ReadPagesRequest& request,
                            Network::Answer<protocol::ReadPagesReply> answer) {
  Slot* slot = Find(request.segment);
  if (slot == nullptr) return answer(NoSuchSegment(request.segment));
  StartRead(std::make_shared<PageRead>(
      PageRead{.slot = slot, .request = request, .answer = std::move(answer)}));
}

void StorageHost::StartRead(const std::shared_ptr<PageRead>& read) {
  read->log_start = read->slot->segment.log_start();
  read->bases.clear();
  for (const PageNo page : read->request.pages) {
    auto base = ReadBase(*read->slot, page, read->request.read_point, read->log_start);
    if (!base.ok()) return EndRead(read, base.status());
    read->bases.push_back(*std::move(base));
  }
  sim_.loop.After(disk_.ReadTime(), process_, [this, read] { PlanRead(read); });
}

void StorageHost::PlanRead(const std::shared_ptr<PageRead>& read) {
  std::vector<Lsn> base_lsns;
  for (const Base& base : read->bases) base_lsns.push_back(base.image ? base.image->lsn : Lsn());
  auto plans = read->slot->segment.PlanPageRead(read->request, base_lsns);
  if (!plans.ok()) return EndRead(read, plans.status());
  read->plans = *std::move(plans);
  sim_.loop.After(disk_.ReadTime(), process_, [this, read] { EndRead(read, FinishRead(read)); });
}

void StorageHost::EndRead(const std::shared_ptr<PageRead>& read,
                          absl::StatusOr<protocol::ReadPagesReply> reply) {
  if (read->slot->is_dropped) return read->answer(NoSuchSegment(read->slot->id));
  if (MayBeOvertaken(reply.status()) && read->slot->segment.log_start() != read->log_start) {
    sim_.Count(Rare::kReadOvertaken);
    return StartRead(read);
  }
  read->answer(std::move(reply));
}

absl::StatusOr<protocol::ReadPagesReply> StorageHost::FinishRead(
    const std::shared_ptr<PageRead>& read) {
  protocol::ReadPagesReply reply;
  for (size_t i = 0; i < read->plans.size(); ++i) {
    const storage::PageReadPlan& plan = read->plans[i];
    if (plan.log_start != read->log_start) {
      return absl::AbortedError("the log starts later by now");
    }
    const bool was_damaged = read->bases[i].is_damaged;
    if (read->bases[i].image && plan.records.empty()) sim_.Count(Rare::kReadWithoutLog);
    ASSIGN_OR_RETURN(Made made, MakePage(read->slot, plan, std::move(read->bases[i])));
    const bool is_worth_it = made.applied >= kStorePageAfterRecords || was_damaged;
    if (plan.may_store && made.applied > 0 && is_worth_it) {
      RETURN_IF_ERROR(Written(disk_.WritePage(read->slot->id, plan.page, made.image)));
    }
    reply.pages.push_back(std::move(made.image));
  }
  return reply;
}

absl::StatusOr<StorageHost::Base> StorageHost::ReadBase(const Slot& slot, PageNo page,
                                                        Lsn read_point, Lsn log_start) {
  auto image = disk_.ReadPage(slot.id, page, read_point);
  if (image.ok()) return Base{*std::move(image)};
  if (!absl::IsDataLoss(image.status())) return image.status();
  disk_
      .ScanPages(slot.id, page, 1,
                 [&](PageNo at, Lsn lsn, const auto& found) {
                   if (at == page && absl::IsDataLoss(found.status()))
                     PageDamaged(slot.id, {at, lsn});
                 })
      .IgnoreError();
  Base base{.is_damaged = true};
  // The log goes back no further than to the version that was made where it starts.
  if (log_start > Lsn() && log_start < read_point) {
    image = disk_.ReadPage(slot.id, page, log_start);
    if (image.ok()) base.image = *std::move(image);
  }
  return base;
}

absl::StatusOr<StorageHost::Made> StorageHost::MakePage(Slot* slot,
                                                        const storage::PageReadPlan& plan,
                                                        Base base) {
  if (base.is_damaged && plan.records.empty()) {
    sim_.Count(Rare::kReadMetDamagedBase);
    return absl::DataLossError(Text("page ", plan.page, ": its stored version is damaged"));
  }
  ASSIGN_OR_RETURN(storage::PageFold fold,
                   storage::PageFold::Start(plan.page, slot->page_bytes, std::move(base.image)));
  for (const storage::RecordLocation& at : plan.records) {
    ASSIGN_OR_RETURN(const log::RedoRecord record, FetchRecord(slot, at));
    RETURN_IF_ERROR(fold.Apply({record.header, record.payload}));
  }
  const int applied = fold.applied();
  return Made{std::move(fold).Take(), applied};
}

absl::StatusOr<SimUpkeep::Version> StorageHost::MakeVersion(Slot* slot, PageNo page, Lsn through) {
  ASSIGN_OR_RETURN(Base base, ReadBase(*slot, page, through, slot->segment.log_start()));
  const bool was_damaged = base.is_damaged;
  const storage::PageReadPlan plan =
      slot->segment.PlanVersion(page, through, base.image ? base.image->lsn : Lsn());
  ASSIGN_OR_RETURN(Made made, MakePage(slot, plan, std::move(base)));
  return SimUpkeep::Version{std::move(made.image), made.applied > 0 || was_damaged};
}

absl::StatusOr<log::RedoRecord> StorageHost::FetchRecord(Slot* slot,
                                                         const storage::RecordLocation& at) {
  const auto bytes = disk_.ReadRecord(slot->id, at.position, at.offset, at.size);
  const auto verify = [&]() -> absl::StatusOr<log::RecordView> {
    RETURN_IF_ERROR(storage::AsLoss(bytes.status()));
    return storage::VerifyRecord(slot->id, at, *bytes);
  };
  const absl::StatusOr<log::RecordView> record = verify();
  if (absl::IsDataLoss(record.status())) BatchDamaged(slot, at.position);
  RETURN_IF_ERROR(record.status());
  return log::RedoRecord{record->header, std::string(record->payload)};
}

// --- the log

void StorageHost::ReadLog(const protocol::ReadLogRequest& request,
                          Network::Answer<protocol::ReadLogReply> answer) {
  Slot* slot = Find(request.segment);
  if (slot == nullptr) return answer(NoSuchSegment(request.segment));
  StartLogRead(slot, request, std::move(answer));
}

void StorageHost::StartLogRead(Slot* slot, const protocol::ReadLogRequest& request,
                               Network::Answer<protocol::ReadLogReply> answer) {
  auto plan = slot->segment.PlanLogRead(request);
  if (!plan.ok()) {
    if (absl::IsOutOfRange(plan.status())) sim_.Count(Rare::kLogAskedForIsCollected);
    return answer(plan.status());
  }
  sim_.loop.After(
      disk_.ReadTime(), process_,
      [this, slot, request, plan = *std::move(plan), answer = std::move(answer),
       log_start = slot->segment.log_start(), known = slot->segment.state().truncations] {
        auto reply = CarryOut(slot, plan);
        if (slot->is_dropped) return answer(NoSuchSegment(slot->id));
        if (MayBeOvertaken(reply.status()) && slot->segment.log_start() != log_start) {
          return StartLogRead(slot, request, answer);
        }
        if (reply.ok()) sim_.observer->LogServed(node_, request, *reply, known);
        answer(std::move(reply));
      });
}

absl::StatusOr<protocol::ReadLogReply> StorageHost::CarryOut(Slot* slot,
                                                             const storage::LogReadPlan& plan) {
  protocol::ReadLogReply reply{.scl = plan.scl, .is_last = plan.is_last};
  for (const storage::RecordLocation& at : plan.records) {
    ASSIGN_OR_RETURN(log::RedoRecord record, FetchRecord(slot, at));
    reply.records.push_back(std::move(record));
  }
  return reply;
}

// --- copies for a peer

struct StorageHost::PageCopy {
  Slot* slot;
  protocol::CopyPagesRequest request;  // what is left of it
  Network::Answer<protocol::CopyPagesReply> answer;
  protocol::CopyPagesReply reply;
  storage::CopyPortion portion;
  uint64_t bytes = 0;
};

void StorageHost::CopyPages(const protocol::CopyPagesRequest& request,
                            Network::Answer<protocol::CopyPagesReply> answer) {
  Slot* slot = Find(request.segment);
  if (slot == nullptr) return answer(NoSuchSegment(request.segment));
  CopyNext(std::make_shared<PageCopy>(PageCopy{.slot = slot,
                                               .request = request,
                                               .answer = std::move(answer),
                                               .reply = {.next = request.from, .is_last = false}}));
}

void StorageHost::CopyNext(const std::shared_ptr<PageCopy>& copy) {
  const auto plan = copy->slot->segment.PlanPageCopy(copy->request, kPagesToCopyAtOnce);
  if (!plan.ok()) return copy->answer(plan.status());
  if (copy->reply.read_point == Lsn()) {
    copy->reply.read_point = plan->read_point;
    copy->reply.pg_lsn = plan->pg_lsn;
  }
  sim_.loop.After(disk_.ReadTime(), process_, [this, copy, plan = *plan] {
    std::vector<PageNo> stored;
    if (plan.has_stored) {
      stored = *disk_.ListPages(copy->slot->id, copy->request.from, kPagesToCopyAtOnce);
    }
    if (copy->slot->is_dropped) return copy->answer(NoSuchSegment(copy->slot->id));
    copy->portion = storage::NextToCopy(plan, stored, kPagesToCopyAtOnce);
    CopyPage(copy, 0);
  });
}

void StorageHost::CopyPage(const std::shared_ptr<PageCopy>& copy, size_t index) {
  protocol::CopyPagesReply& reply = copy->reply;
  if (index == copy->portion.pages.size()) {
    reply.next = copy->request.from = copy->portion.next;
    reply.is_last = copy->portion.is_last;
    return reply.is_last ? copy->answer(std::move(reply)) : CopyNext(copy);
  }
  const PageNo page = reply.next = copy->portion.pages[index];
  if (!reply.pages.empty() && copy->bytes + copy->slot->page_bytes > copy->request.max_bytes) {
    return copy->answer(std::move(reply));
  }
  const auto read_done = [this, copy, index, page](absl::StatusOr<protocol::ReadPagesReply> read) {
    protocol::CopyPagesReply& reply = copy->reply;
    if (!read.ok()) {
      // Damaged, or collected meanwhile: what was made so far is good.
      if (reply.pages.empty()) return copy->answer(read.status());
      return copy->answer(std::move(reply));
    }
    page::PageImage& image = read->pages.front();
    // Newer than the read point it does not exist yet; older than asked for the asker has it.
    if (image.lsn != Lsn() && image.lsn > copy->request.changed_after) {
      copy->bytes += image.bytes.size();
      reply.pages.push_back({page, std::move(image)});
    }
    CopyPage(copy, index + 1);
  };
  StartRead(std::make_shared<PageRead>(PageRead{.slot = copy->slot,
                                                .request = {.segment = copy->request.segment,
                                                            .epoch = copy->request.epoch,
                                                            .read_point = reply.read_point,
                                                            .pg_lsn = reply.pg_lsn,
                                                            .pages = {page}},
                                                .answer = read_done}));
}

}  // namespace sextant::simulation
