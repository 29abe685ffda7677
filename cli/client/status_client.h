// Asks nodes how they are: all at once, with short deadlines, so that a paused node delays nobody.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sextant/v1/compute.pb.h"
#include "sextant/v1/storage.pb.h"

namespace sextant::cli {

inline constexpr absl::Duration kStatusTimeout = absl::Seconds(1);
inline constexpr char kNoAnswer[] = "does not answer";

// Answers in the order of `addresses` ("host:port"). UNAVAILABLE where a node cannot be reached, or
// does not answer in time: the message then ends in kNoAnswer.
std::vector<absl::StatusOr<v1::NodeStatus>> AskStorageNodes(
    const std::vector<std::string>& addresses, absl::Duration timeout = kStatusTimeout);
std::vector<absl::StatusOr<v1::ComputeStatus>> AskComputeNodes(
    const std::vector<std::string>& addresses, absl::Duration timeout = kStatusTimeout);

// gRPC health (grpc.health.v1): true when the server says SERVING for itself as a whole.
absl::StatusOr<bool> IsServing(const std::string& address, absl::Duration timeout = kStatusTimeout);

}  // namespace sextant::cli
