// See segment_driver.h.
#include "tests/fuzz/segment_driver.h"

#include <iterator>
#include <utility>

#include "common/base/check.h"
#include "storage-node/segment/gossip.h"

namespace sextant::fuzz {
namespace {

using namespace storage::testing;  // NOLINT: test tools
using storage::SegmentOutput;

constexpr int kMaxRecords = 7;
constexpr int kMaxTruncations = 4;
constexpr size_t kMaxPages = 4;

// An LSN before `lsn`: what the encoding can say at all.
Lsn LinkOf(FuzzInput* in, Lsn lsn) {
  const uint64_t link = in->Number();
  return Lsn(link < lsn.value() ? link : link % lsn.value());
}

// The page of most records, its neighbours, or any number at all.
PageNo SomePage(FuzzInput* in) { return PageNo(in->Number()); }

}  // namespace

log::RedoRecord SegmentDriver::SomeRecord(FuzzInput* in, Lsn after, VolumeEpoch epoch) const {
  // Small steps, one by default; wraps to what is just above `after`.
  const uint64_t number = in->Number();
  const Lsn lsn = number > after.value() ? Lsn(number) : after.Next();
  const uint8_t kind = in->Byte();
  log::RedoRecord record;
  record.header = {.lsn = lsn,
                   .prev_volume_lsn = Lsn(lsn.value() - 1),
                   .prev_pg_lsn = LinkOf(in, lsn),
                   .prev_page_lsn = (kind & 1) != 0 ? LinkOf(in, lsn) : Lsn(),
                   .page = (kind & 2) != 0 ? SomePage(in) : kPage,
                   .epoch = (kind & 4) != 0 ? VolumeEpoch(in->Number()) : epoch,
                   .is_cpl = (kind & 8) != 0,
                   .is_full_image = (kind & 16) != 0};
  const std::string mark(1, static_cast<char>(lsn.value()));
  if ((kind & 32) != 0) {
    record.payload.assign(in->Byte(), static_cast<char>(kind));  // malformed, most of the time
  } else if (record.header.is_full_image) {
    record.payload.assign(kPageBytes, mark[0]);
  } else {
    record.payload = page::EncodeRanges({{.offset = 0, .bytes = mark}});
  }
  return record;
}

std::vector<log::RedoRecord> SegmentDriver::SomeRecords(FuzzInput* in, VolumeEpoch epoch) const {
  std::vector<log::RedoRecord> records;
  Lsn last;
  for (int n = in->Byte() % (kMaxRecords + 1); n > 0 && last < Lsn(UINT64_MAX); --n) {
    records.push_back(SomeRecord(in, last, epoch));
    last = records.back().header.lsn;
  }
  return records;
}

std::vector<volume::Truncation> SegmentDriver::SomeTruncations(FuzzInput* in) const {
  std::vector<volume::Truncation> truncations;
  for (int n = in->Byte() % (kMaxTruncations + 1); n > 0; --n) {
    const uint64_t epoch = in->Number(), vdl = in->Number(), upper = in->Number();
    truncations.push_back(Cut(epoch, vdl, upper));
  }
  return truncations;
}

void SegmentDriver::Receive(const log::EncodedBatch& batch, uint64_t from) {
  const auto view = log::DecodeBatch(*batch.bytes);
  SEXTANT_CHECK(view.ok()) << view.status();
  rig_.segment().Append(*view, batch.bytes, storage::ReplyToken(from));
}

// First byte, bits: 0 the segment's epoch and not a number, 1 watermarks follow, 2 addresses and
// membership epoch follow; the upper bits name the sender.
void SegmentDriver::Append(FuzzInput* in) {
  const uint8_t how = in->Byte();
  log::BatchHeader header{.epoch = rig_.segment().Status().epoch, .membership = MembershipEpoch(1)};
  if ((how & 1) == 0) header.epoch = VolumeEpoch(in->Number());
  if ((how & 2) != 0) {
    header.vdl = Lsn(in->Number());
    header.pg_lsn_at_vdl = Lsn(in->Number());
    header.pgmrpl = Lsn(in->Number());
  }
  SegmentId to = kSegment;
  if ((how & 4) != 0) {
    to = {VolumeId(in->Number()), PgId(in->Byte())};
    header.membership = MembershipEpoch(in->Number());
  }
  log::BatchBuilder builder(to.volume, to.pg);
  for (const log::RedoRecord& record : SomeRecords(in, header.epoch)) {
    builder.Add(record.header, record.payload);
  }
  Receive(builder.Seal(header), how >> 5);
}

void SegmentDriver::RaiseEpoch(FuzzInput* in) {
  const uint8_t how = in->Byte();
  protocol::RaiseEpochRequest request = Raise(in->Number(), in->Number());
  request.truncations = SomeTruncations(in);
  if ((how & 1) != 0) request.segment.pg = PgId(in->Byte());
  saw_truncation_ |= !request.truncations.empty();
  rig_.segment().RaiseEpoch(request, storage::ReplyToken(how >> 5));
}

void SegmentDriver::ReadPages(FuzzInput* in) {
  const uint8_t how = in->Byte();
  protocol::ReadPagesRequest request = rig_.ReadRequest(in->Number());
  if ((how & 1) != 0) request.epoch = VolumeEpoch(in->Number());
  if ((how & 2) != 0) request.pg_lsn = Lsn(in->Number());
  if ((how & 4) != 0) {
    for (size_t n = in->Byte() % kMaxPages; n > 0; --n) request.pages.push_back(SomePage(in));
  }
  std::vector<Lsn> bases;
  if ((how & 8) != 0) {
    for (size_t n = in->Byte() % (kMaxPages + 2); n > 0; --n) bases.push_back(Lsn(in->Number()));
  }
  const auto plans = rig_.segment().PlanPageRead(request, bases);
  if (!plans.ok()) return;
  SEXTANT_CHECK(plans->size() == request.pages.size()) << plans->size();
  for (const storage::PageReadPlan& plan : *plans) {
    SEXTANT_CHECK(model_.IsOwnPage(plan.page)) << "page " << plan.page << " is served";
    Lsn last;
    for (const storage::RecordLocation& at : plan.records) {
      const log::RecordHeader record = rig_.ReadRecord(at).header;
      model_.CheckServed(record);
      SEXTANT_CHECK(record.page == plan.page && record.lsn > last) << record.lsn;
      SEXTANT_CHECK(record.lsn <= request.read_point) << record.lsn;
      last = record.lsn;
    }
    // Links that a peer made up are noticed here, not turned into bytes.
    const auto image = rig_.Fold(plan);
    SEXTANT_CHECK(image.ok() || image.status().code() == absl::StatusCode::kDataLoss)
        << image.status();
  }
}

void SegmentDriver::ReadLog(FuzzInput* in) {
  const protocol::ReadLogRequest request{.segment = kSegment,
                                         .epoch = VolumeEpoch(in->Number()),
                                         .after = Lsn(in->Number()),
                                         .through = Lsn(in->Number()),
                                         .max_bytes = in->Number()};
  const auto plan = rig_.segment().PlanLogRead(request);
  if (!plan.ok()) return;
  SEXTANT_CHECK(plan->scl == model_.scl()) << plan->scl;
  Lsn last = request.after;
  for (const storage::RecordLocation& at : plan->records) {
    SEXTANT_CHECK(at.lsn > last && at.lsn <= request.through) << at.lsn;
    model_.CheckServed(rig_.ReadRecord(at).header);
    last = at.lsn;
  }
  SEXTANT_CHECK(plan->is_last || !plan->records.empty()) << "a reader would ask for ever";
}

void SegmentDriver::GossipReply(FuzzInput* in) {
  const protocol::SegmentStatus status = rig_.segment().Status();
  const protocol::ReadLogRequest request{.segment = kSegment,
                                         .epoch = status.epoch,
                                         .after = Lsn(in->Number()),
                                         .through = Lsn(in->Number())};
  const protocol::ReadLogReply reply{.records = SomeRecords(in, status.epoch)};
  const auto batches = storage::GossipBatches(status, request, reply);
  if (!batches.ok()) return;
  for (const log::EncodedBatch& batch : *batches) Receive(batch, 100);
}

void SegmentDriver::TakeOutput() {
  rig_.Take();
  for (const SegmentOutput::Ack& ack : std::exchange(rig_.acks, {})) {
    if (!ack.ack.status.ok()) continue;
    SEXTANT_CHECK(ack.ack.scl == model_.scl()) << "acknowledged " << ack.ack.scl;
    acked_scl_ = std::max(acked_scl_, ack.ack.scl);
  }
  for (const SegmentOutput::EpochReply& reply : std::exchange(rig_.replies, {})) {
    // Later claims may be durable by now, but none is answered before it is.
    if (!reply.reply.ok()) continue;
    SEXTANT_CHECK(reply.reply->epoch <= rig_.disk.state.epoch) << reply.reply->epoch;
  }
}

void SegmentDriver::SyncOldest() {
  if (rig_.unsynced.empty()) return;
  model_.Apply(rig_.unsynced.front().second);
  rig_.Sync();
}

void SegmentDriver::SyncAll() {
  if (rig_.unsynced.empty()) return;
  for (const auto& [ticket, write] : rig_.unsynced) {
    rig_.disk.Write(write);
    model_.Apply(write);
  }
  rig_.segment().Persisted(rig_.unsynced.back().first);
  rig_.unsynced.clear();
}

void SegmentDriver::Refuse(FuzzInput* in) {
  if (rig_.unsynced.empty()) return;
  const auto first =
      rig_.unsynced.begin() + static_cast<std::ptrdiff_t>(in->Byte() % rig_.unsynced.size());
  rig_.segment().PersistRefused(first->first, absl::ResourceExhaustedError("disk full"));
  rig_.unsynced.erase(first, rig_.unsynced.end());
}

void SegmentDriver::Crash() {
  rig_.Crash();
  model_ = SegmentModel(rig_.disk);
}

void SegmentDriver::Damage(FuzzInput* in) {
  Disk& disk = rig_.disk;
  const uint8_t how = in->Byte();
  if (how % 4 == 3 || disk.log.empty()) {
    was_damaged_ |= disk.high_water.has_value();
    disk.high_water.reset();
  } else {
    was_damaged_ = true;
    const auto victim =
        std::next(disk.log.begin(), static_cast<std::ptrdiff_t>(in->Byte() % disk.log.size()));
    if (how % 4 == 0) disk.log.erase(victim);
    if (how % 4 == 1) disk.log.erase(victim, disk.log.end());
    if (how % 4 == 2) {
      std::string bytes = *victim->second;
      bytes[in->Byte() % bytes.size()] ^= 0x40;
      victim->second = std::make_shared<const std::string>(std::move(bytes));
    }
  }
  // A log of which nothing at all is left, its mark included, is that of a new segment.
  if (disk.log.empty() && !disk.high_water.has_value()) acked_scl_ = Lsn();
  Crash();
}

// Damage is never seen where there was none; and where the SCL is below what was acknowledged it is
// always seen (with no word of a truncation or a VDL, which may rightly explain it).
void SegmentDriver::CheckDamage() {
  const protocol::SegmentStatus status = rig_.segment().Status();
  if (!was_damaged_) SEXTANT_CHECK(!status.is_damaged) << "scl " << status.scl;
  if (saw_truncation_ || status.known_vdl > Lsn()) return;
  SEXTANT_CHECK(status.scl >= acked_scl_ || status.is_damaged)
      << "scl " << status.scl << " was " << acked_scl_;
}

void SegmentDriver::Check() {
  const protocol::SegmentStatus status = rig_.segment().Status();
  model_.CheckStatus(status);
  SEXTANT_CHECK(rig_.segment().state() == rig_.disk.state) << "state runs ahead of the disk";
  CheckDamage();
  const auto plan = rig_.segment().PlanLogRead(
      {.segment = kSegment, .epoch = status.epoch, .max_bytes = UINT64_MAX});
  if (!plan.ok()) return;  // a higher epoch was promised
  std::vector<log::RedoRecord> records;
  for (const storage::RecordLocation& at : plan->records) records.push_back(rig_.ReadRecord(at));
  model_.CheckLog(records);
}

}  // namespace sextant::fuzz
