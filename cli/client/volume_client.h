// VolumeService as the command needs it: what the volume is, and its redo.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "sextant/v1/volume.pb.h"

namespace sextant::cli {

absl::StatusOr<v1::GetVolumeResponse> GetVolume(const std::string& address);

// Whether that node is the writer still, by its newest page 0, which it shows only once it has
// proven so: one that was succeeded finds out by it. OK; or why it could not be proven.
absl::Status ProveWriter(const std::string& address);

// Calls `on_records` with redo from after `after_lsn` on, whole mini-transactions, until it returns
// false. OUT_OF_RANGE: the log that far back is no longer held.
absl::Status TailVolume(const std::string& address, uint64_t after_lsn,
                        const std::function<bool(const v1::TailResponse&)>& on_records);

}  // namespace sextant::cli
