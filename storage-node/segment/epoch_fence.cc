// See epoch_fence.h.
#include "storage-node/segment/epoch_fence.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::storage {
namespace {

bool BelowEpoch(const volume::Truncation& truncation, VolumeEpoch epoch) {
  return truncation.epoch < epoch;
}

}  // namespace

bool IsAnnulled(const std::vector<volume::Truncation>& truncations, Lsn lsn, VolumeEpoch epoch) {
  for (auto t = truncations.rbegin(); t != truncations.rend() && t->epoch > epoch; ++t) {
    if (t->Annuls(lsn, epoch)) return true;
  }
  return false;
}

EpochFence::EpochFence(VolumeEpoch epoch, WriterId writer,
                       std::vector<volume::Truncation> truncations)
    : epoch_(epoch), writer_(writer), truncations_(std::move(truncations)) {
  for (size_t i = 0; i < truncations_.size(); ++i) {
    SEXTANT_CHECK(truncations_[i].epoch <= epoch_) << truncations_[i].epoch;
    SEXTANT_CHECK(i == 0 || truncations_[i - 1].epoch < truncations_[i].epoch) << i;
  }
}

absl::Status EpochFence::Admit(VolumeEpoch epoch) const {
  if (epoch == epoch_) return absl::OkStatus();
  if (epoch < epoch_) {
    return absl::FailedPreconditionError(Text("fenced: volume epoch ", epoch, " was succeeded by ",
                                              epoch_, "; another writer has taken over"));
  }
  return absl::FailedPreconditionError(Text("segment is behind, at volume epoch ", epoch_,
                                            ": raise it to ", epoch, " before sending batches"));
}

absl::Status EpochFence::CheckClaim(VolumeEpoch epoch, WriterId writer) const {
  if (epoch > epoch_ || (epoch == epoch_ && writer == writer_)) return absl::OkStatus();
  if (epoch == epoch_) {
    return absl::FailedPreconditionError(
        Text("volume epoch ", epoch, " was claimed by another writer: recover with a higher one"));
  }
  return absl::FailedPreconditionError(
      Text("fenced: volume epoch ", epoch_, " was claimed already, ", epoch, " comes too late"));
}

absl::Status EpochFence::CheckTruncation(const volume::Truncation& truncation,
                                         VolumeEpoch claimed) const {
  if (truncation.epoch > claimed || truncation.vdl > truncation.upper) {
    return absl::InvalidArgumentError(Text("truncation of (", truncation.vdl, ", ",
                                           truncation.upper, "] by epoch ", truncation.epoch,
                                           " is malformed in a claim of epoch ", claimed));
  }
  auto known =
      std::lower_bound(truncations_.begin(), truncations_.end(), truncation.epoch, BelowEpoch);
  if (known == truncations_.end() || known->epoch != truncation.epoch || *known == truncation) {
    return absl::OkStatus();
  }
  return absl::AbortedError(Text("epoch ", truncation.epoch, " truncated (", known->vdl, ", ",
                                 known->upper, "], not (", truncation.vdl, ", ", truncation.upper,
                                 "]: recover with a higher epoch"));
}

absl::StatusOr<bool> EpochFence::Raise(VolumeEpoch epoch, WriterId writer,
                                       const std::vector<volume::Truncation>& truncations) {
  // Only a claimant that fenced a write quorum of every group truncates in its epoch: a rival whose
  // claim on that same epoch was taken in here has lost for good. Were the winner refused because
  // of it, the member would be shut out until the next recovery (simulator, seed 300957 of
  // 7c06f1f).
  const bool has_won = epoch == epoch_ && IsNewer(truncations) && truncations.back().epoch == epoch;
  if (!has_won) RETURN_IF_ERROR(CheckClaim(epoch, writer));
  for (size_t i = 0; i < truncations.size(); ++i) {
    RETURN_IF_ERROR(CheckTruncation(truncations[i], epoch));
    if (i == 0 || truncations[i - 1].epoch < truncations[i].epoch) continue;
    return absl::InvalidArgumentError("truncations must ascend by epoch");
  }
  bool is_changed = epoch != epoch_ || writer != writer_;
  epoch_ = epoch;
  writer_ = writer;
  if (IsNewer(truncations)) {
    truncations_ = truncations;
    is_changed = true;
  }
  return is_changed;
}

bool EpochFence::IsNewer(const std::vector<volume::Truncation>& truncations) const {
  if (truncations.empty()) return false;
  return truncations_.empty() || truncations.back().epoch > truncations_.back().epoch;
}

std::vector<volume::Truncation> EpochFence::Unknown(
    const std::vector<volume::Truncation>& truncations) const {
  std::vector<volume::Truncation> unknown;
  for (const volume::Truncation& truncation : truncations) {
    auto place =
        std::lower_bound(truncations_.begin(), truncations_.end(), truncation.epoch, BelowEpoch);
    if (place == truncations_.end() || place->epoch != truncation.epoch) {
      unknown.push_back(truncation);
    }
  }
  return unknown;
}

}  // namespace sextant::storage
