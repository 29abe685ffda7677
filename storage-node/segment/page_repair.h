// PageRepair is a state machine: the stored page versions of one segment that fail their checksum
// are replaced, from the segment's own log or from a peer. Core.
//
// docs/PROTOCOL.md, "Scrub". Scrubbing and reads report what they met (Found). A version's LSN may
// be unknown, Lsn{0}: then none of the page's versions in the damaged part can be told. The page is
// made anew as of a read point P: the damaged version's LSN, or, where nobody reads so far back any
// more, the lowest point that is still read. First from what this segment itself holds, then by
// asking one peer at a time.
//
// What comes back is the page's newest version at or below P, so
//   - it has the damaged version's LSN: it takes its place;
//   - it is older: what was damaged never was a version of this page (a write that went astray),
//   and
//     is dropped;
//   - it is newer: then P is the lowest point that is read, and what lies below is needed no more.
//     That must be durable before the damaged one is dropped: a restart may forget PGMRPL, and a
//     read below the new version would then take the page for one that was never written.
// Never is one dropped before its replacement is there, as the disk shows it (read_back.h). One
// that takes the damaged one's place need not be looked at: if that write is lost, the damage is
// met again.
#pragma once

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/instant.h"
#include "common/base/prng.h"
#include "common/protocol/storage_messages.h"

namespace sextant::storage {

struct PageRepairOptions {
  // After everybody was asked in vain: doubles from the first to the last; jittered down to half.
  absl::Duration first_backoff = absl::Milliseconds(200);
  absl::Duration max_backoff = absl::Seconds(30);
  // One that was replaced and is met again is left alone for so long: the reading that repairs may
  // have reported it itself, or the medium does not take the replacement.
  absl::Duration rest = absl::Minutes(1);
};

// A stored version that fails its checksum.
struct DamagedPage {
  PageNo page;
  Lsn lsn;  // Lsn{0}: cannot be told
  auto operator<=>(const DamagedPage&) const = default;
};

class PageRepair {
 public:
  // Who is to make a page: this segment (no peer), or a peer.
  struct Make {
    std::optional<quorum::Slot> peer;
    protocol::ReadPagesRequest request;  // one page
  };
  // In this order: make `read_floor` durable as a segment's state has it, write `image` (there is
  // none if the page was never written), drop `drop`, and before that flush `image` and see that it
  // is there (ReadBackPage). Where one fails the rest is left, too.
  struct Replace {
    PageNo page;
    std::optional<Lsn> read_floor;
    std::optional<page::PageImage> image;
    std::optional<Lsn> drop;  // this very version
  };

  PageRepair(PageRepairOptions options, Prng prng) : options_(options), prng_(prng) {}

  // Idempotent while it is not repaired.
  void Found(const DamagedPage& damaged, Instant now);
  bool empty() const { return damaged_.empty(); }
  size_t size() const { return damaged_.size(); }

  // What to do now, if anything. `status`: of the segment, which must know VDL. `peers` as of
  // Gossip::Next.
  std::optional<Make> Next(const protocol::SegmentStatus& status,
                           const std::vector<quorum::Slot>& peers, Instant now);
  // What came of it. The replacement, if it is one; then Replaced is due.
  std::optional<Replace> Made(const absl::StatusOr<protocol::ReadPagesReply>& reply, Instant now);
  // OK: the damaged version counts as repaired. Otherwise it is tried again after a while.
  void Replaced(const absl::Status& status, Instant now);

 private:
  absl::Duration TakeBackoff();
  void TryAnother(Instant now);

  PageRepairOptions options_;
  Prng prng_;
  absl::btree_set<DamagedPage> damaged_;
  absl::btree_map<DamagedPage, Instant> repaired_;  // when; those within `rest`
  bool is_busy_ = false;
  bool is_replacing_ = false;       // and it was made
  DamagedPage current_;             // under repair
  Lsn read_point_, durable_floor_;  // that current_ is made anew for
  uint32_t page_bytes_ = 0;
  size_t turn_ = 0;  // 0: this segment itself; then the peers
  size_t peer_count_ = 0;
  Instant not_before_ = Instant::Min();
  absl::Duration backoff_;
};

}  // namespace sextant::storage
