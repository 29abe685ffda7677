// sextant.v1 VolumeService messages <-> what the writer takes and gives.
#pragma once

#include <vector>

#include "absl/time/time.h"
#include "common/log/record.h"
#include "compute-node/writer/mtr_appender.h"
#include "sextant/v1/volume.pb.h"

namespace sextant::server {

std::vector<compute::PageEdit> EditsOf(const v1::AppendMtrRequest& request);
// The request's own, or `otherwise` where it names none.
absl::Duration TimeoutOf(const v1::AppendMtrRequest& request, absl::Duration otherwise);
void ToProto(log::RedoRecord record, v1::TailRecord* out);

}  // namespace sextant::server
