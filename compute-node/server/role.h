// Role: what a compute node is at a time (writer; reader; others), and what it needs of the
// process.
//
// The process (node.h) owns ports, services and metrics for good; a role owns a volume and puts it
// behind the services while it lasts. Roles follow each other in one process: a promoted reader
// becomes the writer, a fenced writer a reader. To add a role: implement Role, name it in MakeRole
// (role_factory.cc) and in --role.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compute-node/server/binlog_service.h"
#include "compute-node/server/compute_flags.h"
#include "compute-node/server/compute_metrics.h"
#include "compute-node/server/redo_service.h"
#include "compute-node/server/sql_service.h"
#include "compute-node/server/volume_service.h"
#include "sextant/v1/compute.pb.h"

namespace sextant::server {

enum class RoleKind { kWriter, kReader, kBinlogSource, kBinlogReplica };
const char* RoleName(RoleKind kind);                         // "writer", "reader", ...
std::optional<RoleKind> RoleNamed(const std::string& name);  // nullopt: none is called that

// What a role may ask of its process. All methods from any thread, none blocks.
class RoleHost {
 public:
  virtual ~RoleHost() = default;
  // Whether the node serves: what the health service says.
  virtual void SetReady(bool is_ready) = 0;
  // This node, with the address that others reach it at.
  virtual const ComputeNodeAddress& self() const = 0;
  // Ends this role and starts another one, soon. `why`: UNAVAILABLE, for logs and for the clients
  // whose sessions end with it. Ignored if the node is that already, or will be.
  virtual void ChangeRole(RoleKind next, const absl::Status& why) = 0;
  // The role cannot go on, and no other can help: the process ends with this error.
  virtual void Fail(const absl::Status& error) = 0;
};

// What a role leaves to the next one; of the thread of roles.
struct RoleHandover {
  std::vector<protocol::DurableStep> history;  // the commits that a reader knew of
};

struct PromotionAnswer {
  RoleKind next;
  std::string warning = {};  // the loss that was accepted; empty: none
};

// What of the process a role works with; outlives it.
struct RoleContext {
  const ComputeFlags& flags;
  RoleHost& host;
  SqlService& sql;
  VolumeService& volume;
  RedoService& redo;
  BinlogService& binlog;
  ComputeLatencies& latencies;
  RoleHandover& handover;
};

// Made, started and stopped once, on one thread; the const methods and the requests come from any
// thread between Start and the end of Stop.
class Role {
 public:
  virtual ~Role() = default;  // has been stopped, if it was started

  virtual RoleKind kind() const = 0;
  // Returns soon; what takes time goes on in the background. An error: the node cannot run.
  virtual absl::Status Start() = 0;
  // Takes its targets from the services, answers all that waits, ends sessions with `why`
  // (UNAVAILABLE). Afterwards nothing of this role runs any more.
  virtual void Stop(const absl::Status& why) = 0;

  // Fills in what the role knows; the node's name and role are there already.
  virtual void FillStatus(v1::ComputeStatus* status) const = 0;
  // For /metrics.
  virtual std::vector<prometheus::MetricFamily> Metrics() const = 0;

  // `sextant promote`: what this node becomes by it; its own kind: nothing to do, it leads already
  // or is about to. FAILED_PRECONDITION: a role that cannot be promoted, or not now, or, unless
  // `is_forced`, not without a loss.
  virtual absl::StatusOr<PromotionAnswer> Promotion(bool is_forced) = 0;

  // Who the writer is, as far as this role knows: itself or the one it follows.
  virtual std::optional<ComputeNodeAddress> Writer() const { return std::nullopt; }

  // As WriterVolume's; by default FAILED_PRECONDITION, for only the writer does these.
  virtual void ReplaceSegment(const v1::ReplaceSegmentRequest& request,
                              std::function<void(absl::Status)> done);
  virtual absl::Status UndoReplace(const v1::UndoReplaceRequest& request);
};

// INVALID_ARGUMENT: the flags do not allow it.
absl::StatusOr<std::unique_ptr<Role>> MakeRole(RoleKind kind, const RoleContext& context);

}  // namespace sextant::server
