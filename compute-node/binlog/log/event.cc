// See event.h. Layout: crc32c u32 | type u8 | body size varint | body. The CRC covers what follows
// it.
#include "compute-node/binlog/log/event.h"

#include <cstring>
#include <optional>

#include "common/base/check.h"
#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/text.h"

namespace sextant::binlog {
namespace {

constexpr std::string_view kMagic = "SXBINLOG";
enum ValueTag : uint8_t { kNull = 0, kInteger = 1, kReal = 2, kText = 3, kBlob = 4 };
constexpr uint8_t kFlagRowid = 1;                   // of a Table
constexpr uint8_t kFlagBefore = 1, kFlagAfter = 2;  // of a Sequence

uint64_t ZigZag(int64_t v) {
  return (static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63);
}
int64_t UnZigZag(uint64_t v) { return static_cast<int64_t>(v >> 1) ^ -static_cast<int64_t>(v & 1); }

void PutString(std::string_view text, std::string* out) {
  PutVarint(out, text.size());
  out->append(text);
}
bool GetString(std::string_view* in, std::string_view* text) {
  uint64_t size = 0;
  return GetVarint(in, &size) && GetBytes(in, size, text);
}
bool GetByte(std::string_view* in, uint8_t* byte) {
  if (in->empty()) return false;
  *byte = static_cast<uint8_t>(in->front());
  in->remove_prefix(1);
  return true;
}

bool GetValue(std::string_view* in, Value* value) {
  uint8_t tag = 0;
  uint64_t number = 0;
  std::string_view bytes;
  if (!GetByte(in, &tag)) return false;
  switch (tag) {
    case kNull:
      *value = NullValue{};
      return true;
    case kInteger:
      if (!GetVarint(in, &number)) return false;
      *value = UnZigZag(number);
      return true;
    case kReal: {
      if (!GetFixed64(in, &number)) return false;
      double real = 0;
      std::memcpy(&real, &number, sizeof real);
      if (real != real) return false;  // SQLite stores no NaN
      *value = real;
      return true;
    }
    case kText:
      if (!GetString(in, &bytes)) return false;
      *value = TextValue{bytes};
      return true;
    case kBlob:
      if (!GetString(in, &bytes)) return false;
      *value = BlobValue{bytes};
      return true;
    default:
      return false;
  }
}

void PutImage(const Image& image, std::string* out) {
  PutVarint(out, image.size());
  for (const Value& value : image) PutValue(value, out);
}
bool GetImage(std::string_view* in, Image* image) {
  uint64_t count = 0;
  if (!GetVarint(in, &count) || count > in->size()) return false;  // a value takes a byte at least
  image->reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    Value value;
    if (!GetValue(in, &value)) return false;
    image->push_back(value);
  }
  return true;
}

void PutGtidSet(const GtidSet& set, std::string* out) {
  PutVarint(out, set.ranges().size());
  for (const auto& [source, ranges] : set.ranges()) {
    PutFixed64(out, source.value());
    PutVarint(out, ranges.size());
    TxnSeq end;
    for (const GtidRange& range : ranges) {
      PutVarint(out, range.first - end);
      PutVarint(out, range.last - range.first);
      end = range.last;
    }
  }
}
bool GetRanges(std::string_view* in, SourceId source, GtidSet* set) {
  uint64_t count = 0, end = 0;
  if (!GetVarint(in, &count) || count == 0 || count > in->size()) return false;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t gap = 0, length = 0, first = 0, last = 0;
    if (!GetVarint(in, &gap) || !GetVarint(in, &length)) return false;
    if (gap < (i == 0 ? 1 : 2)) return false;  // ranges that touch are one
    if (__builtin_add_overflow(end, gap, &first) || __builtin_add_overflow(first, length, &last)) {
      return false;
    }
    set->Add(source, {TxnSeq(first), TxnSeq(last)});
    end = last;
  }
  return true;
}
bool GetGtidSet(std::string_view* in, GtidSet* set) {
  uint64_t sources = 0;
  if (!GetVarint(in, &sources) || sources > in->size()) return false;
  std::optional<uint64_t> previous;
  for (uint64_t i = 0; i < sources; ++i) {
    uint64_t source = 0;
    if (!GetFixed64(in, &source) || (previous.has_value() && source <= *previous)) return false;
    if (!GetRanges(in, SourceId(source), set)) return false;
    previous = source;
  }
  return true;
}

// --- bodies, one pair for each type

