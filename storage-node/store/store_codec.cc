// See store_codec.h.
#include "storage-node/store/store_codec.h"

#include <algorithm>

#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/text.h"

namespace sextant::storage {
namespace {

void PutBigEndian(std::string* out, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

uint64_t GetBigEndian(std::string_view in) {
  uint64_t value = 0;
  for (const char c : in) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void PutText(std::string* out, std::string_view text) {
  PutVarint(out, text.size());
  out->append(text);
}

// Prefixes `body` with the CRC over key and body.
std::string Seal(std::string_view key, std::string_view body) {
  std::string value;
  value.reserve(4 + body.size());
  PutFixed32(&value, Crc32c(body, Crc32c(key)));
  value.append(body);
  return value;
}

// Takes the CRC off; false when it does not match.
bool Unseal(std::string_view key, std::string_view* value) {
  uint32_t crc;
  return GetFixed32(value, &crc) && crc == Crc32c(*value, Crc32c(key));
}

// Reads fields one after the other and remembers whether any was short.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  uint64_t Varint() {
    uint64_t value = 0;
    ok_ = ok_ && GetVarint(&in_, &value);
    return ok_ ? value : 0;
  }
  // A varint of at most `largest`.
  uint64_t VarintUpTo(uint64_t largest) {
    const uint64_t value = Varint();
    ok_ = ok_ && value <= largest;
    return ok_ ? value : 0;
  }
  uint64_t Fixed64() {
    uint64_t value = 0;
    ok_ = ok_ && GetFixed64(&in_, &value);
    return ok_ ? value : 0;
  }
  std::string Text() {
    std::string_view text;
    const uint64_t size = Varint();
    ok_ = ok_ && GetBytes(&in_, size, &text);
    return ok_ ? std::string(text) : std::string();
  }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && in_.empty(); }

