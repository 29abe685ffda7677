// See witness.h.
#include "storage-node/store/witness.h"

#include <algorithm>
#include <utility>

#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "storage-node/store/store_codec.h"

namespace sextant::storage {
namespace {

constexpr size_t kHeaderBytes = 8;  // crc, size of the body

absl::Status Damaged() { return absl::DataLossError("witness file is damaged"); }

template <typename Map, typename EncodeValue>
void PutEntries(const Map& entries, EncodeValue encode, std::string* out) {
  PutVarint(out, entries.size());
  for (const auto& [segment, value] : entries) {
    const std::string bytes = encode(value);
    out->append(SegmentKey(segment));
    PutVarint(out, bytes.size());
    out->append(bytes);
  }
}

// Calls take(key, value) for each entry until it fails.
template <typename Take>
absl::Status GetEntries(std::string_view* in, Take take) {
  uint64_t count;
  if (!GetVarint(in, &count)) return Damaged();
  for (uint64_t i = 0; i < count; ++i) {
    std::string_view key, value;
    uint64_t size;
    if (!GetBytes(in, kSegmentKeyBytes, &key) || !GetVarint(in, &size) ||
        !GetBytes(in, size, &value)) {
      return Damaged();
    }
    RETURN_IF_ERROR(take(key, value));
  }
  return absl::OkStatus();
}

// The incarnation that a state map knows of a segment; nullopt: it knows no such segment.
std::optional<IncarnationId> IncarnationIn(const std::map<SegmentId, SegmentState>& states,
                                           SegmentId segment) {
  const auto state = states.find(segment);
  if (state == states.end() || state->second.is_dropped) return std::nullopt;
  return state->second.incarnation;
}

using States = std::map<SegmentId, SegmentState>;
using Marks = std::map<SegmentId, LogHighWater>;

// The marks of those segments that `kept` knows as the same incarnation as `states` does.
Marks MarksThatCount(const Marks& marks, const States& states, const States& kept) {
  Marks result;
  for (const auto& [segment, mark] : marks) {
    if (IncarnationIn(states, segment) == IncarnationIn(kept, segment)) result[segment] = mark;
  }
  return result;
}

// The end of a log that the database lost without a word, as a torn end is.
void FindLostEnds(const Marks& database, const Marks& witness, std::vector<std::string>* losses) {
  for (const auto& [segment, mark] : witness) {
    const auto held = database.find(segment);
    const LogPosition last = held == database.end() ? LogPosition() : held->second.last_position;
    if (last >= mark.last_position) continue;
    losses->push_back(Text("the end of the log of volume ", FormatVolumeId(segment.volume), " pg ",
                           segment.pg, " is lost: ", last, " of ", mark.last_position,
                           " batches were found"));
  }
}

// Nothing says how far the logs reached.
void Distrust(Witness* contents) {
  for (const auto& [segment, state] : contents->states) {
    if (state.is_dropped) continue;
    LogHighWater& mark = contents->marks.try_emplace(segment).first->second;
    mark.segment = segment;
  }
  for (auto& [segment, mark] : contents->marks) mark.scl = kUnknownScl;
}

bool IsBehind(const DatabaseContents& database, const Reconciled& result) {
  return !database.version.ok() || *database.version != result.contents.version ||
         !database.states.ok() || *database.states != result.contents.states ||
         !database.marks.ok() || *database.marks != result.contents.marks;
}

// Whether the states come from the witness, and why.
bool PreferWitness(const DatabaseContents& database, const Witness& witness, Reconciled* result) {
  if (!database.states.ok() || !database.version.ok()) {
    result->losses.push_back(Text(
        "the segment states in the database are damaged, those of the witness files stand: ",
        (database.states.ok() ? database.version.status() : database.states.status()).ToString()));
    return true;
  }
  if (*database.version >= witness.version) return false;
  result->losses.push_back(Text("the database lost ", witness.version - *database.version,
                                " changes of segment states, those of the witness files stand"));
  return true;
}

}  // namespace

bool ChangesStates(const StoreWrite& write) {
  return !write.states.empty() || !write.dropped_segments.empty();
}

void Witness::Apply(const StoreWrite& write) {
  for (const SegmentId segment : write.dropped_segments) {
    states.erase(segment);
    marks.erase(segment);
  }
  for (const LogHighWater& mark : write.high_water) marks[mark.segment] = mark;
  for (const SegmentState& state : write.remains) states[state.segment] = state;
  for (const SegmentState& state : write.states) states[state.segment] = state;
  if (ChangesStates(write)) ++version;
}

void Witness::RaiseMark(const LogHighWater& mark) {
  LogHighWater& high = marks.try_emplace(mark.segment, mark).first->second;
  high.last_position = std::max(high.last_position, mark.last_position);
  high.scl = std::max(high.scl, mark.scl);
}

std::string EncodeWitness(const Witness& witness) {
  std::string body;
  PutFixed32(&body, kDirectoryFormat);
  PutFixed64(&body, witness.sequence);
  PutFixed64(&body, witness.version);
  PutEntries(witness.states, EncodeState, &body);
  PutEntries(witness.marks, EncodeHighWater, &body);
  std::string bytes;
  bytes.reserve(kHeaderBytes + body.size());
  PutFixed32(&bytes, Crc32c(body));
  PutFixed32(&bytes, static_cast<uint32_t>(body.size()));
  bytes.append(body);
  return bytes;
}

absl::StatusOr<Witness> DecodeWitness(std::string_view bytes) {
  uint32_t crc, size, format;
  std::string_view body;
  if (!GetFixed32(&bytes, &crc) || !GetFixed32(&bytes, &size) || !GetBytes(&bytes, size, &body) ||
      crc != Crc32c(body) || !GetFixed32(&body, &format)) {
    return Damaged();
  }
  if (format != kDirectoryFormat) {
    return absl::FailedPreconditionError(
        Text("witness file has format ", format, "; this binary knows format ", kDirectoryFormat));
  }
  Witness witness;
  if (!GetFixed64(&body, &witness.sequence) || !GetFixed64(&body, &witness.version)) {
    return Damaged();
  }
  RETURN_IF_ERROR(GetEntries(&body, [&](std::string_view key, std::string_view value) {
    const absl::StatusOr<SegmentState> state = DecodeState(key, value);
    if (state.ok()) witness.states[state->segment] = *state;
    return state.status();
  }));
  RETURN_IF_ERROR(GetEntries(&body, [&](std::string_view key, std::string_view value) {
    const SegmentId segment = ParseSegmentKey(key);
    const absl::StatusOr<LogHighWater> mark = DecodeHighWater(segment, value);
    if (mark.ok()) witness.marks[segment] = *mark;
    return mark.status();
  }));
  if (!body.empty()) return Damaged();
  return witness;
}

absl::StatusOr<Reconciled> Reconcile(const DatabaseContents& database,
                                     const absl::StatusOr<Witness>& witness) {
  Reconciled result;
  Witness& contents = result.contents;
  const Marks no_marks;
  const Marks& database_marks = database.marks.ok() ? *database.marks : no_marks;
  if (!witness.ok()) {
    RETURN_IF_ERROR(database.version.status());
    RETURN_IF_ERROR(database.states.status());
    result.losses.push_back(
        Text("nothing can tell whether the logs are whole: they count as damaged for good; "
             "replace the segments of this node (sextant segment replace): ",
             witness.status().ToString()));
    contents.version = *database.version;
    contents.states = *database.states;
    contents.marks = database_marks;
    Distrust(&contents);
  } else {
    const bool from_witness = PreferWitness(database, *witness, &result);
    contents.sequence = witness->sequence;
    contents.version = from_witness ? witness->version : *database.version;
    contents.states = from_witness ? witness->states : *database.states;
    contents.marks = MarksThatCount(witness->marks, witness->states, contents.states);
    if (database.states.ok()) {
      FindLostEnds(database_marks, contents.marks, &result.losses);
      for (const auto& [segment, mark] :
           MarksThatCount(database_marks, *database.states, contents.states)) {
        contents.RaiseMark(mark);
      }
      for (const auto& [segment, state] : *database.states) {
        const bool is_live = !state.is_dropped;
        if (is_live && IncarnationIn(contents.states, segment) != state.incarnation)
          result.dropped_segments.push_back(segment);
      }
    }
    if (!database.states.ok() || !database.marks.ok()) {
      result.losses.push_back(
          "the high-water marks in the database are damaged: the logs count as "
          "damaged for good; replace the segments of this node");
      Distrust(&contents);
    }
  }
  result.is_database_behind = IsBehind(database, result);
  return result;
}

}  // namespace sextant::storage