std::string Body(const FormatEvent& e) {
  std::string out(kMagic);
  out.push_back(static_cast<char>(kBinlogVersion));
  PutVarint(&out, e.file_number);
  PutVarint(&out, e.created_micros);
  PutGtidSet(e.before, &out);
  return out;
}
bool Get(std::string_view* in, FormatEvent* e) {
  std::string_view skipped;
  return GetBytes(in, kMagic.size() + 1, &skipped) && GetVarint(in, &e->file_number) &&
         GetVarint(in, &e->created_micros) && GetGtidSet(in, &e->before);
}

std::string Body(const GtidEvent& e) {
  std::string out;
  PutFixed64(&out, e.gtid.source.value());
  PutVarint(&out, e.gtid.seq.value());
  PutVarint(&out, e.commit_micros);
  PutVarint(&out, e.body_bytes);
  return out;
}
bool Get(std::string_view* in, GtidEvent* e) {
  uint64_t source = 0, seq = 0;
  if (!GetFixed64(in, &source) || !GetVarint(in, &seq) || seq == 0) return false;
  e->gtid = {SourceId(source), TxnSeq(seq)};
  return GetVarint(in, &e->commit_micros) && GetVarint(in, &e->body_bytes);
}

std::string Body(const TableEvent& e) {
  std::string out;
  PutVarint(&out, e.index);
  out.push_back(static_cast<char>(e.has_rowid ? kFlagRowid : 0));
  PutVarint(&out, e.columns);
  PutString(e.name, &out);
  return out;
}
bool Get(std::string_view* in, TableEvent* e) {
  uint8_t flags = 0;
  if (!GetVarint(in, &e->index) || !GetByte(in, &flags) || (flags & ~kFlagRowid) != 0) return false;
  e->has_rowid = (flags & kFlagRowid) != 0;
  return GetVarint(in, &e->columns) && GetString(in, &e->name);
}

std::string Body(const RowEvent& e) {
  std::string out;
  PutVarint(&out, e.table);
  out.push_back(static_cast<char>(static_cast<uint8_t>(e.op) | (e.has_rowid ? 0x80 : 0)));
  if (e.op != RowOp::kInsert) {
    if (e.has_rowid) PutVarint(&out, ZigZag(e.rowid_before));
    PutImage(e.before, &out);
  }
  if (e.op != RowOp::kDelete) {
    if (e.has_rowid) PutVarint(&out, ZigZag(e.rowid_after));
    PutImage(e.after, &out);
  }
  return out;
}
bool GetHalf(std::string_view* in, bool has_rowid, int64_t* rowid, Image* image) {
  uint64_t number = 0;
  if (has_rowid) {
    if (!GetVarint(in, &number)) return false;
    *rowid = UnZigZag(number);
  }
  return GetImage(in, image);
}
bool Get(std::string_view* in, RowEvent* e) {
  uint8_t op = 0;
  if (!GetVarint(in, &e->table) || !GetByte(in, &op)) return false;
  e->has_rowid = (op & 0x80) != 0;
  op &= 0x7f;
  if (op < 1 || op > 3) return false;
  e->op = static_cast<RowOp>(op);
  if (e->op != RowOp::kInsert && !GetHalf(in, e->has_rowid, &e->rowid_before, &e->before)) {
    return false;
  }
  return e->op == RowOp::kDelete || GetHalf(in, e->has_rowid, &e->rowid_after, &e->after);
}

std::string Body(const StatementEvent& e) { return std::string(e.sql); }
bool Get(std::string_view* in, StatementEvent* e) { return GetBytes(in, in->size(), &e->sql); }

std::string Body(const SequenceEvent& e) {
  std::string out;
  out.push_back(static_cast<char>((e.before.has_value() ? kFlagBefore : 0) |
                                  (e.after.has_value() ? kFlagAfter : 0)));
  PutString(e.table, &out);
  if (e.before.has_value()) PutValue(*e.before, &out);
  if (e.after.has_value()) PutValue(*e.after, &out);
  return out;
}
bool Get(std::string_view* in, SequenceEvent* e) {
  uint8_t flags = 0;
  if (!GetByte(in, &flags) || (flags & ~(kFlagBefore | kFlagAfter)) != 0) return false;
  if (!GetString(in, &e->table)) return false;
  if ((flags & kFlagBefore) != 0 && !GetValue(in, &e->before.emplace())) return false;
  return (flags & kFlagAfter) == 0 || GetValue(in, &e->after.emplace());
}

std::string Body(const CommitEvent& e) {
  std::string out;
  PutVarint(&out, e.events);
  return out;
}
bool Get(std::string_view* in, CommitEvent* e) { return GetVarint(in, &e->events); }

std::string Body(const RotateEvent& e) {
  std::string out;
  PutVarint(&out, e.next_file_number);
  return out;
}
bool Get(std::string_view* in, RotateEvent* e) { return GetVarint(in, &e->next_file_number); }

