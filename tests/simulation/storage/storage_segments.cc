// The part of StorageHost (storage_host.h) that makes, drops and changes segments otherwise than by
// batches, as storage-node/server/storage_node.cc and damage_book.cc do.
#include <utility>

#include "common/base/status.h"
#include "tests/simulation/storage/storage_host.h"

namespace sextant::simulation {

// --- creation and drops, one at a time

bool StorageHost::IsCreating(std::function<void()> again) {
  if (!std::exchange(running_->is_creating, true)) return false;
  sim_.loop.After(absl::Microseconds(100), process_, std::move(again));
  return true;
}

absl::Status StorageHost::CheckCreate(const protocol::CreateSegmentRequest& request) const {
  RETURN_IF_ERROR(volume::ValidateMembership(request.membership));
  if (request.membership.IsActive(request.slot) &&
      request.membership.members[request.slot].node == member_.node) {
    if (request.directory == disk_.directory()) return absl::OkStatus();
    return absl::FailedPreconditionError("it was to be made in a directory that is lost");
  }
  return absl::InvalidArgumentError(Text("slot ", int{request.slot}, " is another node's"));
}

void StorageHost::CreateSegment(const protocol::CreateSegmentRequest& request,
                                Network::Answer<protocol::SegmentStatus> answer) {
  if (absl::Status status = CheckCreate(request); !status.ok()) return answer(std::move(status));
  if (IsCreating([this, request, answer] { CreateSegment(request, answer); })) return;
  const SegmentId id{request.descriptor.volume, request.pg};
  if (Slot* slot = Find(id)) {
    running_->is_creating = false;
    if (absl::Status status = slot->segment.CheckCreate(request); !status.ok()) {
      return answer(std::move(status));
    }
    return answer(slot->segment.Status());
  }
  const absl::StatusOr<storage::SegmentState> made =
      running_->dropped.Make(request, IncarnationId(sim_.rng.Next() | 1));
  if (!made.ok()) {
    running_->is_creating = false;
    return answer(made.status());
  }
  running_->committer->Create(*made, [this, state = *made, answer](const absl::Status& status) {
    running_->is_creating = false;
    if (!status.ok()) return answer(status);
    running_->dropped.MadeAnew(state.segment);
    auto slot = std::make_unique<Slot>(state);
    slot->segment.FinishRestore(std::nullopt);
    answer(slot->segment.Status());
    running_->slots.emplace(state.segment, std::move(slot));
  });
}

void StorageHost::DropSegment(const protocol::DropSegmentRequest& request,
                              Network::Answer<protocol::DropSegmentReply> answer) {
  if (IsCreating([this, request, answer] { DropSegment(request, answer); })) return;
  Slot* slot = Find(request.segment);
  const absl::Status status =
      slot == nullptr ? absl::OkStatus() : slot->segment.CheckDrop(request, member_.node);
  if (slot == nullptr || !status.ok()) {
    running_->is_creating = false;
    return status.ok() ? answer(protocol::DropSegmentReply{}) : answer(status);
  }
  slot->is_dropped = true;
  const storage::SegmentState remains = slot->segment.Remains(request);
  running_->committer->Drop(remains, [this, slot, remains, answer](const absl::Status& dropped) {
    running_->is_creating = false;
    // Left on the disk, it comes back when the node is started, and is dropped then.
    if (!dropped.ok()) return answer(dropped);
    sim_.Tell(member_.node, " pg ", slot->id.pg, ": segment dropped");
    running_->dropped.Add(remains);
    auto found = running_->slots.extract(slot->id);
    running_->dropped_slots.push_back(std::move(found.mapped()));
    answer(protocol::DropSegmentReply{});
  });
}

// --- the log's beginning

void StorageHost::MoveLogStart(Slot* slot, const storage::LogStart& to,
                               std::function<void(absl::Status)> done) {
  const storage::ReplyToken token(++last_token_);
  running_->log_starts[token] = std::move(done);
  slot->segment.MoveLogStart(to, token);
  running_->committer->Enqueue(slot);
}

// --- what peers gave

absl::Status StorageHost::Written(absl::Status status) {
  if (!status.ok()) running_->committer->ReportFatal(status);
  return status;
}

absl::Status StorageHost::StorePages(SegmentId segment,
                                     const std::vector<protocol::CopyPagesReply::Page>& pages) {
  for (const auto& [page, image] : pages) {
    RETURN_IF_ERROR(Written(disk_.WritePage(segment, page, image)));
  }
  return absl::OkStatus();
}

absl::Status StorageHost::CheckStored(SegmentId segment,
                                      const std::vector<storage::PageVersion>& versions) {
  for (const storage::PageVersion& version : versions) {
    const absl::Status status = storage::ReadBackPage(&disk_, segment, version, version.lsn);
    if (status.ok()) continue;
    sim_.Count(Rare::kLostPageWriteFound);
    sim_.Tell(member_.node, " pg ", segment.pg, ": ", View(status.message()));
    return status;
  }
  return absl::OkStatus();
}

void StorageHost::ReadBack(SegmentId segment, const storage::Rebuild::ReadBack& what,
                           std::function<void(absl::Status)> done) {
  const absl::Duration time = what.is_first ? disk_.WriteTime() : disk_.ReadTime();
  sim_.loop.After(time, process_, [this, segment, what, done = std::move(done)] {
    const absl::Status flushed = what.is_first ? Written(disk_.FlushPages()) : absl::OkStatus();
    done(flushed.ok() ? CheckStored(segment, what.pages) : flushed);
  });
}

void StorageHost::BeginLogAt(SegmentId segment, IncarnationId incarnation,
                             const storage::LogStart& to, std::function<void(absl::Status)> done) {
  Slot* slot = Find(segment);
  if (slot == nullptr || slot->segment.Status().incarnation != incarnation) {
    return done(NoSuchSegment(segment));
  }
  sim_.loop.After(disk_.WriteTime(), process_, [this, slot, to, done = std::move(done)] {
    if (absl::Status status = Written(disk_.FlushPages()); !status.ok()) return done(status);
    MoveLogStart(slot, to, done);
  });
}

absl::Status StorageHost::ReplacePage(SegmentId segment,
                                      const storage::PageRepair::Replace& replace) {
  if (replace.image) {
    RETURN_IF_ERROR(Written(disk_.WritePage(segment, replace.page, *replace.image)));
  }
  if (!replace.drop) return absl::OkStatus();
  if (replace.image) {
    RETURN_IF_ERROR(Written(disk_.FlushPages()));
    RETURN_IF_ERROR(CheckStored(segment, {{replace.page, replace.image->lsn}}));
  }
  return Written(disk_.DropPageVersion(segment, replace.page, *replace.drop));
}

// --- damage met

void StorageHost::BatchDamaged(Slot* slot, storage::LogPosition position) {
  if (position < slot->segment.state().first_position) return;  // collected, not lost
  if (slot->segment.MarkDamaged(position) == 0) return;
  sim_.Count(Rare::kDamageFoundAtWork);
  sim_.Tell(member_.node, " pg ", slot->id.pg, ": damage met at position ", position);
  running_->gossip->Wake();
}

void StorageHost::PageDamaged(SegmentId segment, const storage::DamagedPage& damaged) {
  if (running_->damaged_pages.emplace(segment, damaged).second) running_->gossip->Wake();
}

}  // namespace sextant::simulation