 private:
  std::string_view in_;
  bool ok_ = true;
};

absl::Status Damaged(SegmentId segment, std::string_view what) {
  return absl::DataLossError(
      Text(what, " of volume ", FormatVolumeId(segment.volume), " pg ", segment.pg, " is damaged"));
}

// Between two ranges lies a position at least: what is certain is not written, so that a set has
// one encoding.
void EncodePositions(const PositionSet& set, std::string* out) {
  PutVarint(out, set.ranges().size());
  LogPosition lowest;
  for (const PositionSet::Range& range : set.ranges()) {
    PutVarint(out, range.first - lowest);
    PutVarint(out, range.last - range.first);
    lowest = range.last + 2;
  }
}

void DecodePositions(Reader* in, PositionSet* set) {
  constexpr uint64_t kHighest = UINT64_MAX >> 1;
  LogPosition lowest;
  for (uint64_t n = in->Varint(); n > 0 && in->ok(); --n) {
    const LogPosition first =
        lowest + in->VarintUpTo(kHighest - std::min(lowest.value(), kHighest));
    const LogPosition last = first + in->VarintUpTo(kHighest - std::min(first.value(), kHighest));
    set->Add(first, last);
    lowest = last + 2;
  }
}

void EncodeStateBody(const SegmentState& state, std::string* out) {
  PutFixed32(out, kDirectoryFormat);
  PutFixed64(out, state.incarnation.value());
  PutVarint(out, state.is_dropped);
  const volume::Geometry& geometry = state.descriptor.geometry;
  PutVarint(out, geometry.page_bytes);
  PutVarint(out, geometry.pages_per_pg);
  PutVarint(out, geometry.pg_count);
  PutVarint(out, geometry.epoch.value());
  PutVarint(out, state.membership.epoch.value());
  PutVarint(out, state.membership.members.size());
  for (const volume::Member& member : state.membership.members) {
    PutText(out, member.node);
    PutText(out, member.zone);
  }
  PutVarint(out, state.membership.base.bits());
  PutVarint(out, state.membership.changes.size());
  for (const volume::MemberChange& change : state.membership.changes) {
    PutVarint(out, change.from);
    PutVarint(out, change.to);
  }
  PutVarint(out, state.slot);
  PutVarint(out, state.epoch.value());
  PutFixed64(out, state.writer.value());
  PutVarint(out, state.truncations.size());
  for (const volume::Truncation& truncation : state.truncations) {
    PutVarint(out, truncation.epoch.value());
    PutVarint(out, truncation.vdl.value());
    PutVarint(out, truncation.upper.value());
  }
  PutVarint(out, state.first_position.value());
  PutVarint(out, state.log_start.value());
  PutVarint(out, state.read_floor.value());
  EncodePositions(state.healed, out);
}

void DecodeStateBody(Reader* in, SegmentState* state) {
  state->incarnation = IncarnationId(in->Fixed64());
  state->is_dropped = in->VarintUpTo(1) == 1;
  volume::Geometry& geometry = state->descriptor.geometry;
  geometry.page_bytes = static_cast<uint32_t>(in->VarintUpTo(UINT32_MAX));
  geometry.pages_per_pg = in->Varint();
  geometry.pg_count = static_cast<uint32_t>(in->VarintUpTo(UINT32_MAX));
  geometry.epoch = GeometryEpoch(in->Varint());
  state->membership.epoch = MembershipEpoch(in->Varint());
  for (uint64_t n = in->Varint(); n > 0 && in->ok(); --n) {
    volume::Member member;
    member.node = in->Text();
    member.zone = in->Text();
    state->membership.members.push_back(std::move(member));
  }
  state->membership.base =
      quorum::SlotSet::FromBits(static_cast<unsigned>(in->VarintUpTo(UINT8_MAX)));
  for (uint64_t n = in->Varint(); n > 0 && in->ok(); --n) {
    volume::MemberChange change;
    change.from = static_cast<quorum::Slot>(in->VarintUpTo(UINT8_MAX));
    change.to = static_cast<quorum::Slot>(in->VarintUpTo(UINT8_MAX));
    state->membership.changes.push_back(change);
  }
  state->slot = static_cast<quorum::Slot>(in->VarintUpTo(UINT8_MAX));
  state->epoch = VolumeEpoch(in->Varint());
  state->writer = WriterId(in->Fixed64());
  for (uint64_t n = in->Varint(); n > 0 && in->ok(); --n) {
    volume::Truncation truncation;
    truncation.epoch = VolumeEpoch(in->Varint());
    truncation.vdl = Lsn(in->Varint());
    truncation.upper = Lsn(in->Varint());
    state->truncations.push_back(truncation);
  }
  state->first_position = LogPosition(in->Varint());
  state->log_start = Lsn(in->Varint());
  state->read_floor = Lsn(in->Varint());
  DecodePositions(in, &state->healed);
}

}  // namespace

std::string SegmentKey(SegmentId segment) {
  std::string key;
  PutBigEndian(&key, segment.volume.value(), 8);
  PutBigEndian(&key, segment.pg.value(), 4);
  return key;
}

SegmentId ParseSegmentKey(std::string_view key) {
  return {VolumeId(GetBigEndian(key.substr(0, 8))),
          PgId(static_cast<uint32_t>(GetBigEndian(key.substr(8, 4))))};
}

std::string LogKey(SegmentId segment, LogPosition position) {
  std::string key = SegmentKey(segment);
  PutBigEndian(&key, position.value(), 8);
  return key;
}

std::string SegmentEndKey(SegmentId segment) {
  return SegmentKey(segment) + std::string(kPagePrefixBytes, '\xff');
}

std::string PageKey(SegmentId segment, PageNo page, Lsn lsn) {
  std::string key = SegmentKey(segment);
  PutBigEndian(&key, page.value(), 8);
  PutBigEndian(&key, ~lsn.value(), 8);
  return key;
}

bool ParseLogKey(std::string_view key, SegmentId segment, LogPosition* position) {
  if (key.size() != kSegmentKeyBytes + 8) return false;
  if (key.substr(0, kSegmentKeyBytes) != SegmentKey(segment)) return false;
  *position = LogPosition(GetBigEndian(key.substr(kSegmentKeyBytes)));
  return true;
}

