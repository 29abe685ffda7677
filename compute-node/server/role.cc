// See role.h. The one place that knows every role.
#include "compute-node/server/role.h"

#include <utility>

#include "common/base/text.h"
#include "compute-node/server/binlog_replica_role.h"
#include "compute-node/server/binlog_source_role.h"
#include "compute-node/server/reader_role.h"
#include "compute-node/server/writer_role.h"

namespace sextant::server {
namespace {

constexpr std::pair<RoleKind, const char*> kRoles[] = {
    {RoleKind::kWriter, "writer"},
    {RoleKind::kReader, "reader"},
    {RoleKind::kBinlogSource, "binlog-source"},
    {RoleKind::kBinlogReplica, "binlog-replica"}};

absl::Status OnlyTheWriter(RoleKind kind) {
  return absl::FailedPreconditionError(
      Text("this node is a ", RoleName(kind), ", and only the writer changes members: ask it"));
}

}  // namespace

const char* RoleName(RoleKind kind) {
  for (const auto& [role, name] : kRoles) {
    if (role == kind) return name;
  }
  return "unknown";
}

std::optional<RoleKind> RoleNamed(const std::string& name) {
  for (const auto& [role, known] : kRoles) {
    if (name == known) return role;
  }
  return std::nullopt;
}

void Role::ReplaceSegment(const v1::ReplaceSegmentRequest&,
                          std::function<void(absl::Status)> done) {
  done(OnlyTheWriter(kind()));
}

absl::Status Role::UndoReplace(const v1::UndoReplaceRequest&) { return OnlyTheWriter(kind()); }

absl::StatusOr<std::unique_ptr<Role>> MakeRole(RoleKind kind, const RoleContext& context) {
  switch (kind) {
    case RoleKind::kWriter:
      return std::make_unique<WriterRole>(context);
    case RoleKind::kReader:
      return std::make_unique<ReaderRole>(context);
    case RoleKind::kBinlogSource:
      return std::make_unique<BinlogSourceRole>(context);
    case RoleKind::kBinlogReplica:
      return std::make_unique<BinlogReplicaRole>(context);
  }
  return absl::InvalidArgumentError("no such role");
}

}  // namespace sextant::server
