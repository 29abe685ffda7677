// See gtid.h.
#include "compute-node/binlog/log/gtid.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/text.h"

namespace sextant::binlog {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr size_t kSourceDigits = 16;

absl::Status Malformed(std::string_view text) {
  return absl::InvalidArgumentError(
      Text("not a GTID set: \"", text, "\"; one looks like 0123456789abcdef:1-40"));
}

// Takes everything up to `end` off the front, and `end` itself.
std::string_view TakeUntil(std::string_view* text, char end) {
  const size_t at = text->find(end);
  const std::string_view part = text->substr(0, at);
  text->remove_prefix(at == std::string_view::npos ? text->size() : at + 1);
  return part;
}

bool ParseSeq(std::string_view text, TxnSeq* seq) {
  uint64_t value = 0;
  if (text.empty()) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, static_cast<uint64_t>(c - '0'), &value)) {
      return false;
    }
  }
  *seq = TxnSeq(value);
  return value > 0;
}

bool ParseSource(std::string_view text, SourceId* source) {
  if (text.size() != kSourceDigits) return false;
  uint64_t value = 0;
  for (const char c : text) {
    const char* const digit = std::find(kHexDigits, kHexDigits + 16, c);
    if (digit == kHexDigits + 16) return false;
    value = value << 4 | static_cast<uint64_t>(digit - kHexDigits);
  }
  *source = SourceId(value);
  return true;
}

bool ParseRange(std::string_view text, GtidRange* range) {
  const bool is_single = text.find('-') == std::string_view::npos;
  if (!ParseSeq(TakeUntil(&text, '-'), &range->first)) return false;
  range->last = range->first;
  if (is_single) return true;
  return ParseSeq(text, &range->last) && range->last >= range->first;
}

// All ranges of a history by their first seq.
std::vector<std::pair<GtidRange, SourceId>> InOrder(const GtidSet& set) {
  std::vector<std::pair<GtidRange, SourceId>> all;
  for (const auto& [source, ranges] : set.ranges()) {
    for (const GtidRange& range : ranges) all.emplace_back(range, source);
  }
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.first.first < b.first.first; });
  return all;
}

}  // namespace

std::string FormatSourceId(SourceId id) {
  std::string text(kSourceDigits, '0');
  uint64_t value = id.value();
  for (size_t i = kSourceDigits; i-- > 0; value >>= 4) text[i] = kHexDigits[value & 15];
  return text;
}

std::string FormatGtid(Gtid gtid) { return Text(FormatSourceId(gtid.source), ":", gtid.seq); }

void GtidSet::Add(SourceId source, GtidRange range) {
  SEXTANT_CHECK(range.first > TxnSeq(0) && range.first <= range.last)
      << range.first << "-" << range.last;
  std::vector<GtidRange>& ranges = ranges_[source];
  std::vector<GtidRange> joined;
  for (const GtidRange& old : ranges) {
    const bool is_before = old.last < range.first && range.first - old.last > 1;
    const bool is_behind = range.last < old.first && old.first - range.last > 1;
    if (is_before || is_behind) {
      joined.push_back(old);
    } else {
      range = {std::min(range.first, old.first), std::max(range.last, old.last)};
    }
  }
  const auto place = std::find_if(joined.begin(), joined.end(),
                                  [&](const GtidRange& r) { return r.first > range.first; });
  joined.insert(place, range);
  ranges = std::move(joined);
}

bool GtidSet::Contains(Gtid gtid) const {
  const auto it = ranges_.find(gtid.source);
  if (it == ranges_.end()) return false;
  return std::any_of(it->second.begin(), it->second.end(), [&](const GtidRange& range) {
    return range.first <= gtid.seq && gtid.seq <= range.last;
  });
}

GtidSet GtidSet::Minus(const GtidSet& other) const {
  GtidSet result;
  for (const auto& [source, ranges] : ranges_) {
    const auto it = other.ranges_.find(source);
    for (const GtidRange& range : ranges) {
      TxnSeq from = range.first;
      bool is_over = false;
      if (it != other.ranges_.end()) {
        for (const GtidRange& gone : it->second) {
          if (gone.last < from || gone.first > range.last) continue;
          if (gone.first > from) result.Add(source, {from, TxnSeq(gone.first.value() - 1)});
          is_over = gone.last >= range.last;
          if (is_over) break;
          from = gone.last.Next();
        }
      }
      if (!is_over) result.Add(source, {from, range.last});
    }
  }
  return result;
}

GtidSet GtidSet::Union(const GtidSet& other) const {
  GtidSet result = *this;
  for (const auto& [source, ranges] : other.ranges_) {
    for (const GtidRange& range : ranges) result.Add(source, range);
  }
  return result;
}

uint64_t GtidSet::size() const {
  uint64_t count = 0;
  for (const auto& [source, ranges] : ranges_) {
    for (const GtidRange& range : ranges) count += range.last - range.first + 1;
  }
  return count;
}

TxnSeq GtidSet::last() const {
  TxnSeq last;
  for (const auto& [source, ranges] : ranges_) last = std::max(last, ranges.back().last);
  return last;
}

bool GtidSet::IsHistory() const {
  TxnSeq end;
  for (const auto& [range, source] : InOrder(*this)) {
    if (range.first != end.Next()) return false;
    end = range.last;
  }
  return true;
}

std::optional<SourceId> GtidSet::SourceOf(TxnSeq seq) const {
  for (const auto& [source, ranges] : ranges_) {
    if (Contains(Gtid{source, seq})) return source;
  }
  return std::nullopt;
}

GtidSet GtidSet::Through(TxnSeq seq) const {
  GtidSet result;
  for (const auto& [source, ranges] : ranges_) {
    for (const GtidRange& range : ranges) {
      if (range.first <= seq) result.Add(source, {range.first, std::min(range.last, seq)});
    }
  }
  return result;
}

std::string GtidSet::ToString() const {
  std::string text;
  for (const auto& [source, ranges] : ranges_) {
    if (!text.empty()) text += ",";
    text += FormatSourceId(source);
    for (const GtidRange& range : ranges) {
      text += Text(":", range.first);
      if (range.last != range.first) text += Text("-", range.last);
    }
  }
  return text;
}

absl::StatusOr<GtidSet> GtidSet::Parse(std::string_view text) {
  GtidSet set;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::string_view part = TakeUntil(&rest, ',');
    SourceId source;
    if (!ParseSource(TakeUntil(&part, ':'), &source) || part.empty()) return Malformed(text);
    while (!part.empty()) {
      GtidRange range;
      if (!ParseRange(TakeUntil(&part, ':'), &range)) return Malformed(text);
      set.Add(source, range);
    }
  }
  return set;
}

TxnSeq CommonThrough(const GtidSet& a, const GtidSet& b) {
  TxnSeq common;
  const auto in_a = InOrder(a);
  const auto in_b = InOrder(b);
  size_t i = 0, j = 0;
  while (i < in_a.size() && j < in_b.size()) {
    const auto& [range_a, source_a] = in_a[i];
    const auto& [range_b, source_b] = in_b[j];
    if (source_a != source_b) break;
    common = std::min(range_a.last, range_b.last);
    if (range_a.last == common) ++i;
    if (range_b.last == common) ++j;
  }
  return common;
}

}  // namespace sextant::binlog
