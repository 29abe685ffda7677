// See storage_node.h.
#include "storage-node/server/storage_node.h"

#include <spdlog/spdlog.h>

#include <future>
#include <map>
#include <mutex>
#include <random>
#include <shared_mutex>
#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/logging.h"
#include "storage-node/segment/dropped_segments.h"
#include "storage-node/server/answer_router.h"
#include "storage-node/server/collect_task.h"
#include "storage-node/server/committer.h"
#include "storage-node/server/damage_book.h"
#include "storage-node/server/node_counters.h"
#include "storage-node/server/page_copier.h"
#include "storage-node/server/scrub_task.h"
#include "storage-node/server/segment_reader.h"
#include "storage-node/server/segment_slot.h"
#include "storage-node/server/upkeep_runner.h"

namespace sextant::storage {
namespace {

IncarnationId DrawIncarnation() {
  std::random_device entropy;
  const uint64_t high = entropy();
  return IncarnationId(high << 32 | entropy());
}

absl::Status NoSuchSegment(SegmentId segment) {
  return absl::NotFoundError(
      Text("this storage node has no segment ", FormatVolumeId(segment.volume), "/", segment.pg));
}

class StorageNodeImpl : public StorageNode {
 public:
  StorageNodeImpl(StorageNodeOptions options, std::unique_ptr<SegmentStore> store,
                  FatalHandler on_fatal)
      : options_(std::move(options)),
        store_(std::move(store)),
        committer_(options_, store_.get(), &answers_, &counters_, std::move(on_fatal)),
        book_(store_.get(), &counters_, [this] { committer_.CallGapHook(); }),
        reader_(store_.get(), &counters_, &book_, options_.store_page_after_records,
                [this](absl::Status error) { committer_.ReportFatal(std::move(error)); }),
        copier_(store_.get(), &reader_) {}

  absl::Status Load();

  std::unique_ptr<AppendStream> OpenStream(AckSink sink) override;
  protocol::EpochAnswer AnswerProbe(const protocol::EpochProbe& probe) const override;
  void RaiseEpoch(const protocol::RaiseEpochRequest& request,
                  std::function<void(absl::StatusOr<protocol::SegmentStatus>)> done) override;
  absl::StatusOr<protocol::SegmentStatus> CreateSegment(
      const protocol::CreateSegmentRequest& request) override;
  absl::Status DropSegment(const protocol::DropSegmentRequest& request) override;
  absl::StatusOr<protocol::ReadLogReply> ReadLog(const protocol::ReadLogRequest& request) override;
  absl::StatusOr<protocol::ReadPagesReply> ReadPages(
      const protocol::ReadPagesRequest& request) override;
  absl::StatusOr<protocol::CopyPagesReply> CopyPages(
      const protocol::CopyPagesRequest& request) override;
  absl::Status StorePages(SegmentId segment,
                          const std::vector<protocol::CopyPagesReply::Page>& pages) override;
  absl::Status ReadBack(SegmentId segment, const Rebuild::ReadBack& what) override;
  absl::Status BeginLogAt(SegmentId segment, IncarnationId incarnation,
                          const LogStart& to) override;
  void SetRebuild(SegmentId segment, std::optional<protocol::RebuildProgress> progress) override;
  std::vector<std::pair<SegmentId, DamagedPage>> TakeDamagedPages() override {
    return book_.TakePages();
  }
  absl::Status ReplacePage(SegmentId segment, const PageRepair::Replace& replace) override;
  void SetGapHook(std::function<void()> hook) override { committer_.SetGapHook(std::move(hook)); }
  protocol::NodeStatus Status() const override;
  StorageNodeCounters counters() const override { return counters_.Read(); }

 private:
  class Stream;

  // A failed write outside the committer ends the node too.
  absl::Status Written(absl::Status status);
  absl::Status LoadSegment(SegmentState state);
  void StartUpkeep();
  // Segment::MoveLogStart, answered; blocks for the disk.
  absl::Status MoveLogStart(SegmentSlot* slot, const LogStart& to);
  std::vector<SegmentSlot*> Slots() const;
  void Append(ReplyToken from, std::shared_ptr<const std::string> batch);
  void AnswerDamaged(ReplyToken from, std::string_view batch, const absl::Status& why);
  // Refuses a batch in the name of its segment, which may not exist.
  void Refuse(ReplyToken from, SegmentId segment, absl::Status why);
  absl::Status CheckCreate(const protocol::CreateSegmentRequest& request) const;
  SegmentSlot* Find(SegmentId segment) const;  // null: there is none

