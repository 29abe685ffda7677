// What a reader says of itself: in ComputeStatus and at /metrics. Internal to server/.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "compute-node/reader/reader_volume.h"
#include "sextant/v1/compute.pb.h"

namespace sextant::server {

// All but the node's name and role.
void FillReaderStatus(const compute::ReaderStatus& status, v1::ComputeStatus* out);
std::vector<prometheus::MetricFamily> ReaderMetrics(const compute::ReaderVolume& volume);

}  // namespace sextant::server
