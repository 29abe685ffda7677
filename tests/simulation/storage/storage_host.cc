// See storage_host.h. Life, appends and claims.
#include "tests/simulation/storage/storage_host.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"

namespace sextant::simulation {
namespace {

using storage::ReplyToken;

constexpr ReplyToken kGossip{UINT64_MAX};
constexpr absl::Duration kRestart = absl::Milliseconds(50);

}  // namespace

absl::Status StorageHost::NoSuchSegment(SegmentId segment) {
  return absl::NotFoundError(Text("this storage node has no segment ", segment.pg));
}

StorageHost::StorageHost(World world, NodeNo node, volume::Member member)
    : sim_(*world.sim),
      world_(std::move(world)),
      node_(node),
      member_(std::move(member)),
      process_(sim_.loop.AddProcess(absl::Seconds(static_cast<int64_t>(sim_.rng.Below(1000))),
                                    0.99 + static_cast<double>(sim_.rng.Below(20)) / 1000)),
      disk_(&sim_, node) {
  world_.streams->AddServer(process_, this);
}

// --- life

void StorageHost::Start() {
  SEXTANT_CHECK(!is_up());
  disk_.Boot();
  sim_.loop.Start(process_);
  running_ = std::make_unique<Running>();
  running_->committer = std::make_unique<SimCommitter>(&sim_, process_, &disk_, CommitterOut());
  Load();
  running_->gossip = std::make_unique<SimGossip>(&sim_, process_, *world_.gossip, GossipNode());
  running_->upkeep =
      std::make_unique<SimUpkeep>(&sim_, process_, *world_.upkeep, &disk_, UpkeepNode());
  running_->gossip->Start();
  running_->upkeep->Start();
  sim_.observer->NodeStarted(node_, Statuses());
}

SimCommitter::Out StorageHost::CommitterOut() {
  return {.ack = [this](const storage::SegmentOutput::Ack& ack) { Deliver(ack); },
          .epoch_reply =
              [this](storage::SegmentOutput::EpochReply reply) { DeliverRaise(std::move(reply)); },
          .log_start_reply =
              [this](storage::SegmentOutput::LogStartReply reply) {
                auto done = running_->log_starts.extract(reply.to);
                if (!done.empty()) done.mapped()(std::move(reply.status));
              },
          .gap = [this] { running_->gossip->Wake(); },
          .fatal =
              [this](const absl::Status&) {
                // Not within the committer's own call. Something starts it again in a while.
                sim_.loop.After(absl::ZeroDuration(), kWorld,
                                [this, life = sim_.loop.life(process_)] {
                                  if (is_up() && sim_.loop.life(process_) == life) {
                                    Kill(/*power_lost=*/false);
                                  }
                                });
                sim_.loop.After(kRestart, kWorld, [this] {
                  if (!is_up()) Start();
                });
              }};
}

SimUpkeep::Node StorageHost::UpkeepNode() {
  return {.slots =
              [this] {
                std::vector<Slot*> slots;
                for (const auto& [id, slot] : running_->slots) slots.push_back(slot.get());
                return slots;
              },
          .is_busy = [this] { return running_->committer->is_busy(); },
          .make_version = [this](Slot* slot, PageNo page,
                                 Lsn through) { return MakeVersion(slot, page, through); },
          .move_log_start = [this](Slot* slot, const storage::LogStart& to,
                                   auto done) { MoveLogStart(slot, to, std::move(done)); },
          .written = [this](absl::Status status) { return Written(std::move(status)); },
          .batch_damaged = [this](Slot* slot, storage::LogPosition at) { BatchDamaged(slot, at); },
          .page_damaged =
              [this](SegmentId segment, const storage::DamagedPage& damaged) {
                PageDamaged(segment, damaged);
              }};
}

void StorageHost::Load() {
  auto states = disk_.LoadStates();
  SEXTANT_CHECK(states.ok());
  for (storage::SegmentState& state : *states) {
    if (state.is_dropped) {
      running_->dropped.Add(std::move(state));
      continue;
    }
    const storage::LogPosition from = state.first_position;
    auto slot = std::make_unique<Slot>(std::move(state));
    const absl::Status scanned =
        disk_.ScanLog(slot->id, from, [&](storage::LogPosition position, auto bytes) {
          slot->segment.Restore(position, log::DecodeBatch(*bytes));
        });
    SEXTANT_CHECK(scanned.ok());
    slot->segment.FinishRestore(*disk_.LoadHighWater(slot->id));
    if (slot->segment.Status().is_damaged) sim_.Count(Rare::kDamageFoundAtStart);
    running_->slots.emplace(slot->id, std::move(slot));
  }
}

SimGossip::Node StorageHost::GossipNode() {
  return {.name = member_.node,
          .statuses = [this] { return Statuses(); },
          .append = [this](auto bytes) { Append(kGossip, std::move(bytes)); },
          .find =
              [this](const std::string& name) {
                StorageHost* peer = world_.find(name);
                return peer == this ? nullptr : peer;
              },
          .network = world_.network,
          .take_damaged_pages = [this] { return std::exchange(running_->damaged_pages, {}); },
          .read_pages = [this](const protocol::ReadPagesRequest& request,
                               auto done) { ReadPages(request, std::move(done)); },
          .store_pages = [this](SegmentId segment,
                                const auto& pages) { return StorePages(segment, pages); },
          .read_back = [this](SegmentId segment, const storage::Rebuild::ReadBack& what,
                              auto done) { ReadBack(segment, what, std::move(done)); },
          .begin_log_at =
              [this](SegmentId segment, IncarnationId incarnation, const storage::LogStart& to,
                     auto done) { BeginLogAt(segment, incarnation, to, std::move(done)); },
          .replace_page =
              [this](SegmentId segment, const storage::PageRepair::Replace& replace) {
                return ReplacePage(segment, replace);
              }};
}

void StorageHost::Kill(bool power_lost) {
  SEXTANT_CHECK(is_up());
  sim_.loop.Kill(process_);
  running_.reset();
  disk_.ProcessDied();
  if (power_lost) disk_.PowerLost();
  world_.streams->ProcessDied(process_);
}

Slot* StorageHost::Find(SegmentId segment) const {
  const auto found = running_->slots.find(segment);
  const bool is_there = found != running_->slots.end() && !found->second->is_dropped;
  return is_there ? found->second.get() : nullptr;
}

std::vector<protocol::SegmentStatus> StorageHost::Statuses() const {
  std::vector<protocol::SegmentStatus> statuses;
  for (const auto& [id, slot] : running_->slots) statuses.push_back(slot->segment.Status());
  return statuses;
}

uint64_t StorageHost::gossip_requests() const { return running_->gossip->requests(); }

void StorageHost::GetStatus(Network::Answer<protocol::NodeStatus> answer) {
  answer(protocol::NodeStatus{member_.node, member_.zone, Statuses(), disk_.directory()});
}

// --- appending

void StorageHost::StreamOpened(StreamId stream) { running_->streams[stream] = true; }
void StorageHost::StreamEnded(StreamId stream) { running_->streams.erase(stream); }

void StorageHost::BatchArrived(StreamId stream, std::shared_ptr<const std::string> bytes) {
  if (running_->streams.contains(stream)) Append(ReplyToken(stream.value()), std::move(bytes));
}

void StorageHost::ProbeArrived(StreamId stream, const protocol::EpochProbe& probe) {
  if (!running_->streams.contains(stream)) return;
  if (Slot* slot = Find(probe.segment)) {
    return world_.streams->Answer(stream, slot->segment.Answer(probe));
  }
  world_.streams->Answer(stream, {.segment = probe.segment, .round = probe.round});
}

void StorageHost::Append(ReplyToken from, std::shared_ptr<const std::string> bytes) {
  const absl::StatusOr<log::BatchView> view = log::DecodeBatch(*bytes);
  if (!view.ok()) return AnswerDamaged(from, *bytes, view.status());
  const SegmentId id{view->header.volume, view->header.pg};
  Slot* slot = Find(id);
  if (slot == nullptr) return Refuse(from, id, NoSuchSegment(id));
  CountLateWrite(*slot, *view);
  slot->segment.Append(*view, std::move(bytes), from);
  running_->committer->Enqueue(slot);
}

void StorageHost::CountLateWrite(const Slot& slot, const log::BatchView& view) {
  const storage::SegmentState& state = slot.segment.state();
  if (view.header.epoch < state.epoch) sim_.Count(Rare::kLateWriteRefused);
  for (const auto& entry : view.entries) {
    const log::RecordHeader& header = entry.record.header;
    if (storage::IsAnnulled(state.truncations, header.lsn, header.epoch)) {
      return sim_.Count(Rare::kLateRecordAnnulled);
    }
  }
}

void StorageHost::AnswerDamaged(ReplyToken from, const std::string& bytes,
                                const absl::Status& why) {
  const absl::StatusOr<log::BatchHeader> header = log::DecodeBatchHeader(bytes);
  if (header.ok()) Refuse(from, {header->volume, header->pg}, why);
}

void StorageHost::Refuse(ReplyToken from, SegmentId segment, absl::Status why) {
  protocol::AppendAck ack{.segment = segment, .status = std::move(why)};
  if (Slot* slot = Find(segment)) {
    const protocol::SegmentStatus status = slot->segment.Status();
    ack.incarnation = status.incarnation;
    ack.epoch = status.epoch;
    ack.scl = status.scl;
  }
  Deliver({from, std::move(ack)});
}

void StorageHost::Deliver(const storage::SegmentOutput::Ack& ack) {
  sim_.observer->AckLeft(node_, ack.ack);
  if (ack.to == kGossip) return running_->gossip->Acked(ack.ack);
  const StreamId stream(ack.to.value());
  if (running_->streams.contains(stream)) world_.streams->Ack(stream, ack.ack);
}

// --- claims

void StorageHost::RaiseEpoch(const protocol::RaiseEpochRequest& request,
                             Network::Answer<protocol::SegmentStatus> answer) {
  Slot* slot = Find(request.segment);
  if (slot == nullptr) return answer(NoSuchSegment(request.segment));
  const ReplyToken token(++last_token_);
  running_->raises[token] = std::move(answer);
  running_->raise_requests[token] = request;
  slot->segment.RaiseEpoch(request, token);
  running_->committer->Enqueue(slot);
}

void StorageHost::DeliverRaise(storage::SegmentOutput::EpochReply reply) {
  auto answer = running_->raises.extract(reply.to);
  const auto request = running_->raise_requests.extract(reply.to);
  if (answer.empty()) return;
  if (absl::IsResourceExhausted(reply.reply.status())) sim_.Count(Rare::kRaiseRefusedForRoom);
  if (reply.reply.ok() && reply.reply->is_damaged) sim_.Count(Rare::kRecoveryMetDamage);
  sim_.observer->RaiseAnswered(node_, request.mapped(), reply.reply);
  answer.mapped()(std::move(reply.reply));
}

}  // namespace sextant::simulation
