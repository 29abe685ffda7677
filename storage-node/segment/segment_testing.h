// Test tools for segments: hand-made records, batches of them, and a rig that plays shell and disk.
#pragma once

#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/log/batch.h"
#include "storage-node/segment/page_fold.h"
#include "storage-node/segment/segment.h"

namespace sextant::storage::testing {

// Protection group 1 of a volume of 512-byte pages, ten a group: pages 10 to 19.
inline constexpr SegmentId kSegment{VolumeId(7), PgId(1)};
inline constexpr uint32_t kPageBytes = 512;
inline constexpr uint64_t kPagesPerPg = 10;
inline constexpr PageNo kPage{10};

inline SegmentState FreshState() {
  SegmentState state{.segment = kSegment, .incarnation = IncarnationId(42)};
  state.descriptor.volume = kSegment.volume;
  state.descriptor.geometry = {
      .page_bytes = kPageBytes, .pages_per_pg = kPagesPerPg, .pg_count = 3};
  for (const char* node : {"az1-a", "az1-b", "az2-a", "az2-b", "az3-a", "az3-b"}) {
    state.membership.members.push_back({node, std::string(node, 3)});
  }
  state.epoch = VolumeEpoch(1);
  state.writer = WriterId(1);
  return state;
}

// A record whose payload writes its LSN's lowest byte at the start of the page.
struct RedoOptions {
  PageNo page = kPage;
  uint64_t prev_page = 0;
  uint64_t epoch = 1;
  bool is_full_image = false;
};
inline log::RedoRecord Redo(uint64_t lsn, uint64_t prev_pg, RedoOptions options = {}) {
  log::RedoRecord record;
  record.header = {.lsn = Lsn(lsn),
                   .prev_volume_lsn = Lsn(lsn - 1),
                   .prev_pg_lsn = Lsn(prev_pg),
                   .prev_page_lsn = Lsn(options.prev_page),
                   .page = options.page,
                   .epoch = VolumeEpoch(options.epoch),
                   .is_cpl = true,
                   .is_full_image = options.is_full_image};
  const std::string mark(1, static_cast<char>(lsn & 0xff));
  record.payload = options.is_full_image ? std::string(kPageBytes, mark[0])
                                         : page::EncodeRanges({{.offset = 0, .bytes = mark}});
  return record;
}

struct BatchOptions {
  uint64_t epoch = 1;
  uint64_t vdl = 0;
  uint64_t pg_lsn_at_vdl = 0;
  uint64_t pgmrpl = 0;
  uint64_t held_by_all = 0;
};
inline log::EncodedBatch Batch(const std::vector<log::RedoRecord>& records,
                               BatchOptions options = {}) {
  log::BatchBuilder builder(kSegment.volume, kSegment.pg);
  for (const log::RedoRecord& record : records) builder.Add(record.header, record.payload);
  return builder.Seal({.epoch = VolumeEpoch(options.epoch),
                       .membership = MembershipEpoch(1),
                       .vdl = Lsn(options.vdl),
                       .pg_lsn_at_vdl = Lsn(options.pg_lsn_at_vdl),
                       .pgmrpl = Lsn(options.pgmrpl),
                       .held_by_all = Lsn(options.held_by_all)});
}

inline protocol::RaiseEpochRequest Raise(uint64_t epoch, uint64_t writer,
                                         std::vector<volume::Truncation> truncations = {}) {
  return {.segment = kSegment,
          .epoch = VolumeEpoch(epoch),
          .writer = WriterId(writer),
          .truncations = std::move(truncations)};
}

inline volume::Truncation Cut(uint64_t epoch, uint64_t vdl, uint64_t upper) {
  return {.epoch = VolumeEpoch(epoch), .vdl = Lsn(vdl), .upper = Lsn(upper)};
}

// What a store keeps of one segment.
struct Disk {
  SegmentState state = FreshState();
  std::map<LogPosition, std::shared_ptr<const std::string>> log;
  std::optional<LogHighWater> high_water;
  std::map<PageNo, std::map<Lsn, page::PageImage>> pages;  // durable versions