  const StorageNodeOptions options_;
  const std::unique_ptr<SegmentStore> store_;
  NodeCounters counters_;
  AnswerRouter answers_;

  mutable std::shared_mutex slots_mutex_;
  std::map<SegmentId, std::unique_ptr<SegmentSlot>> slots_;
  // Threads may still be looking at one that was dropped; guarded by slots_mutex_.
  std::vector<std::unique_ptr<SegmentSlot>> dropped_slots_;
  std::mutex create_mutex_;  // one creation or drop at a time
  DroppedSegments dropped_;  // guarded by create_mutex_

  Committer committer_;  // its thread uses all of the above
  DamageBook book_;
  SegmentReader reader_;
  PageCopier copier_;
  std::unique_ptr<UpkeepRunner> upkeep_;  // last: its thread uses all of the above
};

class StorageNodeImpl::Stream : public AppendStream {
 public:
  Stream(StorageNodeImpl* node, AckSink sink)
      : node_(node), token_(node->answers_.AddStream(std::move(sink))) {}
  ~Stream() override { node_->answers_.RemoveStream(token_); }
  void Append(std::shared_ptr<const std::string> batch) override {
    node_->Append(token_, std::move(batch));
  }

 private:
  StorageNodeImpl* const node_;
  const ReplyToken token_;
};

// --- start-up

absl::Status StorageNodeImpl::Load() {
  ASSIGN_OR_RETURN(std::vector<SegmentState> states, store_->LoadStates());
  for (SegmentState& state : states) {
    if (state.is_dropped) {
      dropped_.Add(std::move(state));
    } else {
      RETURN_IF_ERROR(LoadSegment(std::move(state)));
    }
  }
  if (options_.upkeep.is_enabled) StartUpkeep();
  return absl::OkStatus();
}

absl::Status StorageNodeImpl::LoadSegment(SegmentState state) {
  const LogPosition from = state.first_position;
  auto slot = std::make_unique<SegmentSlot>(std::move(state));
  uint64_t batches = 0;
  RETURN_IF_ERROR(store_->ScanLog(slot->id, from, [&](LogPosition position, auto bytes) {
    slot->segment.Restore(position, log::DecodeBatch(*bytes));
    ++batches;
  }));
  ASSIGN_OR_RETURN(const std::optional<LogHighWater> mark, store_->LoadHighWater(slot->id));
  slot->segment.FinishRestore(mark);
  const protocol::SegmentStatus status = slot->segment.Status();
  const std::string fields = rpc::Fields(
      "volume", FormatVolumeId(slot->id.volume), "pg", slot->id.pg, "epoch", status.epoch, "scl",
      status.scl, "batches", batches, "log_bytes", status.log_bytes, "ahead", status.records_ahead);
  if (status.is_damaged) {
    spdlog::error("segment loaded, part of its log is damaged or lost{}", fields);
  } else {
    spdlog::info("segment loaded{}", fields);
  }
  slots_.emplace(slot->id, std::move(slot));
  return absl::OkStatus();
}

// --- upkeep

void StorageNodeImpl::StartUpkeep() {
  CollectTask::Outside outside{
      .slots = [this] { return Slots(); },
      .move_log_start = [this](SegmentSlot* slot,
                               const LogStart& to) { return MoveLogStart(slot, to); },
      .on_write_error = [this](absl::Status error) { committer_.ReportFatal(std::move(error)); }};
  std::vector<std::unique_ptr<UpkeepTask>> tasks;
  tasks.push_back(std::make_unique<CollectTask>(options_.upkeep.collect, store_.get(), &reader_,
                                                &counters_, std::move(outside)));
  tasks.push_back(std::make_unique<ScrubTask>(options_.upkeep, store_.get(), &book_, &counters_,
                                              [this] { return Slots(); }));
  upkeep_ = std::make_unique<UpkeepRunner>(options_.upkeep, std::move(tasks),
                                           [this] { return committer_.IsBusy(); });
}

std::vector<SegmentSlot*> StorageNodeImpl::Slots() const {
  std::shared_lock<std::shared_mutex> lock(slots_mutex_);
  std::vector<SegmentSlot*> slots;
  for (const auto& [id, slot] : slots_) slots.push_back(slot.get());
  return slots;
}

absl::Status StorageNodeImpl::MoveLogStart(SegmentSlot* slot, const LogStart& to) {
  std::promise<absl::Status> moved;
  const ReplyToken token =
      answers_.AddLogStart([&](absl::Status status) { moved.set_value(std::move(status)); });
  if (committer_.has_failed()) {
    answers_.DeliverLogStart({token, absl::UnavailableError("the storage node is stopping")});
  } else {
    {
      std::lock_guard<std::mutex> lock(slot->mutex);
      slot->segment.MoveLogStart(to, token);
    }
    committer_.Enqueue(slot);
  }
  return moved.get_future().get();
}

SegmentSlot* StorageNodeImpl::Find(SegmentId segment) const {
  std::shared_lock<std::shared_mutex> lock(slots_mutex_);
  const auto found = slots_.find(segment);
  const bool is_there = found != slots_.end() && !found->second->is_dropped;
  return is_there ? found->second.get() : nullptr;
}

// --- appending

std::unique_ptr<StorageNode::AppendStream> StorageNodeImpl::OpenStream(AckSink sink) {
  return std::make_unique<Stream>(this, std::move(sink));
}

void StorageNodeImpl::Append(ReplyToken from, std::shared_ptr<const std::string> batch) {
  if (committer_.has_failed()) return;
  const absl::StatusOr<log::BatchView> view = log::DecodeBatch(*batch);
  if (!view.ok()) return AnswerDamaged(from, *batch, view.status());
  const SegmentId id{view->header.volume, view->header.pg};
  SegmentSlot* slot = Find(id);
  if (slot == nullptr) return Refuse(from, id, NoSuchSegment(id));
  const uint64_t bytes = batch->size();
  if (!committer_.ReserveBacklog(bytes)) {
    counters_.refused_backlog.Add();
    return Refuse(from, id,
                  absl::ResourceExhaustedError(
                      Text("storage node ", options_.node, " has too much waiting for its disk")));
  }
  counters_.batches.Add();
  counters_.records.Add(view->entries.size());
  counters_.batch_bytes.Add(bytes);
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    slot->segment.Append(*view, std::move(batch), from);
    slot->untaken_bytes += bytes;
  }
  committer_.Enqueue(slot);
}

void StorageNodeImpl::AnswerDamaged(ReplyToken from, std::string_view batch,
                                    const absl::Status& why) {
  counters_.refused_damaged.Add();
  const absl::StatusOr<log::BatchHeader> header = log::DecodeBatchHeader(batch);
  if (header.ok()) return Refuse(from, {header->volume, header->pg}, why);
  spdlog::warn("a batch arrived so damaged that its segment is unknown{}",
               rpc::Fields("node", options_.node, "error", why));
}

void StorageNodeImpl::Refuse(ReplyToken from, SegmentId segment, absl::Status why) {
  protocol::AppendAck ack{.segment = segment, .status = std::move(why)};
  if (SegmentSlot* slot = Find(segment)) {
    std::lock_guard<std::mutex> lock(slot->mutex);
    const protocol::SegmentStatus status = slot->segment.Status();
    ack.incarnation = status.incarnation;
    ack.epoch = status.epoch;
    ack.scl = status.scl;
  }
  answers_.DeliverAcks({{from, std::move(ack)}});
}

protocol::EpochAnswer StorageNodeImpl::AnswerProbe(const protocol::EpochProbe& probe) const {
  SegmentSlot* slot = Find(probe.segment);
  if (slot == nullptr) return {.segment = probe.segment, .round = probe.round};
  std::lock_guard<std::mutex> lock(slot->mutex);
  return slot->segment.Answer(probe);
}

void StorageNodeImpl::RaiseEpoch(
    const protocol::RaiseEpochRequest& request,
    std::function<void(absl::StatusOr<protocol::SegmentStatus>)> done) {
  SegmentSlot* slot = Find(request.segment);
  if (slot == nullptr) return done(NoSuchSegment(request.segment));
  const ReplyToken token = answers_.AddRaise(std::move(done));
  if (committer_.has_failed()) {
    return answers_.DeliverRaise({token, absl::UnavailableError("the storage node is stopping")});
  }
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    slot->segment.RaiseEpoch(request, token);
  }
  committer_.Enqueue(slot);
}

