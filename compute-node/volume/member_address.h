// MemberAddress: one member of one protection group, as the writer's machines name it. Core.
#pragma once

#include <compare>

#include "common/base/ids.h"
#include "common/quorum/quorum.h"

namespace sextant::compute {

struct MemberAddress {
  PgId pg;
  quorum::Slot slot = 0;
  auto operator<=>(const MemberAddress&) const = default;
};

}  // namespace sextant::compute
