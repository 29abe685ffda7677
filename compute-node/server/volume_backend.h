// VolumeBackend: what VolumeService works on while this node is the writer, or a reader. Internal
// to server/.
#pragma once

#include <atomic>
#include <optional>

#include "absl/time/time.h"
#include "compute-node/server/attachment.h"
#include "compute-node/server/open_calls.h"
#include "compute-node/writer/mtr_appender.h"
#include "compute-node/writer/write_ticket.h"
#include "compute-node/writer/writer_volume.h"

namespace sextant::server {

struct VolumeServiceOptions {
  absl::Duration commit_timeout = absl::Seconds(10);  // where a request names none
  int max_appends_per_stream = 4096;  // not yet answered; then the stream is read no further
  int max_tails = 64;
};

struct VolumeBackend {
  // Both outlive the backend.
  VolumeBackend(compute::WriterVolume* volume, compute::WriteTicketQueue* tickets,
                VolumeServiceOptions options)
      : volume(*volume), writer(volume), options(options) {
    appender.emplace(volume, tickets);
  }
  // Of a reader; outlives the backend.
  VolumeBackend(compute::ServedVolume* volume, VolumeServiceOptions options)
      : volume(*volume), options(options) {}

  compute::ServedVolume& volume;
  compute::WriterVolume* const writer = nullptr;  // null on a reader
  std::optional<compute::MtrAppender> appender;   // not on a reader
  const VolumeServiceOptions options;
  OpenCalls calls;  // appending streams and tails
  std::atomic<int> tails{0};
};

using VolumeUse = Attachment<VolumeBackend>::Use;

}  // namespace sextant::server
