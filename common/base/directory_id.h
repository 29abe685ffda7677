// DirectoryId: random identity of a storage node's data directory, drawn when it is made. Core.
//
// A node that lost its disk comes back with another one. Who has a segment made says in which
// directory: one that was looked at before the loss is not meant (docs/PROTOCOL.md, "Membership").
// 0: a directory that is older than these ids.
#pragma once

#include "common/base/strong_int.h"

namespace sextant {

using DirectoryId = StrongInt<struct DirectoryIdTag>;

}  // namespace sextant