bool ParsePageKey(std::string_view key, SegmentId segment, PageNo* page, Lsn* lsn) {
  if (key.size() != kPagePrefixBytes + 8) return false;
  if (key.substr(0, kSegmentKeyBytes) != SegmentKey(segment)) return false;
  *page = PageNo(GetBigEndian(key.substr(kSegmentKeyBytes, 8)));
  *lsn = Lsn(~GetBigEndian(key.substr(kPagePrefixBytes)));
  return true;
}

bool ParsePageKey(std::string_view key, SegmentId segment, PageNo page, Lsn* lsn) {
  PageNo found;
  return ParsePageKey(key, segment, &found, lsn) && found == page;
}

std::string EncodeState(const SegmentState& state) {
  std::string body;
  EncodeStateBody(state, &body);
  return Seal(SegmentKey(state.segment), body);
}

absl::StatusOr<SegmentState> DecodeState(std::string_view key, std::string_view value) {
  if (key.size() != kSegmentKeyBytes)
    return absl::DataLossError("segment state under a strange key");
  SegmentState state;
  state.segment = ParseSegmentKey(key);
  state.descriptor.volume = state.segment.volume;
  if (!Unseal(key, &value)) return Damaged(state.segment, "state");
  uint32_t format;
  if (!GetFixed32(&value, &format)) return Damaged(state.segment, "state");
  if (format != kDirectoryFormat) {
    return absl::FailedPreconditionError(
        Text("segment state has format ", format, "; this binary knows format ", kDirectoryFormat));
  }
  Reader in(value);
  DecodeStateBody(&in, &state);
  if (!in.AtEnd()) return Damaged(state.segment, "state");
  return state;
}

std::string EncodeHighWater(const LogHighWater& mark) {
  std::string body;
  PutFixed64(&body, mark.last_position.value());
  PutFixed64(&body, mark.scl.value());
  return Seal(SegmentKey(mark.segment), body);
}

absl::StatusOr<LogHighWater> DecodeHighWater(SegmentId segment, std::string_view value) {
  if (!Unseal(SegmentKey(segment), &value)) return Damaged(segment, "log high-water mark");
  Reader in(value);
  LogHighWater mark;
  mark.segment = segment;
  mark.last_position = LogPosition(in.Fixed64());
  mark.scl = Lsn(in.Fixed64());
  if (!in.AtEnd()) return Damaged(segment, "log high-water mark");
  return mark;
}

uint32_t PageCrc(SegmentId segment, PageNo page, Lsn lsn, std::string_view bytes) {
  return Crc32c(bytes, Crc32c(PageKey(segment, page, lsn)));
}

std::string EncodePageCrc(SegmentId segment, PageNo page, const page::PageImage& image) {
  std::string crc;
  PutFixed32(&crc, PageCrc(segment, page, image.lsn, image.bytes));
  return crc;
}

absl::StatusOr<page::PageImage> CheckPage(SegmentId segment, PageNo page, Lsn lsn, uint32_t crc,
                                          std::string_view bytes) {
  if (crc != PageCrc(segment, page, lsn, bytes)) {
    return absl::DataLossError(Text("stored version of page ", page, " at lsn ", lsn, " of volume ",
                                    FormatVolumeId(segment.volume), " pg ", segment.pg,
                                    " does not match its checksum"));
  }
  return page::PageImage{lsn, std::string(bytes)};
}

absl::StatusOr<page::PageImage> DecodePage(SegmentId segment, PageNo page, Lsn lsn,
                                           std::string_view value) {
  uint32_t crc;
  if (!GetFixed32(&value, &crc)) return Damaged(segment, Text("a stored version of page ", page));
  return CheckPage(segment, page, lsn, crc, value);
}

absl::StatusOr<std::string> CutRecord(std::string_view batch, uint32_t offset, uint32_t size) {
  if (offset > batch.size() || size > batch.size() - offset) {
    return absl::DataLossError(Text("stored batch of ", batch.size(), " bytes is too short for ",
                                    size, " bytes at ", offset));
  }
  return std::string(batch.substr(offset, size));
}

}  // namespace sextant::storage
