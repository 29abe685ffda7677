// What goes between a simulated reader and a simulated writer: the redo stream as a chain of calls.
//
// A reader asks for the next message; the writer keeps the question until it has one. So one
// message is in flight, as with the real stream, and whatever the network does to a call breaks the
// stream: the reader begins another.
#pragma once

#include <optional>

#include "common/protocol/redo_messages.h"
#include "compute-node/replica/followers.h"

namespace sextant::simulation {

struct RedoRequest {
  compute::FollowerId stream;  // chosen by the reader, never twice
  uint64_t turn = 0;           // 1, 2, ...; a request that arrives twice is known by it
  std::optional<protocol::FollowHello> hello;  // with turn 1
  protocol::FollowProgress progress;           // with the others
};

}  // namespace sextant::simulation