// --- creating

absl::Status StorageNodeImpl::CheckCreate(const protocol::CreateSegmentRequest& request) const {
  const volume::Geometry& geometry = request.descriptor.geometry;
  RETURN_IF_ERROR(volume::ValidateGeometry(
      geometry.page_bytes, geometry.pages_per_pg * geometry.page_bytes, geometry.pg_count));
  if (request.pg.value() >= geometry.pg_count) {
    return absl::InvalidArgumentError(Text("the volume has ", geometry.pg_count,
                                           " protection groups, there is no number ", request.pg));
  }
  RETURN_IF_ERROR(volume::ValidateMembership(request.membership));
  if (!request.membership.IsActive(request.slot)) {
    return absl::InvalidArgumentError(Text("slot ", int{request.slot}, " is no member's"));
  }
  const std::string& member = request.membership.members[request.slot].node;
  if (member == options_.node) {
    if (request.directory == store_->directory()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        Text("the segment of pg ", request.pg, " was to be made in another data directory of node ",
             options_.node, ", which is lost with what it held: replace the member"));
  }
  return absl::InvalidArgumentError(Text("slot ", int{request.slot}, " is node ", member,
                                         "'s, this is node ", options_.node,
                                         ": check the addresses of the storage nodes"));
}

absl::StatusOr<protocol::SegmentStatus> StorageNodeImpl::CreateSegment(
    const protocol::CreateSegmentRequest& request) {
  RETURN_IF_ERROR(CheckCreate(request));
  std::lock_guard<std::mutex> one_at_a_time(create_mutex_);
  const SegmentId id{request.descriptor.volume, request.pg};
  if (SegmentSlot* slot = Find(id)) {
    std::lock_guard<std::mutex> lock(slot->mutex);
    RETURN_IF_ERROR(slot->segment.CheckCreate(request));
    return slot->segment.Status();
  }
  ASSIGN_OR_RETURN(SegmentState state, dropped_.Make(request, DrawIncarnation()));
  std::promise<absl::Status> committed;
  committer_.Create(state, [&](absl::Status status) { committed.set_value(std::move(status)); });
  RETURN_IF_ERROR(committed.get_future().get());
  dropped_.MadeAnew(id);
  auto slot = std::make_unique<SegmentSlot>(std::move(state));
  slot->segment.FinishRestore(std::nullopt);
  protocol::SegmentStatus status = slot->segment.Status();
  spdlog::info("segment created{}", rpc::Fields("volume", FormatVolumeId(id.volume), "pg", id.pg,
                                                "slot", int{request.slot}));
  std::lock_guard<std::shared_mutex> lock(slots_mutex_);
  slots_.emplace(id, std::move(slot));
  return status;
}

