// See batch.h. Header layout: crc32c u32 | header size u16 (of what the CRC covers) | version u8 |
// volume u64 | varints: pg, epoch, membership, vdl, pg_lsn_at_vdl, pgmrpl, held_by_all,
// record count, body bytes.
#include "common/log/batch.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::log {
namespace {

constexpr unsigned char kVersion = 2;
constexpr size_t kPrefixBytes = 6;  // crc and header size

absl::Status Malformed(std::string_view what) { return absl::DataLossError(Text("batch: ", what)); }

std::string EncodeHeader(const BatchHeader& h) {
  std::string covered;
  covered.push_back(static_cast<char>(kVersion));
  PutFixed64(&covered, h.volume.value());
  PutVarint(&covered, h.pg.value());
  PutVarint(&covered, h.epoch.value());
  PutVarint(&covered, h.membership.value());
  PutVarint(&covered, h.vdl.value());
  PutVarint(&covered, h.pg_lsn_at_vdl.value());
  PutVarint(&covered, h.pgmrpl.value());
  PutVarint(&covered, h.held_by_all.value());
  PutVarint(&covered, h.record_count);
  PutVarint(&covered, h.body_bytes);
  std::string out;
  out.reserve(kPrefixBytes + covered.size() + h.body_bytes);
  PutFixed32(&out, Crc32c(covered));
  out.push_back(static_cast<char>(covered.size() & 0xff));
  out.push_back(static_cast<char>(covered.size() >> 8));
  out += covered;
  return out;
}

// Takes the header from the front of *in.
absl::StatusOr<BatchHeader> TakeHeader(std::string_view* in) {
  uint32_t crc = 0;
  std::string_view size_bytes, covered, version;
  if (!GetFixed32(in, &crc) || !GetBytes(in, 2, &size_bytes)) return Malformed("cut short");
  const size_t size = static_cast<unsigned char>(size_bytes[0]) |
                      static_cast<size_t>(static_cast<unsigned char>(size_bytes[1])) << 8;
  if (!GetBytes(in, size, &covered)) return Malformed("cut short in the header");
  if (Crc32c(covered) != crc) return Malformed("header checksum mismatch");
  uint64_t volume, pg, epoch, membership, vdl, pg_lsn, pgmrpl, held, count, body;
  if (!GetBytes(&covered, 1, &version) || static_cast<unsigned char>(version[0]) != kVersion) {
    return Malformed("unknown version: written by another release of Sextant");
  }
  if (!GetFixed64(&covered, &volume) || !GetVarint(&covered, &pg) || !GetVarint(&covered, &epoch) ||
      !GetVarint(&covered, &membership) || !GetVarint(&covered, &vdl) ||
      !GetVarint(&covered, &pg_lsn) || !GetVarint(&covered, &pgmrpl) ||
      !GetVarint(&covered, &held) || !GetVarint(&covered, &count) || !GetVarint(&covered, &body) ||
      !covered.empty() || pg > UINT32_MAX || body > kMaxBatchBodyBytes ||
      count > body / kMinRecordBytes) {
    return Malformed("impossible header");
  }
  return BatchHeader{.volume = VolumeId(volume),
                     .pg = PgId(static_cast<uint32_t>(pg)),
                     .epoch = VolumeEpoch(epoch),
                     .membership = MembershipEpoch(membership),
                     .vdl = Lsn(vdl),
                     .pg_lsn_at_vdl = Lsn(pg_lsn),
                     .pgmrpl = Lsn(pgmrpl),
                     .held_by_all = Lsn(held),
                     .record_count = static_cast<uint32_t>(count),
                     .body_bytes = static_cast<uint32_t>(body)};
}

}  // namespace

void BatchBuilder::Add(const RecordHeader& header, std::string_view payload) {
  SEXTANT_CHECK(header.lsn > last_) << "records of a batch must ascend: " << header.lsn;
  EncodeRecord(volume_, pg_, header, payload, &body_);
  if (count_++ == 0) first_ = header.lsn;
  last_ = header.lsn;
}

EncodedBatch BatchBuilder::Seal(BatchHeader header) {
  SEXTANT_CHECK(body_.size() <= kMaxBatchBodyBytes) << body_.size();
  header.volume = volume_;
  header.pg = pg_;
  header.record_count = count_;
  header.body_bytes = static_cast<uint32_t>(body_.size());
  std::string bytes = EncodeHeader(header);
  bytes += body_;
  EncodedBatch batch{header, first_, last_, std::make_shared<const std::string>(std::move(bytes))};
  body_.clear();
  count_ = 0;
  first_ = last_ = Lsn();
  return batch;
}

absl::StatusOr<BatchHeader> DecodeBatchHeader(std::string_view bytes) { return TakeHeader(&bytes); }

absl::StatusOr<BatchView> DecodeBatch(std::string_view bytes) {
  std::string_view rest = bytes;
  BatchView batch;
  ASSIGN_OR_RETURN(batch.header, TakeHeader(&rest));
  if (rest.size() != batch.header.body_bytes) {
    return Malformed(
        Text("body of ", rest.size(), " bytes, header says ", batch.header.body_bytes));
  }
  batch.entries.reserve(batch.header.record_count);
  Lsn last;
  while (!rest.empty()) {
    const auto offset = static_cast<uint32_t>(bytes.size() - rest.size());
    ASSIGN_OR_RETURN(RecordView record, DecodeRecord(batch.header.volume, batch.header.pg, &rest));
    if (record.header.lsn <= last) return Malformed("records do not ascend");
    last = record.header.lsn;
    const auto size = static_cast<uint32_t>(bytes.size() - rest.size()) - offset;
    batch.entries.push_back({record, offset, size});
  }
  if (batch.entries.size() != batch.header.record_count) return Malformed("wrong record count");
  return batch;
}

absl::StatusOr<EncodedBatch> WrapBatch(std::shared_ptr<const std::string> bytes) {
  ASSIGN_OR_RETURN(BatchView view, DecodeBatch(*bytes));
  EncodedBatch batch{view.header, Lsn(), Lsn(), std::move(bytes)};
  if (!view.entries.empty()) {
    batch.first_lsn = view.entries.front().record.header.lsn;
    batch.last_lsn = view.entries.back().record.header.lsn;
  }
  return batch;
}

}  // namespace sextant::log