  // The newest version at or below an LSN.
  std::optional<page::PageImage> Page(PageNo page, Lsn at_or_below) const {
    const auto found = pages.find(page);
    if (found == pages.end()) return std::nullopt;
    const auto above = found->second.upper_bound(at_or_below);
    if (above == found->second.begin()) return std::nullopt;
    return std::prev(above)->second;
  }
  void Write(const StoreWrite& write) {
    for (const LogAppend& append : write.log) log[append.position] = append.batch;
    if (!write.high_water.empty()) high_water = write.high_water.back();
    if (!write.states.empty()) state = write.states.back();
    for (const LogDrop& drop : write.log_drops)
      log.erase(log.begin(), log.lower_bound(drop.before));
  }
};

inline std::unique_ptr<Segment> Load(const Disk& disk) {
  auto segment = std::make_unique<Segment>(disk.state);
  for (const auto& [position, bytes] : disk.log) {
    segment->Restore(position, log::DecodeBatch(*bytes));
  }
  segment->FinishRestore(disk.high_water);
  return segment;
}

// A segment, its disk, and the shell between them. Nothing becomes durable unless told.
class Rig {
 public:
  void Send(const log::EncodedBatch& batch, uint64_t from = 1) {
    auto view = log::DecodeBatch(*batch.bytes);
    SEXTANT_CHECK(view.ok()) << view.status().ToString();
    segment().Append(*view, batch.bytes, ReplyToken(from));
  }
  // Takes what there is to do; collects answers and queues what is to be persisted.
  void Take() {
    SegmentOutput out = segment().TakeOutput();
    for (SegmentOutput::Ack& ack : out.acks) acks.push_back(std::move(ack));
    for (SegmentOutput::EpochReply& reply : out.epoch_replies) replies.push_back(std::move(reply));
    for (auto& reply : out.log_start_replies) log_start_replies.push_back(std::move(reply.status));
    if (!out.persist.empty()) unsynced.push_back({out.ticket, std::move(out.persist)});
  }
  // The oldest unsynced write reaches the disk.
  void Sync() {
    SEXTANT_CHECK(!unsynced.empty());
    disk.Write(unsynced.front().second);
    segment().Persisted(unsynced.front().first);
    unsynced.erase(unsynced.begin());
  }
  // Everything taken in becomes durable and is answered.
  void Settle() {
    Take();
    while (!unsynced.empty()) {
      Sync();
      Take();
    }
  }
  // The oldest unsynced write, and with it all later ones, finds no room.
  void RefuseUnsynced() {
    SEXTANT_CHECK(!unsynced.empty());
    segment().PersistRefused(unsynced.front().first, absl::ResourceExhaustedError("disk full"));
    unsynced.clear();
    Take();
  }
  void Crash() {
    unsynced.clear();
    acks.clear();
    replies.clear();
    log_start_replies.clear();
    segment_ = Load(disk);
  }

  // A version of every page that a plan names becomes durable.
  void MakeVersions(const CollectPlan& plan) {
    for (PageNo page : plan.pages) {
      auto base = disk.Page(page, plan.through);
      const Lsn base_lsn = base ? base->lsn : Lsn();
      auto image = Fold(segment().PlanVersion(page, plan.through, base_lsn), std::move(base));
      SEXTANT_CHECK(image.ok()) << image.status().ToString();
      disk.pages[page][image->lsn] = *image;
    }
  }
  // A whole round of collection, but for old versions, which stay.
  bool Collect(CollectOptions options = {.min_bytes = 0}) {
    const std::optional<CollectPlan> plan = segment().PlanCollect(options);
    if (!plan.has_value()) return false;
    MakeVersions(*plan);
    segment().MoveLogStart({plan->through, Lsn()}, ReplyToken(200));
    Settle();
    return !log_start_replies.empty() && log_start_replies.back().ok();
  }

  // Another segment with the same disk as it is now.
  Rig Clone() const {
    Rig other;
    other.disk = disk;
    other.Crash();
    return other;
  }

  Segment& segment() { return *segment_; }
  Lsn scl() { return segment_->Status().scl; }

  protocol::ReadPagesRequest ReadRequest(uint64_t read_point, std::optional<Lsn> pg_lsn = {}) {
    return {.segment = kSegment,
            .epoch = segment_->Status().epoch,
            .read_point = Lsn(read_point),
            .pg_lsn = pg_lsn,
            .pages = {kPage}};
  }
  log::RedoRecord ReadRecord(const RecordLocation& at) const {
    std::string_view bytes = std::string_view(*disk.log.at(at.position)).substr(at.offset, at.size);
    auto record = log::DecodeRecord(kSegment.volume, kSegment.pg, &bytes);
    SEXTANT_CHECK(record.ok() && bytes.empty() && record->header.lsn == at.lsn) << at.lsn;
    return {record->header, std::string(record->payload)};
  }
  // Carries out a page plan, from `base` if given.
  absl::StatusOr<page::PageImage> Fold(const PageReadPlan& plan,
                                       std::optional<page::PageImage> base = {}) const {
    auto fold = PageFold::Start(plan.page, kPageBytes, std::move(base));
    if (!fold.ok()) return fold.status();
    for (const RecordLocation& at : plan.records) {
      const log::RedoRecord record = ReadRecord(at);
      if (absl::Status s = fold->Apply({record.header, record.payload}); !s.ok()) return s;
    }
    return std::move(*fold).Take();
  }

  Disk disk;
  std::vector<SegmentOutput::Ack> acks;
  std::vector<SegmentOutput::EpochReply> replies;
  std::vector<absl::Status> log_start_replies;
  std::vector<std::pair<PersistTicket, StoreWrite>> unsynced;

 private:
  std::unique_ptr<Segment> segment_ = Load(disk);
};

}  // namespace sextant::storage::testing
