// See page_copier.h.
#include "storage-node/server/page_copier.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "common/base/status.h"

namespace sextant::storage {
namespace {

// Looked at in one go.
constexpr size_t kPagesAtOnce = 64;
// Looked at for one reply, however few of them have changed: an asker waits for it.
constexpr size_t kMaxPagesLookedAt = 1024;

}  // namespace

absl::StatusOr<CopyPortion> PageCopier::NextPages(SegmentSlot* slot,
                                                  const protocol::CopyPagesRequest& request,
                                                  protocol::CopyPagesReply* reply) {
  absl::StatusOr<PageCopyPlan> plan;
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    plan = slot->segment.PlanPageCopy(request, kPagesAtOnce);
  }
  RETURN_IF_ERROR(plan.status());
  if (reply->read_point == Lsn()) {
    reply->read_point = plan->read_point;
    reply->pg_lsn = plan->pg_lsn;
  }
  std::vector<PageNo> stored;
  if (plan->has_stored) {
    ASSIGN_OR_RETURN(stored, store_->ListPages(slot->id, request.from, kPagesAtOnce));
  }
  // What was listed may be nothing but what a drop left.
  if (slot->is_dropped) return absl::NotFoundError("the segment was dropped meanwhile");
  return NextToCopy(*plan, stored, kPagesAtOnce);
}

absl::StatusOr<protocol::CopyPagesReply> PageCopier::CopyPages(
    SegmentSlot* slot, const protocol::CopyPagesRequest& request) {
  protocol::CopyPagesReply reply{.next = request.from, .is_last = false};
  protocol::CopyPagesRequest rest = request;
  uint64_t bytes = 0;
  for (size_t looked_at = 0; looked_at < kMaxPagesLookedAt && !reply.is_last;) {
    ASSIGN_OR_RETURN(const CopyPortion portion, NextPages(slot, rest, &reply));
    looked_at += std::max<size_t>(portion.pages.size(), 1);
    for (const PageNo page : portion.pages) {
      reply.next = page;
      if (!reply.pages.empty() && bytes + slot->page_bytes > request.max_bytes) return reply;
      auto read = reader_->ReadPages(slot, {.segment = request.segment,
                                            .epoch = request.epoch,
                                            .read_point = reply.read_point,
                                            .pg_lsn = reply.pg_lsn,
                                            .pages = {page}});
      if (!read.ok()) {
        // Damaged, or collected meanwhile: what was made so far is good.
        if (!reply.pages.empty()) return reply;
        return read.status();
      }
      page::PageImage& image = read->pages.front();
      // Newer than the read point it does not exist yet; older than asked for the asker has it.
      if (image.lsn == Lsn() || image.lsn <= request.changed_after) continue;
      bytes += image.bytes.size();
      reply.pages.push_back({page, std::move(image)});
    }
    reply.next = rest.from = portion.next;
    reply.is_last = portion.is_last;
  }
  return reply;
}

}  // namespace sextant::storage
