// See compute_client.h.
#include "cli/client/compute_client.h"

#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "sextant/v1/compute.grpc.pb.h"

namespace sextant::cli {
namespace {

// Until an endpoint answers with something else than that it cannot be reached.
template <typename Call>
absl::Status AtOneOf(const std::vector<std::string>& endpoints, absl::Duration timeout, Call call) {
  absl::Status status = absl::UnavailableError("no compute node is known");
  for (const std::string& endpoint : endpoints) {
    v1::ComputeService::Stub stub(rpc::MakeChannel(endpoint));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    status = rpc::FromGrpc(call(&stub, &context), endpoint);
    if (!absl::IsUnavailable(status)) return status;
  }
  return status;
}

}  // namespace

absl::Status ReplaceSegment(const std::vector<std::string>& endpoints,
                            const SegmentReplacement& replacement, absl::Duration timeout) {
  v1::ReplaceSegmentRequest request;
  request.set_pg(replacement.pg);
  request.set_from(replacement.from);
  request.set_to(replacement.to);
  request.set_hold(replacement.hold);
  return AtOneOf(endpoints, timeout, [&request](auto* stub, auto* context) {
    v1::ReplaceSegmentResponse response;
    return stub->ReplaceSegment(context, request, &response);
  });
}

absl::Status UndoReplace(const std::vector<std::string>& endpoints, uint32_t pg,
                         const std::string& from, absl::Duration timeout) {
  v1::UndoReplaceRequest request;
  request.set_pg(pg);
  request.set_from(from);
  return AtOneOf(endpoints, timeout, [&request](auto* stub, auto* context) {
    v1::UndoReplaceResponse response;
    return stub->UndoReplace(context, request, &response);
  });
}

absl::StatusOr<v1::PromoteResponse> Promote(const std::string& endpoint, bool is_forced,
                                            absl::Duration timeout) {
  v1::PromoteRequest request;
  request.set_force(is_forced);
  v1::PromoteResponse response;
  const absl::Status status = AtOneOf({endpoint}, timeout, [&](auto* stub, auto* context) {
    return stub->Promote(context, request, &response);
  });
  if (!status.ok()) return status;
  return response;
}

std::optional<size_t> MostAdvanced(const std::vector<absl::StatusOr<v1::ComputeStatus>>& answers) {
  std::optional<size_t> best;
  const auto holds = [&](size_t i) {
    const v1::ComputeStatus& status = *answers[i];
    // Transactions of a later tenure outweigh any number of an earlier one.
    return status.role() == "binlog-replica"
               ? std::make_pair(status.epoch(), status.vcl())
               : std::make_pair(uint64_t{0}, status.reader().published());
  };
  for (size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i].ok()) continue;
    if (answers[i]->role() != "reader" && answers[i]->role() != "binlog-replica") continue;
    if (!best.has_value() || holds(i) > holds(*best)) best = i;
  }
  return best;
}

}  // namespace sextant::cli