template <typename T>
absl::StatusOr<Event> DecodeBody(std::string_view body) {
  T event;
  if (!Get(&body, &event) || !body.empty()) {
    return absl::DataLossError("a binlog event's content makes no sense");
  }
  return Event(std::move(event));
}

absl::Status CheckVersion(std::string_view body) {
  if (body.size() <= kMagic.size() || body.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("this is not a binlog: its first event lacks the mark SXBINLOG");
  }
  const auto version = static_cast<uint8_t>(body[kMagic.size()]);
  if (version == kBinlogVersion) return absl::OkStatus();
  return absl::UnimplementedError(Text("binlog of version ", int{version}, "; this program reads ",
                                       int{kBinlogVersion}, ": use the program that wrote it"));
}

absl::StatusOr<Event> DecodeOf(uint8_t type, std::string_view body) {
  switch (static_cast<EventType>(type)) {
    case EventType::kFormat: {
      if (absl::Status status = CheckVersion(body); !status.ok()) return status;
      return DecodeBody<FormatEvent>(body);
    }
    case EventType::kGtid:
      return DecodeBody<GtidEvent>(body);
    case EventType::kTable:
      return DecodeBody<TableEvent>(body);
    case EventType::kRow:
      return DecodeBody<RowEvent>(body);
    case EventType::kStatement:
      return DecodeBody<StatementEvent>(body);
    case EventType::kSequence:
      return DecodeBody<SequenceEvent>(body);
    case EventType::kCommit:
      return DecodeBody<CommitEvent>(body);
    case EventType::kRotate:
      return DecodeBody<RotateEvent>(body);
  }
  return absl::UnimplementedError(Text("binlog event of unknown type ", int{type}));
}

// In the order of Event's alternatives.
constexpr EventType kTypes[] = {EventType::kFormat, EventType::kGtid,      EventType::kTable,
                                EventType::kRow,    EventType::kStatement, EventType::kSequence,
                                EventType::kCommit, EventType::kRotate};

}  // namespace

void PutValue(const Value& value, std::string* out) {
  if (std::holds_alternative<NullValue>(value)) {
    out->push_back(kNull);
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    out->push_back(kInteger);
    PutVarint(out, ZigZag(*integer));
  } else if (const auto* real = std::get_if<double>(&value)) {
    out->push_back(kReal);
    uint64_t bits = 0;
    std::memcpy(&bits, real, sizeof bits);
    PutFixed64(out, bits);
  } else if (const auto* text = std::get_if<TextValue>(&value)) {
    out->push_back(kText);
    PutString(text->bytes, out);
  } else {
    out->push_back(kBlob);
    PutString(std::get<BlobValue>(value).bytes, out);
  }
}

void FrameEvent(EventType type, std::string_view body, std::string* out) {
  SEXTANT_CHECK(body.size() <= kMaxEventBytes) << body.size();
  const size_t start = out->size();
  PutFixed32(out, 0);
  out->push_back(static_cast<char>(type));
  PutString(body, out);
  const uint32_t crc = Crc32c(std::string_view(*out).substr(start + 4));
  std::memcpy(out->data() + start, &crc, sizeof crc);
}

void EncodeEvent(const Event& event, std::string* out) {
  const std::string body = std::visit([](const auto& e) { return Body(e); }, event);
  FrameEvent(kTypes[event.index()], body, out);
}

absl::StatusOr<Event> DecodeEvent(std::string_view* in) {
  std::string_view rest = *in;
  uint32_t crc = 0;
  if (!GetFixed32(&rest, &crc)) return absl::OutOfRangeError("cut short in a binlog event");
  const char* const covered = rest.data();
  uint8_t type = 0;
  std::string_view body;
  uint64_t size = 0;
  if (!GetByte(&rest, &type)) return absl::OutOfRangeError("cut short in a binlog event");
  constexpr size_t kLongestVarint = 10;
  if (!GetVarint(&rest, &size)) {
    if (rest.size() < kLongestVarint) return absl::OutOfRangeError("cut short in a binlog event");
    return absl::DataLossError("a binlog event has no size");
  }
  if (size > kMaxEventBytes) {
    return absl::DataLossError(Text("a binlog event of ", size, " bytes: damaged"));
  }
  if (!GetBytes(&rest, size, &body)) return absl::OutOfRangeError("cut short in a binlog event");
  if (Crc32c({covered, static_cast<size_t>(rest.data() - covered)}) != crc) {
    return absl::DataLossError("checksum mismatch in a binlog event");
  }
  absl::StatusOr<Event> event = DecodeOf(type, body);
  if (event.ok()) *in = rest;
  return event;
}

}  // namespace sextant::binlog
