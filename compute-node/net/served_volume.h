// ServedVolume: what VolumeService needs of a volume beyond PageVolume, be it the writer's or a
// reader's.
#pragma once

#include "absl/status/status.h"
#include "common/base/ids.h"
#include "compute-node/net/volume_reads.h"
#include "compute-node/volume/page_volume.h"

namespace sextant::compute {

class ServedVolume : public PageVolume {
 public:
  // OK, or why the volume cannot be used now.
  virtual absl::Status CheckOpen() const = 0;
  virtual VolumeId volume() const = 0;    // {0} while unknown
  virtual VolumeEpoch epoch() const = 0;  // {0} until open
  // As ReadPage, without blocking: `done` runs inside the call on a hit, else on a transport's
  // thread.
  virtual void ReadPageAsync(const ReadView& view, PageNo page, VolumeReads::Done done) = 0;
};

}  // namespace sextant::compute
