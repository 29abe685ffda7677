// What a writer and its readers say to each other: the redo stream, as plain structs. Core.
//
// A reader opens one stream to the writer (FollowHello), then tells how far it is (FollowProgress).
// The writer sends FollowMessages, one at a time. docs/PROTOCOL.md, "Readers"; SIGMOD'18, section
// 3.2 (replicas consume the redo stream, never ahead of VDL). proto/sextant/v1/redo.proto is the
// same contract on the wire.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/page/delta.h"
#include "common/volume/descriptor.h"

namespace sextant::protocol {

// A mini-transaction as it was appended: the i-th change has LSN first_lsn + i, the last is the
// CPL, and a change's base_lsn is the page's version before it.
struct RedoMtr {
  Lsn prev_lsn;  // the volume's last LSN before it
  Lsn first_lsn;
  Lsn commit_lsn;
  std::vector<page::PageChange> changes;
  // Payloads are left out, it is too large: which pages changed, not how.
  bool is_notice = false;

  bool operator==(const RedoMtr&) const;
};

// VDL reached `vdl` at `time_us`, microseconds since 1970 by the writer's clock: when the commits
// since the step before it became durable.
struct DurableStep {
  Lsn vdl;
  int64_t time_us = 0;
  bool operator==(const DurableStep&) const = default;
};

// Opens a stream. `after`: the reader has applied everything through here and wants what follows;
// Lsn{0}: it has nothing, or wants to begin anew.
struct FollowHello {
  std::string node;
  VolumeId volume;    // {0}: it does not know any, and holds nothing
  VolumeEpoch epoch;  // the highest it has followed; an older writer is refused
  Lsn after;
  Lsn lowest_read_point;  // held where a volume is named: LSN 0 is one that is held, too
};
// Sent when it has changed, and as a sign of life.
struct FollowProgress {
  Lsn lowest_read_point;  // nothing below it will be read by this reader
  Lsn published;          // its VDL
};

// What is needed to find and to ask segments. Only grows newer.
struct VolumeShape {
  volume::Descriptor descriptor;
  std::vector<volume::Membership> memberships;  // by PG
  bool operator==(const VolumeShape&) const = default;
};

// Begins a stream. Redo follows from `after`. If `is_jump`, the reader did not get what lies
// between its own position and `after`: what it has cached may be stale above its own position. It
// goes on at VDL = `after`, where the groups' last LSNs are `tails`.
struct FollowStart {
  VolumeEpoch epoch;
  bool is_jump = false;
  Lsn after;
  // If is_jump:
  std::vector<Lsn> tails;  // by PG
  // The newest commits up to `after`, which is the last, and when each became durable.
  std::vector<DurableStep> history;
};
struct FollowDurable {
  // At or below what was sent on this stream, and a commit LSN of it or where it began.
  Lsn vdl;
  // No page is kept as of an LSN below it.
  Lsn floor;
  // Those above the last one told, ascending; the last is `vdl`, unless it stood still.
  std::vector<DurableStep> steps;
};

// Parts count in this order.
struct FollowMessage {
  std::optional<FollowStart> start;  // only in the first message, or to jump
  std::optional<VolumeShape> shape;  // with the first start, and when it is news
  std::string mtrs;                  // mtr_codec.h: whole mini-transactions in LSN order
  std::optional<FollowDurable> durable;
};

}  // namespace sextant::protocol
