// What a writer says of its volume: in ComputeStatus and at /metrics. Internal to server/.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "compute-node/writer/writer_volume.h"
#include "sextant/v1/compute.pb.h"

namespace sextant::server {

// All but the node's name and role.
void FillWriterStatus(const compute::VolumeStatus& status, v1::ComputeStatus* out);
// Watermarks, members and counters, as they are now.
std::vector<prometheus::MetricFamily> WriterMetrics(const compute::WriterVolume& volume);

}  // namespace sextant::server
