// See digests.h.
#include "fault/cluster/digests.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <map>
#include <memory>

#include "absl/time/clock.h"
#include "cli/client/status_client.h"
#include "common/base/coding.h"
#include "common/base/crc32c.h"
#include "common/base/status.h"
#include "common/base/text.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "fault/cluster/replica_digests.h"
#include "sextant/v1/storage.grpc.pb.h"

namespace sextant::fault {
namespace {

using Stub = v1::StorageService::Stub;
constexpr uint64_t kPagesPerRead = 128;  // the most that a node answers at a time

// The checksum over number, LSN and image of every page of the group, as this member has them.
absl::StatusOr<uint32_t> DigestOf(Stub* stub, const std::string& node,
                                  const v1::ComputeStatus& status, const v1::PgProgress& pg) {
  const uint64_t pages_per_pg = status.segment_bytes() / status.page_bytes();
  const uint64_t first = pages_per_pg * pg.pg();
  std::string all;
  for (uint64_t page = first; page < first + pages_per_pg; page += kPagesPerRead) {
    v1::ReadPagesRequest request;
    request.mutable_segment()->set_volume(status.volume());
    request.mutable_segment()->set_pg(pg.pg());
    request.set_epoch(status.epoch());
    request.set_read_point(status.vdl());
    request.set_pg_lsn(pg.last_lsn());
    const uint64_t end = std::min(page + kPagesPerRead, first + pages_per_pg);
    for (uint64_t i = page; i < end; ++i) request.add_pages(i);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
    v1::ReadPagesResponse response;
    RETURN_IF_ERROR(rpc::FromGrpc(stub->ReadPages(&context, request, &response), node));
    for (const v1::ReadPagesResponse::Page& read : response.pages()) {
      PutFixed64(&all, read.lsn());
      PutFixed32(&all, read.crc());
    }
  }
  return Crc32c(all);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CompareMembers(const FaultCluster& cluster) {
  if (cluster.is_binlog()) return CompareReplicas(cluster);
  std::map<std::string, std::unique_ptr<Stub>> stubs;
  std::string leader;
  for (const cli::NodeState& node : cluster.state().nodes) {
    if (node.name == cluster.leader()) leader = node.listen;
    if (!node.is_compute()) {
      stubs[node.name] = v1::StorageService::NewStub(rpc::MakeChannel(node.listen));
    }
  }
  ASSIGN_OR_RETURN(const v1::ComputeStatus status, cli::AskComputeNodes({leader})[0]);
  std::vector<std::string> differences;
  for (const v1::PgProgress& pg : status.pgs()) {
    std::string first_node;
    uint32_t first_digest = 0;
    for (const v1::MemberProgress& member : pg.members()) {
      const auto stub = stubs.find(member.node());
      if (stub == stubs.end()) continue;
      ASSIGN_OR_RETURN(const uint32_t digest,
                       DigestOf(stub->second.get(), member.node(), status, pg));
      if (first_node.empty()) {
        first_node = member.node();
        first_digest = digest;
      } else if (digest != first_digest) {
        differences.push_back(Text("pg ", pg.pg(), " at LSN ", status.vdl(), ": the pages of ",
                                   member.node(), " differ from those of ", first_node));
      }
    }
  }
  return differences;
}

}  // namespace sextant::fault
