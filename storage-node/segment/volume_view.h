// VolumeView: what a segment has been told of its volume's geometry and of its group's members.
// Core.
//
// Both change by the writer's claim (RaiseEpoch) and by nothing else: the newer epoch of each
// stays. Like the fence it is a promise: it binds from the moment it is taken in, and the segment
// makes it durable before it answers for it.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "common/volume/descriptor.h"
#include "common/volume/membership.h"

namespace sextant::storage {

class VolumeView {
 public:
  VolumeView(volume::Descriptor descriptor, volume::Membership membership);

  // INVALID_ARGUMENT: another volume, another size of pages or groups, or a malformed membership.
  // ABORTED: another content than is known of that epoch.
  absl::Status Check(const std::optional<volume::Descriptor>& descriptor,
                     const std::optional<volume::Membership>& membership) const;
  // Takes what is newer, of what Check allowed; true if anything was.
  bool Take(const std::optional<volume::Descriptor>& descriptor,
            const std::optional<volume::Membership>& membership);

  const volume::Descriptor& descriptor() const { return descriptor_; }
  const volume::Membership& membership() const { return membership_; }

 private:
  volume::Descriptor descriptor_;
  volume::Membership membership_;
};

}  // namespace sextant::storage
