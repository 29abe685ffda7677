// Gtid and GtidSet: the names of transactions, and sets of them. Core.
//
// A transaction's name is (source, seq). `seq` counts all transactions of a history, 1 first,
// dense, whoever made them; `source` is drawn at random whenever a node begins to be the source.
// Two histories that went apart therefore share their names up to the fork and none behind it, so
// "what does the old source have that nobody else has" is a difference of sets, not a question of
// trust.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/strong_int.h"

namespace sextant::binlog {

// Random 64-bit identity of one tenure as the source; 0 is "none".
using SourceId = StrongInt<struct SourceIdTag>;
// Place of a transaction in its history. 0: before the first.
using TxnSeq = StrongInt<struct TxnSeqTag>;

struct Gtid {
  SourceId source;
  TxnSeq seq;
  auto operator<=>(const Gtid&) const = default;
};

// 16 hex digits.
std::string FormatSourceId(SourceId id);
// "0123456789abcdef:42".
std::string FormatGtid(Gtid gtid);

// Transactions first..last of one source.
struct GtidRange {
  TxnSeq first, last;
  bool operator==(const GtidRange&) const = default;
};

class GtidSet {
 public:
  void Add(Gtid gtid) { Add(gtid.source, {gtid.seq, gtid.seq}); }
  // `range` is not empty and begins at 1 or above.
  void Add(SourceId source, GtidRange range);

  bool Contains(Gtid gtid) const;
  bool Contains(const GtidSet& other) const { return other.Minus(*this).is_empty(); }
  GtidSet Minus(const GtidSet& other) const;
  GtidSet Union(const GtidSet& other) const;

  bool is_empty() const { return ranges_.empty(); }
  uint64_t size() const;
  // The highest seq of any source; 0 when empty.
  TxnSeq last() const;
  // Whether it is one history from its beginning: every seq from 1 through last() exactly once.
  bool IsHistory() const;
  // Of a history: which source made the transaction at `seq`.
  std::optional<SourceId> SourceOf(TxnSeq seq) const;
  // Of a history: the part through `seq`.
  GtidSet Through(TxnSeq seq) const;

  // Ascending and apart: neither overlapping nor touching.
  const std::map<SourceId, std::vector<GtidRange>>& ranges() const { return ranges_; }

  // "0123456789abcdef:1-40:42,fedc..:41"; empty for the empty set.
  std::string ToString() const;
  // INVALID_ARGUMENT: not in that form.
  static absl::StatusOr<GtidSet> Parse(std::string_view text);

  bool operator==(const GtidSet&) const = default;

 private:
  std::map<SourceId, std::vector<GtidRange>> ranges_;
};

// The last seq that two histories share: the fork, or the shorter one's end.
TxnSeq CommonThrough(const GtidSet& a, const GtidSet& b);

}  // namespace sextant::binlog