absl::Status StorageNodeImpl::DropSegment(const protocol::DropSegmentRequest& request) {
  std::lock_guard<std::mutex> one_at_a_time(create_mutex_);
  SegmentSlot* slot = Find(request.segment);
  if (slot == nullptr) return absl::OkStatus();
  SegmentState remains;
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    RETURN_IF_ERROR(slot->segment.CheckDrop(request, options_.node));
    remains = slot->segment.Remains(request);
    slot->is_dropped = true;
  }
  std::promise<absl::Status> committed;
  committer_.Drop(remains, [&](absl::Status status) { committed.set_value(std::move(status)); });
  // Left on the disk, it comes back when the node is started, and is dropped then.
  RETURN_IF_ERROR(committed.get_future().get());
  dropped_.Add(std::move(remains));
  spdlog::info("segment dropped, it was replaced{}",
               rpc::Fields("volume", FormatVolumeId(slot->id.volume), "pg", slot->id.pg));
  std::lock_guard<std::shared_mutex> lock(slots_mutex_);
  const auto found = slots_.find(request.segment);
  dropped_slots_.push_back(std::move(found->second));
  slots_.erase(found);
  return absl::OkStatus();
}

// --- reading

absl::StatusOr<protocol::ReadLogReply> StorageNodeImpl::ReadLog(
    const protocol::ReadLogRequest& request) {
  SegmentSlot* slot = Find(request.segment);
  if (slot == nullptr) return NoSuchSegment(request.segment);
  return reader_.ReadLog(slot, request);
}

