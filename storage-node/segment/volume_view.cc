// See volume_view.h.
#include "storage-node/segment/volume_view.h"

#include <utility>

#include "common/base/status.h"
#include "common/base/text.h"

namespace sextant::storage {
namespace {

// Fixed at creation: only the number of groups may grow.
bool IsSameShape(const volume::Descriptor& a, const volume::Descriptor& b) {
  return a.volume == b.volume && a.geometry.page_bytes == b.geometry.page_bytes &&
         a.geometry.pages_per_pg == b.geometry.pages_per_pg;
}

}  // namespace

VolumeView::VolumeView(volume::Descriptor descriptor, volume::Membership membership)
    : descriptor_(std::move(descriptor)), membership_(std::move(membership)) {}

absl::Status VolumeView::Check(const std::optional<volume::Descriptor>& descriptor,
                               const std::optional<volume::Membership>& membership) const {
  if (descriptor.has_value()) {
    const volume::Geometry& told = descriptor->geometry;
    const volume::Geometry& known = descriptor_.geometry;
    const bool grows = told.epoch >= known.epoch ? told.pg_count >= known.pg_count
                                                 : told.pg_count <= known.pg_count;
    if (!IsSameShape(*descriptor, descriptor_) || !grows) {
      return absl::InvalidArgumentError(
          Text("a claim for volume ", FormatVolumeId(descriptor->volume), " of ", told.pg_count,
               " groups at geometry epoch ", told.epoch, "; this one has ", known.pg_count, " at ",
               known.epoch, " and never shrinks or changes its pages"));
    }
    if (told.epoch == known.epoch && *descriptor != descriptor_) {
      return absl::AbortedError(Text("geometry epoch ", known.epoch, " has ", known.pg_count,
                                     " protection groups, not ", told.pg_count));
    }
  }
  if (!membership.has_value()) return absl::OkStatus();
  RETURN_IF_ERROR(volume::ValidateMembership(*membership));
  if (membership->epoch == membership_.epoch && *membership != membership_) {
    return absl::AbortedError(
        Text("membership epoch ", membership_.epoch, " has other members than the claim's"));
  }
  return absl::OkStatus();
}

bool VolumeView::Take(const std::optional<volume::Descriptor>& descriptor,
                      const std::optional<volume::Membership>& membership) {
  bool is_changed = false;
  if (descriptor.has_value() && descriptor->geometry.epoch > descriptor_.geometry.epoch) {
    descriptor_ = *descriptor;
    is_changed = true;
  }
  if (membership.has_value() && membership->epoch > membership_.epoch) {
    membership_ = *membership;
    is_changed = true;
  }
  return is_changed;
}

}  // namespace sextant::storage
