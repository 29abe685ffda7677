// EpochFence decides who may write to a segment, and which records are annulled for ever. Core.
//
// Holds what the segment has promised: the highest volume epoch it has taken in, whose claim on it
// that was, and every truncation it was told of. A promise binds from the moment it is made; the
// segment makes it durable before it answers for it (segment.h). There is no lease and no vote: a
// higher epoch wins, at once, and the older writer finds out by being refused (SIGMOD'18,
// section 2.4).
//
// Truncation lists are taken whole and never merged: of two, the one whose last truncation is of
// the higher epoch wins. It holds every truncation that an opened epoch made; one that it lacks was
// never finished, and may annul what a later recovery found durable (docs/PROTOCOL.md, "Recovery").
//
// Invariants: the epoch never falls, nor does that of the last truncation; a truncation never
// changes.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/log/lsn.h"
#include "common/volume/descriptor.h"

namespace sextant::storage {

// Whether any of `truncations` (ascending by epoch) annuls a record. Looks only at those of epochs
// above the record's: none for what the current writer sends.
bool IsAnnulled(const std::vector<volume::Truncation>& truncations, Lsn lsn, VolumeEpoch epoch);

class EpochFence {
 public:
  // `truncations` ascending by epoch, as stored.
  EpochFence(VolumeEpoch epoch, WriterId writer, std::vector<volume::Truncation> truncations);

  // Whether a batch of `epoch` may be taken. FAILED_PRECONDITION: it is lower (the sender is fenced
  // for good) or higher (this segment must be told of that epoch first).
  absl::Status Admit(VolumeEpoch epoch) const;

  // Claims `epoch` for `writer`, takes the list of truncations if it is the newer; true if anything
  // changed. FAILED_PRECONDITION: a higher epoch was promised, or this one to another writer and no
  // truncation of it is new. INVALID_ARGUMENT: one is malformed or of an epoch above `epoch`.
  // ABORTED: a truncation contradicts a known one of its epoch. After an error nothing has changed.
  absl::StatusOr<bool> Raise(VolumeEpoch epoch, WriterId writer,
                             const std::vector<volume::Truncation>& truncations);

  // Whether Raise would take this list instead of its own.
  bool IsNewer(const std::vector<volume::Truncation>& truncations) const;
  // Those of `truncations` whose epoch this fence knows no truncation of.
  std::vector<volume::Truncation> Unknown(const std::vector<volume::Truncation>& truncations) const;

  bool Annuls(Lsn lsn, VolumeEpoch record_epoch) const {
    return IsAnnulled(truncations_, lsn, record_epoch);
  }

  VolumeEpoch epoch() const { return epoch_; }
  WriterId writer() const { return writer_; }
  const std::vector<volume::Truncation>& truncations() const { return truncations_; }

 private:
  absl::Status CheckClaim(VolumeEpoch epoch, WriterId writer) const;
  absl::Status CheckTruncation(const volume::Truncation& truncation, VolumeEpoch claimed) const;

  VolumeEpoch epoch_;
  WriterId writer_;
  std::vector<volume::Truncation> truncations_;  // ascending by epoch, one per epoch
};

}  // namespace sextant::storage
