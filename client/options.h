// What a session may be told.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace sextant::client {

enum class Preference {
  kWriter,  // everything on the writer
  kAny,     // what only reads, on any node that serves
  kReader,  // what only reads, on a reader; on the writer if there is none
  kOnly,    // everything on the first endpoint that was given, whatever it is
};

struct SessionOptions {
  Preference preference = Preference::kWriter;
  // How long a request may look for a node the first time.
  absl::Duration connect_patience = absl::Seconds(10);
  // And once there was one: how long to look for another, and to repeat what is safe.
  absl::Duration patience = absl::Seconds(30);
  uint64_t token = 0;  // an LSN that everything read must be at or above
};

}  // namespace sextant::client