absl::StatusOr<protocol::ReadPagesReply> StorageNodeImpl::ReadPages(
    const protocol::ReadPagesRequest& request) {
  SegmentSlot* slot = Find(request.segment);
  absl::StatusOr<protocol::ReadPagesReply> reply = NoSuchSegment(request.segment);
  if (slot != nullptr) reply = reader_.ReadPages(slot, request);
  if (!reply.ok()) counters_.page_read_errors.Add();
  return reply;
}

absl::StatusOr<protocol::CopyPagesReply> StorageNodeImpl::CopyPages(
    const protocol::CopyPagesRequest& request) {
  SegmentSlot* slot = Find(request.segment);
  if (slot == nullptr) return NoSuchSegment(request.segment);
  auto reply = copier_.CopyPages(slot, request);
  if (reply.ok()) counters_.pages_copied.Add(reply->pages.size());
  return reply;
}

// --- what peers gave

absl::Status StorageNodeImpl::Written(absl::Status status) {
  if (!status.ok()) committer_.ReportFatal(status);
  return status;
}

absl::Status StorageNodeImpl::StorePages(SegmentId segment,
                                         const std::vector<protocol::CopyPagesReply::Page>& pages) {
  for (const auto& [page, image] : pages) {
    RETURN_IF_ERROR(Written(store_->WritePage(segment, page, image)));
  }
  return absl::OkStatus();
}

absl::Status StorageNodeImpl::ReadBack(SegmentId segment, const Rebuild::ReadBack& what) {
  if (what.is_first) RETURN_IF_ERROR(Written(store_->FlushPages()));
  for (const PageVersion& version : what.pages) {
    RETURN_IF_ERROR(ReadBackPage(store_.get(), segment, version, version.lsn));
  }
  return absl::OkStatus();
}

absl::Status StorageNodeImpl::BeginLogAt(SegmentId segment, IncarnationId incarnation,
                                         const LogStart& to) {
  SegmentSlot* slot = Find(segment);
  if (slot == nullptr) return NoSuchSegment(segment);
  {
    std::lock_guard<std::mutex> lock(slot->mutex);
    if (slot->segment.Status().incarnation != incarnation) return NoSuchSegment(segment);
  }
  RETURN_IF_ERROR(Written(store_->FlushPages()));
  return MoveLogStart(slot, to);
}

void StorageNodeImpl::SetRebuild(SegmentId segment,
                                 std::optional<protocol::RebuildProgress> progress) {
  SegmentSlot* slot = Find(segment);
  if (slot == nullptr) return;
  std::lock_guard<std::mutex> lock(slot->mutex);
  slot->rebuild = std::move(progress);
}

absl::Status StorageNodeImpl::ReplacePage(SegmentId segment, const PageRepair::Replace& replace) {
  if (replace.image) {
    RETURN_IF_ERROR(Written(store_->WritePage(segment, replace.page, *replace.image)));
  }
  if (!replace.drop) return absl::OkStatus();
  if (replace.image) {
    RETURN_IF_ERROR(ReadBack(segment, {.pages = {{replace.page, replace.image->lsn}}}));
  }
  return Written(store_->DropPageVersion(segment, replace.page, *replace.drop));
}

protocol::NodeStatus StorageNodeImpl::Status() const {
  protocol::NodeStatus status{.node = options_.node, .zone = options_.zone};
  status.directory = store_->directory();
  std::shared_lock<std::shared_mutex> lock(slots_mutex_);
  for (const auto& [id, slot] : slots_) {
    std::lock_guard<std::mutex> slot_lock(slot->mutex);
    status.segments.push_back(slot->segment.Status());
    status.segments.back().rebuild = slot->rebuild;
  }
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StorageNode>> StorageNode::Open(StorageNodeOptions options,
                                                               std::unique_ptr<SegmentStore> store,
                                                               FatalHandler on_fatal) {
  auto node =
      std::make_unique<StorageNodeImpl>(std::move(options), std::move(store), std::move(on_fatal));
  RETURN_IF_ERROR(node->Load());
  return std::unique_ptr<StorageNode>(std::move(node));
}

}  // namespace sextant::storage
